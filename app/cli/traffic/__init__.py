"""A web shop's traffic, made from a seed: the sample's history and what the demo shows live. No clock, no I/O."""

from app.cli.traffic.history import history
from app.cli.traffic.live import live
from app.cli.traffic.messages import CART, CRM, EMAIL, WEB

__all__ = ["CART", "CRM", "EMAIL", "WEB", "history", "live"]
