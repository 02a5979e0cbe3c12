"""Alerts in a file: one JSON object a line, for whatever tails it."""

import json
import os
from pathlib import Path

import msgspec

from homeostat.errors import TransientError
from homeostat.ports import Alert

_LOOK_BACK_BYTES = 4_000_000  # of an old file, read for the ids it holds: some 8,000 alerts


class FileAlerts:
    """Appends alerts to a file and waits for the disk; a line that a crash cut short is left behind as it is.

    Raises:
        TransientError: The file can't be written now.
    """

    def __init__(self, path: Path) -> None:
        """Take the file, which need not be there yet."""
        self._path = path
        self._known: set[str] | None = None

    def send(self, alert: Alert) -> None:
        """Append an alert, once by its id."""
        try:
            if self._known is None:
                self._known = self._ids()
            if alert.alert_id not in self._known:
                self._append(msgspec.json.encode(alert))
                self._known.add(alert.alert_id)
        except OSError as error:
            raise TransientError(f"the alert file {self._path} can't be written: {error}", 30.0) from error

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # a crash cut the last line short
                    line = b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _ids(self) -> set[str]:
        if not self._path.exists():
            return set()
        with self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _LOOK_BACK_BYTES))
            lines = file.read().splitlines()
        return {found for line in lines if (found := _id_in(line))}


def _id_in(line: bytes) -> str | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    found = said.get("alert_id") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
