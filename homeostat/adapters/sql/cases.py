"""The healing case as one row a product in an SQL database."""

from dataclasses import replace

import msgspec
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, insert, select, update
from sqlalchemy.exc import IntegrityError

from homeostat.adapters.sql.engine import open_engine
from homeostat.errors import StaleCaseError
from homeostat.records import Case

_METADATA = MetaData()
_CASES = Table(
    "cases",
    _METADATA,
    Column("product", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),  # the case as JSON: a new field needs no migration
)


class SqlCases:
    """A case store in any database SQLAlchemy speaks to; safe for several processes.

    Raises:
        TransientError: The database is locked, not reachable or out of room.
    """

    def __init__(self, engine_url: str, product: str) -> None:
        """Open the database and make its table where it is missing."""
        self._engine = open_engine(engine_url, _METADATA)
        self._product = product

    def load(self) -> Case:
        """Return the current case, a stable one with revision 0 if there never was any."""
        query = select(_CASES.c.body).where(_CASES.c.product == self._product)
        with self._engine.connect() as connection:
            body = connection.execute(query).scalar_one_or_none()
        return Case() if body is None else msgspec.json.decode(body, type=Case)

    def save(self, case: Case) -> Case:
        """Store the case and return it with its new revision.

        Raises:
            StaleCaseError: The stored case has another revision.
        """
        saved = replace(case, revision=case.revision + 1)
        columns = {"revision": saved.revision, "body": msgspec.json.encode(saved).decode()}
        try:
            with self._engine.begin() as connection:
                if case.revision == 0:
                    connection.execute(insert(_CASES).values(product=self._product, **columns))
                    return saved
                ours = (_CASES.c.product == self._product) & (_CASES.c.revision == case.revision)
                if connection.execute(update(_CASES).where(ours).values(**columns)).rowcount == 1:
                    return saved
        except IntegrityError:
            pass  # somebody made the first revision: told below like any other
        raise StaleCaseError(f"revision {case.revision} of the case of {self._product} is not the stored one")
