"""Healing case and ledger in a SQL database, by SQLAlchemy: SQLite embedded, PostgreSQL in production.

On PostgreSQL it says also which of several processes leads.
"""

from homeostat.adapters.sql.cases import SqlCases
from homeostat.adapters.sql.lead import PostgresLead
from homeostat.adapters.sql.ledger import SqlLedger

__all__ = ["PostgresLead", "SqlCases", "SqlLedger"]
