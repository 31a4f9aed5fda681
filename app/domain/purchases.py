"""A lead's orders that count, laid out by time: what conditions ask of them, in the time of a search."""

from bisect import bisect_right
from itertools import accumulate

from app.domain.reader import Reader
from app.domain.state import Core


class Purchases:
    """The orders of one state of a lead; a window reaches `window` ms back from `now`, None = to the beginning."""

    def __init__(self, core: Core, reader: Reader) -> None:
        orders = sorted((order for order in core.orders.values() if order.counts), key=lambda order: order.at)
        values = (reader.in_rules_currency(order.remaining, order.currency, order.at) or 0 for order in orders)
        self._times = [order.at for order in orders]
        self._sums = list(accumulate(values, initial=0))
        """Minor units of the rules' currency that the first n orders brought."""

    def number(self, window: int | None, now: int) -> int:
        """Return how many orders there are in a window."""
        first, end = self._within(window, now)
        return end - first

    def revenue(self, window: int | None, now: int) -> int:
        """Return what the orders in a window brought, in minor units of the rules' currency."""
        first, end = self._within(window, now)
        return self._sums[end] - self._sums[first]

    def next_gone(self, window: int, now: int) -> int | None:
        """Return when the window lets go of its first order; None when it has none."""
        first, end = self._within(window, now)
        return self._times[first] + window if first < end else None

    def _within(self, window: int | None, now: int) -> tuple[int, int]:
        """Return the window's first order and the one after its last: those with now − at < window, none after now."""
        end = bisect_right(self._times, now)
        return 0 if window is None else bisect_right(self._times, now - window, 0, end), end
