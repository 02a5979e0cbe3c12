"""A clock for tests."""

from datetime import datetime


class ManualClock:
    """A clock that stands still until told."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time it was last set to."""
        return self._now

    def advance_to(self, time: datetime) -> None:
        """Set the time.

        Raises:
            ValueError: ``time`` is before the current time; a clock that goes back breaks every fold.
        """
        if time < self._now:
            raise ValueError(f"the clock shows {self._now.isoformat()} and can't go back to {time.isoformat()}")
        self._now = time
