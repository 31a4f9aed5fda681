"""How much a step takes: as much as fits what it may take, learnt from the steps before it."""


class Pace:
    """The most that the next step takes: one that held the event loop too long shrinks it, a short one doubles it."""

    def __init__(self, limit: int, first: int, wanted_s: float | None) -> None:
        """Begin with `first`, never go above `limit`; `wanted_s` None: it is `limit` always."""
        self._limit = limit
        self._wanted_s = wanted_s
        self.most = limit if wanted_s is None else min(limit, first)

    def took(self, took_s: float, *, full: bool, share: float = 0.0) -> None:
        """Note how long a step held the event loop.

        Args:
            took_s: so long, s.
            full: it had as much as it might have.
            share: how much it used of something else that it may not use up.
        """
        if self._wanted_s is None:
            self.most = self._limit
            return
        used = max(took_s / self._wanted_s, share)
        if used > 1:
            self.most = max(1, int(self.most / used))
        elif full and used < 0.5:
            self.most = min(self._limit, self.most * 2)

    def halve(self, had: int) -> None:
        """Take half of what a step had, which was too much."""
        self.most = max(1, min(self.most, had) // 2)
