"""Feast's SQLite online store with its cells clustered by entity and one statement a batch.

Half the time and half the file of Feast's own class: that one keeps three B-trees and runs a statement for
each cell. The table has the same name and columns, so ``type: sqlite`` reads what is written here.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig

from homeostat.adapters.feast_features.encoding import EncodedRow, QuickStore
from homeostat.features.schema import EVENT_TIME_US

_TYPE = "homeostat.adapters.feast_features.sqlite_online.BatchSqliteOnlineStore"

_TABLE = """CREATE TABLE IF NOT EXISTS "{table}" (
    entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, vector_value BLOB,
    event_ts timestamp, created_ts timestamp, PRIMARY KEY (entity_key, feature_name)
) WITHOUT ROWID"""
_WRITE = """INSERT INTO "{table}" (entity_key, feature_name, value, event_ts) VALUES (?, ?, ?, ?)
    ON CONFLICT (entity_key, feature_name) DO UPDATE SET value = excluded.value, event_ts = excluded.event_ts"""
# The time of the event stands in each cell of a row; one of them is enough to find the row by.
_OLD = """SELECT entity_key FROM "{table}" WHERE entity_key > ? AND feature_name = ? AND event_ts < ?
    ORDER BY entity_key LIMIT ?"""
_FORGET = 'DELETE FROM "{table}" WHERE entity_key = ? AND event_ts < ?'
_AT_A_STROKE = 1_000  # entities: while they are deleted nobody else writes
_READ = 'SELECT entity_key, feature_name, value FROM "{table}" WHERE entity_key IN ({marks})'


class BatchSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """The ``online_store`` section: the type and the path of the file."""

    type: Literal["homeostat.adapters.feast_features.sqlite_online.BatchSqliteOnlineStore"] = _TYPE  # type: ignore[assignment]


class BatchSqliteOnlineStore(QuickStore, SqliteOnlineStore):
    """Reads and writes whole batches; everything else is Feast's."""

    def update(  # type: ignore[override] # Feast passes the last three by name
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        *,
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Create the tables of new views and drop those of deleted ones."""
        connection = self._get_conn(config)
        for view in tables_to_keep:
            connection.execute(_TABLE.format(table=_table(config, view)))
        super().update(config, tables_to_delete, tables_to_keep, entities_to_delete, entities_to_keep, partial)
        for view in tables_to_keep:  # the primary key begins with the entity already
            connection.execute(f'DROP INDEX IF EXISTS "{_table(config, view)}_ek"')

    def write_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], rows: Sequence[EncodedRow]
    ) -> None:
        """Write rows in one transaction."""
        cells: list[tuple[bytes, str, bytes, int]] = []
        for key, event_time, values in rows:
            seconds = _stored_seconds(event_time)
            cells.extend((key, name, value, seconds) for name, value in zip(names, values, strict=True))
        connection = self._get_conn(config)
        with connection:
            connection.executemany(_WRITE.format(table=_table(config, table)), cells)

    def read_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], keys: Sequence[bytes]
    ) -> list[Sequence[bytes | None]]:
        """Read rows by one statement: all of a row lies together."""
        rows: dict[bytes, dict[str, bytes]] = {key: {} for key in keys}
        sql = _READ.format(table=_table(config, table), marks=",".join("?" * len(keys)))
        for key, name, value in self._get_conn(config).execute(sql, keys):
            rows[key][name] = value
        return [[rows[key].get(name) for name in names] for key in keys]

    def forget(self, config: RepoConfig, table: FeatureView, before: datetime) -> int:
        """Delete the rows of events before a time, some entities at a stroke."""
        connection, name, seconds = self._get_conn(config), _table(config, table), _stored_seconds(before)
        gone, key = 0, b""
        while True:
            found = connection.execute(_OLD.format(table=name), (key, EVENT_TIME_US, seconds, _AT_A_STROKE)).fetchall()
            if not found:
                return gone
            with connection:
                connection.executemany(_FORGET.format(table=name), [(old, seconds) for (old,) in found])
            gone, key = gone + len(found), found[-1][0]

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        """Return the connection, in a mode in which readers and the writer don't wait for each other."""
        if self._conn is None:
            self._conn = super()._get_conn(config)
            self._conn.execute("PRAGMA journal_mode=WAL")
            self._conn.execute("PRAGMA synchronous=NORMAL")  # kill -9 loses nothing; a power cut, the last rows
        return self._conn


def _table(config: RepoConfig, view: FeatureView) -> str:
    return compute_table_id(config.project, view, config.registry.enable_online_feature_view_versioning)


def _stored_seconds(time: datetime) -> int:
    """Return what Feast's class stores: the UTC time read as if it were local."""
    return int(time.astimezone(UTC).replace(tzinfo=None).timestamp())
