"""The kinds of event by the names they go by (SEMANTICS §1), shared by the readers of messages and of rules."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.domain.event import KINDS, normal_name

TRACK_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "page_viewed": ("Screen Viewed",),
        "page_engaged": ("Page Engaged", "Page Left", "Page Ping"),
        "cta_clicked": ("CTA Clicked", "Button Clicked"),
        "form_submitted": ("Form Submitted",),
        "site_searched": ("Products Searched", "Site Searched"),
        "list_filtered": ("Product List Filtered",),
        "email_sent": ("Email Sent",),
        "email_delivered": ("Email Delivered",),
        "email_opened": ("Email Opened",),
        "email_clicked": ("Email Link Clicked",),
        "email_bounced": ("Email Bounced",),
        "email_unsubscribed": ("Unsubscribed",),
        "email_complained": ("Email Marked as Spam",),
        "product_viewed": ("Product Viewed",),
        "cart_added": ("Product Added",),
        "cart_removed": ("Product Removed",),
        "cart_viewed": ("Cart Viewed",),
        "checkout_started": ("Checkout Started",),
        "order_completed": ("Order Completed",),
        "order_refunded": ("Order Refunded",),
        "order_cancelled": ("Order Cancelled",),
        "conversation": (
            "Conversation Started",
            "Live Chat Conversation Started",
            "Call Completed",
            "Enquiry Sent",
        ),
        "consent_changed": ("Consent Updated",),
        "erase_requested": ("Erase Requested",),
    }
)
"""The names of track events that are of a kind, as trackers write them."""

KIND_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {normal_name(kind): kind for kind in sorted(KINDS)}
    | {normal_name(name): kind for kind, names in TRACK_NAMES.items() for name in names}
)
"""Normal name (`normal_name`) of a track event → its kind; any other name's is `custom`.

A kind's own name is among them: an event called "Page Viewed" is of that kind (SEMANTICS §9).
"""
