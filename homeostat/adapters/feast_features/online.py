"""The last feature row of each entity in a Feast online store: SQLite or Redis."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from homeostat.adapters.feast_features.encoding import (
    EncodedRow,
    QuickStore,
    decoded,
    decoded_time,
    encoded,
    encoded_time,
    entity_key,
    key_encoder,
)
from homeostat.adapters.feast_features.repo import open_repo
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.features.schema import EVENT_TIME_US, store_columns
from homeostat.ports import OnlineRow
from homeostat.records import FeatureRow

_READ_AT_ONCE = 10_000  # SQLite takes 32,766 variables in a statement


class FeastOnlineFeatures:
    """Online features by Feast's store interface itself.

    The public ``write_to_online_store`` and ``get_online_features`` go through pandas and take three times as
    long for 150 rows; what is written here is read by them all the same (tests/contracts/test_features.py).
    """

    def __init__(self, contract: Contract, root: Path, online_store: Mapping[str, object] | None = None) -> None:
        """Open or create the store.

        Args:
            contract: Names and types of the features.
            root: Folder of the Feast repository, and of the SQLite file.
            online_store: Feast's ``online_store`` section, ``type: redis`` for Redis; None keeps rows in SQLite
                under ``root``.
        """
        self._errors = _errors_of(online_store)
        repo = open_repo(contract, root, online_store)
        self._config = repo.config
        self._view = repo.get_feature_view(contract.product)
        self._store = get_online_store_from_config(self._config.online_store)
        self._columns = store_columns(contract)
        self._names = (*(column.stored_as for column in self._columns), EVENT_TIME_US)
        self._key = key_encoder(self._config.entity_key_serialization_version)

    def write(self, rows: Sequence[FeatureRow]) -> None:
        """Store the last row of each entity among ``rows``.

        Raises:
            TransientError: The store can't be reached or is locked.
        """
        last: dict[str, FeatureRow] = {}
        for row in rows:
            kept = last.get(row.entity_id)
            if kept is None or kept.event_time <= row.event_time:
                last[row.entity_id] = row
        if not last:
            return
        with self._errors():
            if isinstance(self._store, QuickStore):
                self._store.write_encoded(self._config, self._view, self._names, self._encoded([*last.values()]))
            else:
                self._store.online_write_batch(self._config, self._view, self._plain([*last.values()]), None)

    def read(self, entity_ids: Sequence[str]) -> list[OnlineRow | None]:
        """Return one row per id in the order asked, None where the entity is unknown.

        Raises:
            TransientError: The store can't be reached or is locked.
        """
        unique = list(dict.fromkeys(entity_ids))
        found: dict[str, OnlineRow | None] = {}
        for start in range(0, len(unique), _READ_AT_ONCE):
            ids = unique[start : start + _READ_AT_ONCE]
            with self._errors():
                found.update(zip(ids, map(self._row, self._stored(ids)), strict=True))
        return [found[entity_id] for entity_id in entity_ids]

    def forget(self, before: datetime) -> int:
        """Delete the rows of events before a time and return how many went; another of Feast's stores is left alone.

        Raises:
            TransientError: The store can't be reached or is locked.
        """
        if not isinstance(self._store, QuickStore):
            return 0
        with self._errors():
            return self._store.forget(self._config, self._view, before)

    def _encoded(self, rows: Sequence[FeatureRow]) -> list[EncodedRow]:
        """Return rows as a store writes them, encoded column by column."""
        columns = zip(*(row.values for row in rows), strict=True)
        cells = [encoded(column, categorical=c.categorical) for c, column in zip(self._columns, columns, strict=True)]
        times = [row.event_time for row in rows]
        keys = [self._key(row.entity_id) for row in rows]
        return list(map(EncodedRow, keys, times, zip(*cells, map(encoded_time, times), strict=True)))

    def _plain(self, rows: Sequence[FeatureRow]) -> list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]]:
        """Return rows as any of Feast's stores takes them."""
        made = [dict(zip(self._names, map(Value.FromString, row.cells), strict=True)) for row in self._encoded(rows)]
        return [(entity_key(row.entity_id), cells, row.event_time, None) for row, cells in zip(rows, made, strict=True)]

    def _stored(self, ids: Sequence[str]) -> Iterable[Sequence[bytes | None]]:
        """Return the cells of each entity."""
        if isinstance(self._store, QuickStore):
            return self._store.read_encoded(self._config, self._view, self._names, [self._key(i) for i in ids])
        found = self._store.online_read(self._config, self._view, [entity_key(i) for i in ids])
        nothing: dict[str, Value] = {}
        return [[(of or nothing).get(name, Value()).SerializeToString() for name in self._names] for _, of in found]

    def _row(self, cells: Sequence[bytes | None]) -> OnlineRow | None:
        *values, time = cells
        return OnlineRow(decoded_time(time), tuple(map(decoded, values))) if time else None


def _errors_of(online_store: Mapping[str, object] | None) -> Callable[[], AbstractContextManager[None]]:
    if online_store is None or online_store["type"] != "redis":
        return _sqlite_errors
    from homeostat.adapters.feast_features.redis_online import redis_errors  # noqa: PLC0415 - an extra of the package

    return redis_errors


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise TransientError(f"the online feature store doesn't answer: {error}") from error
