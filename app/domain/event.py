"""What happened: one message of a tracker, mailer or shop, read and checked, before any brand's rules touch it."""

from typing import Any, Final

import msgspec

SESSION_KINDS: Final = frozenset(
    {
        "page_viewed",
        "page_engaged",
        "cta_clicked",
        "form_submitted",
        "site_searched",
        "list_filtered",
        "product_viewed",
        "cart_added",
        "cart_removed",
        "cart_viewed",
        "checkout_started",
        "order_completed",
    }
)
"""Kinds that make a visit; a `custom` event that says where it was joins one too (SEMANTICS §9)."""

REFUND_KINDS: Final = frozenset({"order_refunded", "order_cancelled"})

ORDER_KINDS: Final = REFUND_KINDS | {"order_completed"}

MAIL_KINDS: Final = frozenset(
    {
        "email_sent",
        "email_delivered",
        "email_opened",
        "email_clicked",
        "email_bounced",
        "email_unsubscribed",
        "email_complained",
    }
)

NOT_THE_LEADS_DOING: Final = frozenset({"email_sent", "email_delivered", "email_bounced"})
"""Kinds that a mailer reports of itself: no behaviour of the lead (`last: any` leaves them out)."""

KINDS: Final = (
    SESSION_KINDS
    | ORDER_KINDS
    | MAIL_KINDS
    | {"conversation", "traits_changed", "alias", "consent_changed", "erase_requested", "custom"}
)


class Page(msgspec.Struct, frozen=True, array_like=True):
    """Where an event was; empty text for what it did not say."""

    url: str = ""
    host: str = ""
    """Lower case, without port."""
    path: str = ""
    title: str = ""
    referrer: str = ""


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """What an event tells about how its lead came to the page, before a brand's own domains and channels are applied.

    Text is as the tracker sent it, trimmed; empty where it said nothing.
    """

    source: str = ""
    """Campaign source: `context.campaign.source`, else `utm_source`."""
    medium: str = ""
    campaign: str = ""
    content: str = ""
    term: str = ""
    click_type: str = ""
    """Name of the click id's parameter: gclid, gbraid, wbraid, msclkid, dclid, ttclid, twclid, li_fat_id, fbclid."""
    click_id: str = ""
    source_category: str = ""
    """What the source is known as: `search`, `social`, `shopping`, `video`, `email`; empty when unknown."""
    referrer_host: str = ""
    """Host of an http(s) or android-app referrer, lower case; empty when there is none."""
    referrer_domain: str = ""
    """Its registrable domain (public suffix list)."""
    referrer_category: str = ""
    """As `source_category`, for the referrer."""
    referrer_name: str = ""
    """Source name the referrer goes by, lower case: `google`, `facebook`; its host when unknown."""
    page_domain: str = ""
    """Registrable domain of the page itself: a referrer of the same domain is no arrival."""

    @property
    def has_campaign(self) -> bool:
        """Whether campaign parameters were given."""
        return bool(self.source or self.medium or self.campaign or self.content or self.term)


NO_PAGE: Final = Page()
NO_ARRIVAL: Final = Arrival()


class Event(msgspec.Struct, frozen=True):
    """One checked message. It knows nothing of rules; `app.domain.facts` reads it with a brand's rules."""

    id: str
    """`messageId`, else `topic-partition-offset` of the record it was first read from."""
    at: int
    """Event time, UTC ms."""
    kind: str
    brand: str
    ids: tuple[str, ...]
    """Identifiers, strongest first (`user:…`, `email:…`, `phone:…`, `anon:…`); the first is the lead's key."""
    name: str = ""
    """A track event's own name in normal form (lower case, without `_`, `-` and spaces); empty for other types."""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    """Traits of `identify`; of `group` with `company.` before each name; empty otherwise."""
    page: Page = NO_PAGE
    says_where: bool = False
    """Whether `context.page`, `properties.url` or `context.campaign` was there: only then it can be an arrival."""
    arrival: Arrival = NO_ARRIVAL
    amount: str | None = None
    """Decimal text of `revenue`, else `total`, else `value`, as sent; None when absent. Checked on order kinds only."""
    currency: str | None = None
    """ISO 4217 code, upper case; None = the rules' currency."""
    user_agent: str = ""
    ip: str = ""
    bot: bool = False
    """A bot by its user agent."""
    locale: str = ""
    clamped: bool = False
    """Event time was more than 5 minutes ahead of the record's, and the record's was taken."""

    @property
    def key(self) -> str:
        """The lead's key: the strongest identifier."""
        return self.ids[0]


class Rejected(msgspec.Struct, frozen=True):
    """Why a message cannot be an event (SEMANTICS §1)."""

    reason: str
    """too_large, not_json, not_object, bad_field, no_type, no_identifier, bad_timestamp or bad_amount."""
    detail: str
    """For a person: which field, what was found, what was expected."""


def normal_name(name: str) -> str:
    """Return an event name as it is compared: without regard to case, `_`, `-` and spaces."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
