"""How often a growing message may be edited. Pure: the clock is passed in."""

MOST = 15.0  # seconds between edits, however often Slack says no


class Pace:
    """One for a workspace: Slack counts edits there as a whole, some fifty a minute.

    Each refusal doubles the time between edits, each success takes a little off again.
    """

    def __init__(self, every: float = 1.2) -> None:
        self.every = self._least = every
        self._next = self._until = 0.0

    def barred(self, now: float) -> bool:
        """Did Slack ask us to wait, and is the time not over?"""
        return now < self._until

    def free(self, now: float) -> bool:
        """May one be made now? If so, it counts as made."""
        if now < self._next:
            return False
        self._next = now + self.every
        self.every = max(self.every * 0.95, self._least)
        return True

    def refused(self, now: float, wait: float) -> None:
        """Slack said no, and for how long."""
        self.every = min(self.every * 2, MOST)
        self._until = max(self._until, now + wait)
        self._next = max(self._next, now + max(wait, self.every))
