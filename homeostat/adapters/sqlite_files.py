"""SQLite files looked at from outside, read only."""

import sqlite3
from contextlib import closing
from pathlib import Path

_BUSY_S = 5.0
_MAGIC = b"SQLite format 3\x00"


def is_sqlite(path: Path) -> bool:
    """Return whether a file says of itself that it is an SQLite database; an empty one counts as one."""
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    return not start or start == _MAGIC


def damage(path: Path) -> str | None:
    """Return what SQLite finds broken in a file, None when it is whole.

    Source: https://www.sqlite.org/pragma.html#pragma_quick_check
    """
    if not is_sqlite(path):
        return "this is no SQLite file any more"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", _BUSY_S, uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return None if found == ["ok"] else "; ".join(found)
