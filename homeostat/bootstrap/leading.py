"""A process of which several may run: one leads, and another takes over when it goes."""

from typing import Protocol

from homeostat.adapters.memory_lead import MemoryLead
from homeostat.adapters.sql import PostgresLead
from homeostat.contract.model import Contract
from homeostat.settings import Settings


class Lead(Protocol):
    """The right of one process of several to act.

    Obligations: one has it at a time, among all that ask for the same; it ends when that one leaves, dies or loses its
    connection, and whoever asks next has it. Who has lost it is told so by ``check`` until it takes it anew.
    """

    def take(self) -> bool:
        """Return whether this process leads now, as it does where nobody else did; TransientError: ask again later."""

    def check(self) -> None:
        """Raise a LostLeadError unless this process leads still."""

    def leave(self) -> None:
        """Let another one lead, at once."""


def lead_of(process: str, contract: Contract, settings: Settings) -> Lead:
    """Return what says whether this process leads: PostgreSQL, where the settings name it, else it is alone."""
    url = settings.sql.url.get_secret_value() if settings.sql else ""
    if not url.startswith("postgresql"):
        return MemoryLead()
    return PostgresLead(url, f"homeostat {contract.product} {process}")
