"""How the SQL adapters reach their database: SQLite tuned for many processes, errors that say retry."""

import sqlite3
from time import monotonic, sleep

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateTable

from homeostat.errors import TransientError

_OPEN_S = 5.0  # the time other processes get to make a new file: they need some 20 ms
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def open_engine(url: str, tables: MetaData) -> Engine:
    """Return an engine on ``url`` with the tables made where they are missing.

    An acknowledged transaction survives a kill -9; on SQLite a power cut may lose the last ones.

    Raises:
        TransientError: The database is locked or not reachable, now or in any later use of the engine.
    """
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "handle_error", _tell_transient, retval=True)
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))  # two processes may start at once
    return engine


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
    if not isinstance(error, OperationalError):
        return None
    if context.dialect.name == "sqlite" and getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
        return None  # a damaged file or a full disk does not heal by waiting
    return TransientError(f"the database is busy or away: {error.orig}")
