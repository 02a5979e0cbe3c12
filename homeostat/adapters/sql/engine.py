"""How the SQL adapters reach their database: SQLite or PostgreSQL for many processes, errors that say retry."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, func, select
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, Pool
from sqlalchemy.schema import CreateTable

from homeostat.errors import HomeostatError, TransientError

_OPEN_S = 5.0  # the time other processes get to make a new file: they need some 20 ms
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FULL = "the disk is full; nothing of this call was stored. Free some space, and it goes on"
_ROOM_S = 5.0  # room is made by a person, or by retention
_TABLES_LOCK = 0x686F6D656F  # any number that no other program takes: "homeo"
_REFUSED = re.compile(r"authentication failed|(role|database) \".*\" does not exist")  # libpq tells no code here
_TIMEOUTS = {
    "postgresql": {"connect_timeout": 5, "tcp_user_timeout": 10_000}  # seconds and milliseconds: libpq waits for ever
}


def open_engine(url: str, tables: MetaData, guards: Mapping[str, Sequence[str]] | None = None) -> Engine:
    """Return an engine on ``url`` with the tables made where they are missing.

    An acknowledged transaction survives a kill -9; on SQLite a power cut may lose the last ones.

    Args:
        url: As SQLAlchemy takes it.
        tables: What is to be there.
        guards: Statements by dialect that protect them, each to be run at every opening.

    Raises:
        TransientError: The database is locked, not reachable or out of room, now or in any later use of the engine.
        HomeostatError: The URL is none, or its server refuses the user or has no such database.
    """
    engine = make_engine(url)
    with engine.begin() as connection:
        _make_tables(connection, tables)
        for guard in (guards or {}).get(engine.dialect.name, ()):
            connection.exec_driver_sql(guard)
    return engine


def make_engine(url: str, connect: Mapping[str, object] | None = None, poolclass: type[Pool] | None = None) -> Engine:
    """Return an engine that has not connected yet, whose errors say whether to try again.

    Args:
        url: As SQLAlchemy takes it.
        connect: What the driver is told beside the time limits of every engine.
        poolclass: Where connections come from; by itself SQLAlchemy keeps some.

    Raises:
        HomeostatError: The URL is none.
    """
    try:
        dialect = make_url(url).get_backend_name()
        told = {**_TIMEOUTS.get(dialect, {}), **(connect or {})}
        engine = create_engine(url, pool_pre_ping=dialect != "sqlite", connect_args=told, poolclass=poolclass)
    except (ArgumentError, ImportError) as error:  # no URL; a driver that is unknown or not installed
        wanted = "expected postgresql+psycopg://USER:PASSWORD@HOST/DB, and `pip install homeostat[servers]`"
        raise HomeostatError(f"HOMEOSTAT_SQL__URL: {wanted}: {error}") from error
    if dialect == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "handle_error", _tell_transient, retval=True)
    return engine


def _make_tables(connection: Connection, tables: MetaData) -> None:
    """Make what is missing, also when two processes start at once."""
    if connection.dialect.name == "postgresql":  # where IF NOT EXISTS alone fails for one of two
        connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
    for table in tables.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    deadline = monotonic() + _OPEN_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")  # readers don't wait for a writer
            break
        except sqlite3.OperationalError as error:
            # Of processes that open a new file at once, SQLite lets one switch and fails the rest.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)
    cursor.execute("PRAGMA synchronous = NORMAL")  # no wait for the disk at each decision
    cursor.close()


def _tell_transient(context: ExceptionContext) -> BaseException | None:
    error = context.sqlalchemy_exception
    if not (isinstance(error, OperationalError) or context.is_disconnect):
        return None
    if context.is_pre_ping and context.is_disconnect:  # found dead before its use: the pool opens another one
        return None
    cause = context.original_exception
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    if _REFUSED.search(str(cause)):
        return HomeostatError(f"the database refuses us; look at HOMEOSTAT_SQL__URL: {cause}")
    return TransientError(f"the database is busy or away: {cause}")


def _of_sqlite(error: sqlite3.Error) -> TransientError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return TransientError(f"the database: {_FULL}", _ROOM_S)
    # a damaged file does not heal by waiting
    return TransientError(f"the database is busy: {error}") if code in _BUSY else None
