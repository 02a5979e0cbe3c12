"""The embedded event log: one SQLite file in WAL mode, shared by any number of processes."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from types import MappingProxyType

from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import Message, NewMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOPIC_BITS = 40  # a row id is topic << 40 | offset: a trillion messages in each of 8 million topics
_BUSY_S = 5.0  # how long SQLite itself waits for another process: thousands of times one append
_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
    topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, last_time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS commits (
    consumer TEXT NOT NULL, topic TEXT NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (consumer, topic)
) WITHOUT ROWID;
"""


class SqliteLog:
    """An event log in one file.

    An acknowledged append survives a kill -9 of the process. A power cut may lose the last ones, in
    order and whole calls at a time, unless ``power_safe`` makes every append wait for the disk.
    Times of a topic never go back: a message appended by a clock that stepped back gets the time of
    the one before it, so that ``offset_at`` can search by halves.

    Raises:
        TransientError: Another process kept the file locked for 5 s.
        HomeostatError: The disk is full or the file is damaged; the message names the file.
    """

    def __init__(self, path: Path, *, power_safe: bool = False, read_only: bool = False) -> None:
        """Open the file, making it and its folder where they are missing, or ``read_only`` as it is."""
        self._path = path
        self._lock = RLock()  # one connection, used by one thread at a time
        with self._explained():
            if read_only:  # SQLite itself refuses to write; a checkpoint or another writer is not in the way
                uri = f"{path.resolve().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(
                    uri, _BUSY_S, isolation_level=None, check_same_thread=False, uri=True
                )
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: transactions are written out, so that each takes its lock at its begin.
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            # Measured on appends of 130 messages: large pages take a third off, half of it at checkpoints.
            self._connection.execute("PRAGMA page_size = 16384")
            _switch_to_wal(self._connection)
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
            self._connection.execute("PRAGMA cache_size = -16000")  # 16 MB: the tail of every topic
            self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; the log can't be used any more."""
        with self._lock:
            self._connection.close()

    def append(self, messages: Sequence[NewMessage], at: datetime) -> None:
        """Append all messages or none, in the order given."""
        by_topic: dict[str, list[NewMessage]] = defaultdict(list)
        for message in messages:
            by_topic[message.topic].append(message)
        time = _to_us(at)
        with self._transaction() as connection:
            for topic, batch in by_topic.items():
                _append_batch(connection, topic, batch, time)

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        """Return up to ``limit`` messages from ``offset`` on, in order.

        Raises:
            HomeostatError: The offset was trimmed; going on at the first one kept would skip messages.
        """
        with self._explained():
            known = self._topic(topic)
            if known is None:
                return []
            topic_id, first, _ = known
            start = topic_id << _TOPIC_BITS
            rows = self._connection.execute(
                "SELECT id, time, headers, value FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                (start + offset, start + (1 << _TOPIC_BITS), limit),
            ).fetchall()
        if offset < first or (rows and rows[0][0] != start + offset):
            raise HomeostatError(f"{topic}: offset {offset} was trimmed; commit {first} or later to begin there")
        return [
            Message(topic, row_id - start, value, _headers(headers), _from_us(time))
            for row_id, time, headers, value in rows
        ]

    def end(self, topic: str) -> int:
        """Return the offset the next message will get."""
        with self._explained():
            known = self._topic(topic)
        return known[2] if known else 0

    def offset_at(self, topic: str, time: datetime) -> int:
        """Return the first offset kept whose message was appended at or after ``time`` (``end`` if none)."""
        with self._explained():
            known = self._topic(topic)
            return _first_at(self._connection, known, _to_us(time)) if known else 0

    def committed(self, group: str, topic: str) -> int:
        """Return the offset the group reads next; 0 if it never committed."""
        with self._explained():
            row = self._connection.execute(
                "SELECT next_offset FROM commits WHERE consumer = ? AND topic = ?", (group, topic)
            ).fetchone()
        return int(row[0]) if row else 0

    def commit(self, group: str, offsets: Mapping[str, int]) -> None:
        """Store the group's next offsets, all in one transaction."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO commits VALUES (?, ?, ?) "
                "ON CONFLICT (consumer, topic) DO UPDATE SET next_offset = excluded.next_offset",
                [(group, topic, offset) for topic, offset in offsets.items()],
            )

    def trim(self, topic: str, before: datetime) -> int:
        """Delete messages older than ``before`` and return how many; offsets keep counting.

        What a group that ever committed on this topic has still to read is kept. A step folds what it
        has read again after a restart: keep ``before`` further back than the longest memory span.
        """
        with self._transaction() as connection:
            known = self._topic(topic)
            if known is None:
                return 0
            topic_id, first, _ = known
            unread = connection.execute("SELECT min(next_offset) FROM commits WHERE topic = ?", (topic,)).fetchone()[0]
            keep = _first_at(connection, known, _to_us(before))
            keep = max(first, keep if unread is None else min(keep, unread))
            start = topic_id << _TOPIC_BITS
            connection.execute("DELETE FROM messages WHERE id >= ? AND id < ?", (start, start + keep))
            connection.execute("UPDATE topics SET first_offset = ? WHERE topic_id = ?", (keep, topic_id))
            return keep - first

    def _topic(self, name: str) -> tuple[int, int, int] | None:
        row: tuple[int, int, int] | None = self._connection.execute(
            "SELECT topic_id, first_offset, next_offset FROM topics WHERE name = ?", (name,)
        ).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")  # a later lock could fail after the first read
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise TransientError(f"the event log {self._path} is in use by another process") from error
            if code == sqlite3.SQLITE_FULL:
                raise TransientError(f"the event log {self._path}: {_FULL}", _ROOM_S) from error
            raise HomeostatError(f"the event log {self._path}: {_ADVICE.get(code, str(error))}") from error


_FULL = "the disk is full; nothing of this call was stored. Free some space, and it goes on"
_ROOM_S = 5.0  # room is made by a person, or by retention
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a copy",
    sqlite3.SQLITE_NOTADB: "this is not an SQLite file, or it is damaged; restore it from a copy",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; check the folder and its permissions",
    sqlite3.SQLITE_READONLY: "the file can't be written; check its permissions",
}


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Try until the mode is set: when processes open a new file at once, SQLite fails all but one, unasked to wait."""
    deadline = monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)
        else:
            return


def _append_batch(connection: sqlite3.Connection, topic: str, batch: Sequence[NewMessage], time: int) -> None:
    connection.execute("INSERT INTO topics VALUES (NULL, ?, 0, 0, ?) ON CONFLICT DO NOTHING", (topic, time))
    topic_id, offset, last_time = connection.execute(
        "SELECT topic_id, next_offset, last_time FROM topics WHERE name = ?", (topic,)
    ).fetchone()
    time = max(time, last_time)
    start = (topic_id << _TOPIC_BITS) + offset
    connection.executemany(
        "INSERT INTO messages VALUES (?, ?, ?, ?)",
        [(start + i, time, _text(tuple(dict(new.headers).items())), new.value) for i, new in enumerate(batch)],
    )
    connection.execute(
        "UPDATE topics SET next_offset = ?, last_time = ? WHERE topic_id = ?", (offset + len(batch), time, topic_id)
    )


def _first_at(connection: sqlite3.Connection, known: tuple[int, int, int], time: int) -> int:
    topic_id, low, high = known
    while low < high:
        middle = (low + high) // 2
        row_id = (topic_id << _TOPIC_BITS) + middle
        row = connection.execute("SELECT time FROM messages WHERE id = ?", (row_id,)).fetchone()
        if row is None or row[0] < time:  # none: trimmed meanwhile by another process
            low = middle + 1
        else:
            high = middle
    return int(low)


@lru_cache(maxsize=1024)
def _text(headers: tuple[tuple[str, str], ...]) -> str:
    """Return the headers as they are stored; most messages carry the same few."""
    return json.dumps(dict(headers))


@lru_cache(maxsize=1024)
def _headers(text: str) -> Mapping[str, str]:
    """Return the headers; most messages carry the same few, so a parsed one is shared, read-only."""
    return MappingProxyType(json.loads(text))


@lru_cache(maxsize=1024)
def _from_us(time: int) -> datetime:
    return _EPOCH + time * _MICROSECOND


def _to_us(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
