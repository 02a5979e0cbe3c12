"""Tells whether an SQLite file was written to since the last look."""

import sqlite3


class FileVersion:
    """Tells one state of an SQLite file from another; of another store it knows nothing."""

    def __init__(self, uri: str) -> None:
        """Open the file for reading if the URI names one."""
        path = uri.removeprefix("sqlite:///")
        self._connection = (
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False) if path != uri else None
        )

    def version(self) -> int | None:
        """Return a number that is another one after each commit by anybody, None where there is none.

        Source: https://www.sqlite.org/pragma.html#pragma_data_version
        """
        if self._connection is None:
            return None
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version
