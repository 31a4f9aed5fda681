"""What the referrer list lacks or files differently from GA4's source categories, each with its reason.

The list itself is Snowplow's (`app.sources.sites`). It knows no shops and no video sites, and no short names.
"""

from typing import Final

_SOCIAL: Final = (
    *("ameblo", "artstation", "askubuntu", "blogger", "blogspot", "buzzfeed", "crunchyroll", "deviantart"),
    *("dianping", "digg", "dzone", "fandom", "flipboard", "glassdoor", "goodreads", "gutefrage", "hatena"),
    *("hootsuite", "houzz", "hubpages", "instapaper", "kakao", "livejournal", "meetup", "nicovideo"),
    *("photobucket", "pixiv", "plurk", "ravelry", "researchgate", "reverbnation", "scribd", "serverfault"),
    *("slashdot", "slideshare", "stackexchange", "superuser", "techmeme", "tencent", "tinyurl", "tripadvisor"),
    *("trustpilot", "tudou", "tweetdeck", "typepad", "wattpad", "wechat", "weebly", "whatsapp", "wikihow"),
    *("wordpress", "yammer", "yelp", "zalo"),
)

BRANDS: Final = {
    # GA4 counts these as shopping sites; the list has none, and files Amazon under search.
    "alibaba": "shopping",
    "aliexpress": "shopping",
    "amazon": "shopping",
    "ebay": "shopping",
    "etsy": "shopping",
    "idealo": "shopping",
    "mercadolibre": "shopping",
    "mercadolivre": "shopping",
    "pricerunner": "shopping",
    "shopify": "shopping",
    "shopzilla": "shopping",
    "stripe": "shopping",
    "taobao": "shopping",
    "tmall": "shopping",
    "walmart": "shopping",
    # GA4 counts these as video sites; the list has none, and files YouTube and Vimeo under social.
    "crackle": "video",
    "curiositystream": "video",
    "dailymotion": "video",
    "disneyplus": "video",
    "hulu": "video",
    "iqiyi": "video",
    "netflix": "video",
    "twitch": "video",
    "utreon": "video",
    "veoh": "video",
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
    # GA4 counts these as social; the list has none of them, but for Digg, which it files under search.
    **dict.fromkeys(_SOCIAL, "social"),
}
"""Second-level label of a registrable domain, under any public suffix, and source name → category."""

_NO_SEARCH: Final = (
    *("ads", "analytics", "business", "calendar", "classroom", "cloud", "colab", "docs", "keep", "meet"),
    *("myaccount", "notebooklm", "pay", "photos", "tagassistant", "translate"),
)

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
    "t.me": ("telegram", "social"),
    "line.me": ("line", "social"),
    "medium.com": ("medium", "social"),
    "academia.edu": ("academia.edu", "social"),
    "bit.ly": ("bit.ly", "social"),
    "goo.gl": ("goo.gl", "social"),
    "is.gd": ("is.gd", "social"),
    "groups.google.com": ("google groups", "social"),
    "messages.google.com": ("google messages", "social"),
    "sites.google.com": ("google sites", "social"),
    "blog.naver.com": ("naver", "social"),
    "cafe.naver.com": ("naver", "social"),
    "shopping.naver.com": ("naver shopping", "shopping"),
    "shopping.yahoo.co.jp": ("yahoo shopping", "shopping"),
    "iq.com": ("iqiyi", "video"),
    "ted.com": ("ted", "video"),
    # Not where Google searches; the list takes every host of it for that.
    **{f"{name}.google.com": ("google", "") for name in _NO_SEARCH},
    "gemini.google.com": ("gemini", ""),
}
"""Hosts, with their sub-domains: short links and renamed networks."""

PORTALS: Final = {
    "360.cn": "360.cn",
    "centrum.cz": "centrum",
    "daum.net": "daum",
    "excite.com": "excite",
    "msn.com": "msn",
    "naver.com": "naver",
    "onet.pl": "onet",
    "qwant.com": "qwant",
    "rakuten.co.jp": "rakuten",
    "rambler.ru": "rambler",
    "seznam.cz": "seznam",
    "so.com": "so.com",
    "sogou.com": "sogou",
    "startsiden.no": "startsiden",
    "yahoo.co.jp": "yahoo",
}
"""Search engines by domain, of which the list knows some hosts: what it does not know of them is search, as in GA4."""

ALIASES: Final = {
    "fb": "social",
    "ig": "social",
    "igshopping": "shopping",
    "insta": "social",
    "line": "social",
    "meta": "social",
    "messenger": "social",
    "vk": "social",
    "whatsapp": "social",
    "x": "social",
    "yt": "video",
    "msn": "search",
    "ted": "video",
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
