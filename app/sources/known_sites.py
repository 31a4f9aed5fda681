"""What the referrer list lacks or files differently from GA4's source categories, each with its reason.

The list itself is Snowplow's (`app.sources.sites`). It knows no shops and no video sites, and no short names.
"""

from typing import Final

BRANDS: Final = {
    # GA4 counts these as shopping sites; the list has none, and files Amazon and Rakuten under search.
    "alibaba": "shopping",
    "aliexpress": "shopping",
    "amazon": "shopping",
    "ebay": "shopping",
    "etsy": "shopping",
    "idealo": "shopping",
    "mercadolibre": "shopping",
    "mercadolivre": "shopping",
    "pricerunner": "shopping",
    "rakuten": "shopping",
    "shopify": "shopping",
    "shopzilla": "shopping",
    "taobao": "shopping",
    "tmall": "shopping",
    "walmart": "shopping",
    # GA4 counts these as video sites; the list has none, and files YouTube and Vimeo under social.
    "dailymotion": "video",
    "disneyplus": "video",
    "hulu": "video",
    "iqiyi": "video",
    "netflix": "video",
    "twitch": "video",
    "vimeo": "video",
    "wistia": "video",
    "youku": "video",
    "youtube": "video",
    # Search engines and networks newer than their entries in the list.
    "duckduckgo": "search",
    "kagi": "search",
    "startpage": "search",
    "bsky": "social",
    "discord": "social",
    "threads": "social",
    "tiktok": "social",
    # Assistants: GA4 has no category for them, so they are referrals, under a name of their own.
    "chatgpt": "",
    "perplexity": "",
}
"""Second-level label of a registrable domain, under any public suffix, and source name → category."""

HOSTS: Final = {
    "youtu.be": ("youtube", "video"),
    "amzn.to": ("amazon", "shopping"),
    "shop.app": ("shopify", "shopping"),
    "shopping.google.com": ("google shopping", "shopping"),
    "shopping.yahoo.com": ("yahoo shopping", "shopping"),
    "x.com": ("twitter", "social"),
    "fb.com": ("facebook", "social"),
    "fb.me": ("facebook", "social"),
    "messenger.com": ("facebook", "social"),
    "threads.net": ("threads", "social"),
    "bsky.app": ("bluesky", "social"),
    "go.bsky.app": ("bluesky", "social"),
    "chat.openai.com": ("chatgpt", ""),
}
"""Hosts, with their sub-domains: short links and renamed networks."""

ALIASES: Final = {
    "fb": "social",
    "ig": "social",
    "igshopping": "shopping",
    "insta": "social",
    "meta": "social",
    "messenger": "social",
    "vk": "social",
    "whatsapp": "social",
    "x": "social",
    "yt": "video",
    "outlook": "email",
    "gmail": "email",
}
"""Short names of sources as campaigns are tagged with them: Meta's `fb` and `ig`, and the like."""

APPS: Final = {
    "com.google.android.googlequicksearchbox": ("google", "search"),
    "com.google.android.gm": ("gmail", "email"),
    "com.google.android.youtube": ("youtube", "video"),
    "com.facebook.katana": ("facebook", "social"),
    "com.facebook.orca": ("facebook", "social"),
    "com.instagram.android": ("instagram", "social"),
    "com.linkedin.android": ("linkedin", "social"),
    "com.pinterest": ("pinterest", "social"),
    "com.reddit.frontpage": ("reddit", "social"),
    "com.twitter.android": ("twitter", "social"),
    "com.zhiliaoapp.musically": ("tiktok", "social"),
    "org.telegram.messenger": ("telegram", "social"),
    "com.microsoft.office.outlook": ("outlook.com", "email"),
}
"""Android packages that `android-app://` referrers name; the list knows web addresses."""

PLAIN_WORDS: Final = frozenset(
    {"atlas", "charter", "crawler", "delicious", "eo", "flix", "free", "monster", "orange", "pocket", "terra", "voila"}
    | {"witch", "www", "search", "all", "one", "vinden", "zoek", "zoeken", "indeed", "conduit", "sharelook", "skynet"}
)
"""Names of listed sites that as a campaign's source may mean anything: such a source is known by its domain only."""
