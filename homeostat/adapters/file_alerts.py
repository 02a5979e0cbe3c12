"""Alerts in a file: one JSON object a line, for whatever tails it."""

import json
import os
from pathlib import Path

import msgspec

from homeostat.errors import TransientError
from homeostat.ports import Alert

_LOOK_BACK_BYTES = 4_000_000  # of an old file, read for the ids it holds: some 8,000 alerts
_MOST_BYTES = 16_000_000  # then it is put aside, and what was put aside before is gone


class FileAlerts:
    """Appends alerts to a file and waits for the disk; a line that a crash cut short is left behind as it is.

    A file that has grown large is put aside under its name with ``.1``.

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
        if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
            self._path.replace(self._aside)
        with self._path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # a crash cut the last line short
                    line = b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def _aside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.1")

    def _ids(self) -> set[str]:
        lines = [line for path in (self._aside, self._path) if path.exists() for line in _last_lines(path)]
        return {found for line in lines if (found := _id_in(line))}


def _last_lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _LOOK_BACK_BYTES))
        return file.read().splitlines()


def _id_in(line: bytes) -> str | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    found = said.get("alert_id") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
