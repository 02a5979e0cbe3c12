"""The ledger as an append-only, hash-chained table in an SQL database."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from homeostat.adapters.sql.engine import open_engine
from homeostat.errors import LedgerError
from homeostat.healing import chain
from homeostat.ports import LedgerEntry

_METADATA = MetaData()
_ENTRIES = Table(
    "ledger",
    _METADATA,
    Column("product", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("entry_id", String(255), nullable=False),
    Column("at", String(40), nullable=False),  # ISO-8601: the very text that is hashed
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("payload", Text, nullable=False),  # canonical JSON: the very text that is hashed
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("product", "entry_id"),
)
_HEADS = Table(
    "ledger_heads",
    _METADATA,
    Column("product", String(64), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
# The chain finds what whoever owns the database did to it; everybody else, ourselves first, is kept from it.
_REFUSAL = "the ledger is append-only"
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS ledger_takes_no_{act} BEFORE {act} ON ledger "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for act in ("update", "delete")
    ],
    "postgresql": [
        f"""DO $do$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'ledger_appends' AND tgrelid = 'ledger'::regclass) THEN
            CREATE OR REPLACE FUNCTION ledger_appends() RETURNS trigger LANGUAGE plpgsql AS
                $f$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $f$;
            CREATE TRIGGER ledger_appends BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
                FOR EACH STATEMENT EXECUTE FUNCTION ledger_appends();
        END IF; END $do$"""
    ],
}


class SqlLedger:
    """A ledger in any database SQLAlchemy speaks to; safe for several processes.

    Raises:
        TransientError: The database is locked, not reachable or out of room.
    """

    def __init__(self, engine_url: str, product: str) -> None:
        """Open the database and make its tables, and the product's head, where they are missing."""
        self._engine = open_engine(engine_url, _METADATA, _APPEND_ONLY)
        self._product = product
        first = insert(_HEADS).values(product=product, seq=chain.EMPTY.seq, hash=chain.EMPTY.hash)
        try:
            with self._engine.begin() as connection:
                connection.execute(first)
        except IntegrityError:
            pass  # not the first start

    def append(
        self, entry_id: str, at: datetime, kind: str, payload: Mapping[str, Any], actor: str = "homeostat"
    ) -> LedgerEntry:
        """Add an entry once by ``entry_id`` and return it.

        Raises:
            LedgerError: The head of the chain or the entry already stored can't be read.
        """
        ours = _HEADS.c.product == self._product
        with self._engine.begin() as connection:
            # Touching the head takes the write lock of every dialect before anything is read.
            connection.execute(update(_HEADS).where(ours).values(seq=_HEADS.c.seq))
            head = connection.execute(select(_HEADS.c.seq, _HEADS.c.hash).where(ours)).one_or_none()
            if head is None:
                raise LedgerError(f"the head of the ledger of {self._product} is gone; run homeostat log --verify")
            stored = self._stored(connection, entry_id)
            if stored is not None:
                return stored
            entry = chain.link(chain.Head(*head), entry_id, at, kind=kind, actor=actor, payload=payload)
            connection.execute(insert(_ENTRIES).values(product=self._product, **_columns(entry)))
            connection.execute(update(_HEADS).where(ours).values(seq=entry.seq, hash=entry.hash))
            return entry

    def entries(self, after: int = 0) -> list[LedgerEntry]:
        """Return the entries behind a ``seq`` in order.

        Raises:
            LedgerError: A stored entry is not as it was written.
        """
        ours = (_ENTRIES.c.product == self._product) & (_ENTRIES.c.seq > after)
        query = select(_ENTRIES).where(ours).order_by(_ENTRIES.c.seq)
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def verify(self) -> int:
        """Return the number of entries when the chain is whole.

        Raises:
            LedgerError: An entry does not fit the chain; the message names it.
        """
        head = (_HEADS.c.seq.label("head_seq"), _HEADS.c.hash.label("head_hash"))
        joined = _HEADS.join(_ENTRIES, _ENTRIES.c.product == _HEADS.c.product, isouter=True)
        # One statement, so that an entry appended meanwhile is seen with its head or not at all.
        query = select(_ENTRIES, *head).select_from(joined).where(_HEADS.c.product == self._product)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query.order_by(_ENTRIES.c.seq)).mappings().all()
        except DBAPIError as error:
            raise LedgerError(f"the ledger of {self._product} can't be read: {error.orig}") from error
        if not rows:
            raise LedgerError(f"the head of the ledger of {self._product} is gone")
        entries = [_entry(row) for row in rows if row["seq"] is not None]
        return chain.verify(entries, chain.Head(rows[0]["head_seq"], rows[0]["head_hash"]))

    def _stored(self, connection: Connection, entry_id: str) -> LedgerEntry | None:
        same = (_ENTRIES.c.product == self._product) & (_ENTRIES.c.entry_id == entry_id)
        row = connection.execute(select(_ENTRIES).where(same)).mappings().one_or_none()
        return None if row is None else _entry(row)


def _columns(entry: LedgerEntry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "entry_id": entry.entry_id,
        "at": chain.plain(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "payload": chain.canonical(entry.payload),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def _entry(row: RowMapping) -> LedgerEntry:
    """Return the entry of a row, or refuse a row that would not be written like this."""
    try:
        entry = LedgerEntry(
            seq=row["seq"],
            entry_id=row["entry_id"],
            at=datetime.fromisoformat(row["at"]),
            kind=row["kind"],
            actor=row["actor"],
            payload=json.loads(row["payload"]),
            previous_hash=row["previous_hash"],
            hash=row["hash"],
        )
        intact = all(row[name] == value for name, value in _columns(entry).items())
    except (TypeError, ValueError) as error:
        raise LedgerError(f"entry {row['seq']} ({row['entry_id']}) was changed: {error}") from error
    if not intact:
        raise LedgerError(f"entry {row['seq']} ({row['entry_id']}) was changed: it is not as it was written")
    return entry
