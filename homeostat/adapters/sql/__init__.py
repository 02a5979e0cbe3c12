"""Healing case and ledger in a SQL database, by SQLAlchemy: SQLite embedded, PostgreSQL in production."""

from homeostat.adapters.sql.cases import SqlCases
from homeostat.adapters.sql.ledger import SqlLedger

__all__ = ["SqlCases", "SqlLedger"]
