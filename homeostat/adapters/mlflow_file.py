"""MLflow's registry as an onlooker sees it: the SQLite file itself, read only, without MLflow's import of 3 s.

The registry proper writes when it is opened (it makes its experiment and model); who only looks must not.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from homeostat.errors import HomeostatError, TransientError
from homeostat.healing.tags import aliases_in
from homeostat.ports import Aliases

_BUSY_S = 2.0


class MlflowFile:
    """Aliases and versions of one product in an embedded MLflow's file; a file not there yet knows of none.

    Raises:
        TransientError: Another process kept the file locked for 2 s.
        HomeostatError: The file is damaged; the message names it.
    """

    def __init__(self, path: Path, product: str) -> None:
        """Take the file, which need not be there yet."""
        self._path = path
        self._product = product

    def aliases(self) -> Aliases:
        """Return who serves now."""
        rows = self._rows("SELECT alias, version FROM registered_model_aliases WHERE name = ?", self._product)
        tags = self._rows("SELECT key, value FROM registered_model_tags WHERE name = ?", self._product)
        return aliases_in(dict(rows), dict(tags))

    def folder_of(self, version: str) -> Path | None:
        """Return where a version's files lie, None if there is no such version or it lies on no local disk."""
        query = "SELECT coalesce(storage_location, source) FROM model_versions WHERE name = ? AND version = ?"
        rows = self._rows(query, self._product, version)
        source = urlparse(str(rows[0][0])) if rows else None
        return Path(unquote(source.path)) if source and source.scheme in {"", "file"} else None

    def _rows(self, query: str, *values: str) -> Sequence[Any]:
        if not self._path.exists():
            return []
        try:
            with closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", _BUSY_S, uri=True)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):  # MLflow is only now making them
                return []
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise TransientError(f"the registry {self._path} is in use by another process") from error
            raise HomeostatError(f"the registry {self._path} can't be read: {error}") from error
