"""A clock that shows what a replay says, shared by all processes of an instance through a small file."""

import json
from datetime import UTC, datetime
from pathlib import Path

from homeostat.errors import HomeostatError

UNSET = datetime(1970, 1, 1, tzinfo=UTC)
"""What a clock that nobody has set yet shows: nothing is due then."""


class StreamClock:
    """The time of a recorded stream: a year of it can be played as fast as the machine goes.

    One process sets it, any number read it. A file is replaced as a whole, so a reader never sees half a time.
    """

    def __init__(self, path: Path) -> None:
        """Take the file, which need not be there yet."""
        self._path = path
        self._seen: tuple[int, int] | None = None  # the file's identity when it was last read
        self._now = UNSET

    def now(self) -> datetime:
        """Return the time last set, ``UNSET`` if there was none.

        Raises:
            HomeostatError: The file holds no time.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return UNSET
        identity = (found.st_ino, found.st_mtime_ns)
        if identity != self._seen:
            self._now = self._read()
            self._seen = identity
        return self._now

    def advance_to(self, time: datetime) -> None:
        """Set the time for all processes.

        Raises:
            ValueError: ``time`` is before the current time, or has no zone; a clock that goes back breaks every fold.
        """
        if time.tzinfo is None:
            raise ValueError(f"{time.isoformat()} has no zone: expected a time like 2024-05-01T12:00:00Z")
        if time < (now := self.now()):
            raise ValueError(f"the clock shows {now.isoformat()} and can't go back to {time.isoformat()}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"now": time.astimezone(UTC).isoformat()}))
        draft.replace(self._path)

    def _read(self) -> datetime:
        try:
            return datetime.fromisoformat(json.loads(self._path.read_text())["now"]).astimezone(UTC)
        except (ValueError, KeyError, TypeError) as error:
            raise HomeostatError(f"{self._path}: no time in it ({error}): set the clock again") from error
