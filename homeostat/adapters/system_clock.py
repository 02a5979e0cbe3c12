"""The clock of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """The current time, aware, in UTC."""

    def now(self) -> datetime:
        """Return the machine's time."""
        return datetime.now(UTC)
