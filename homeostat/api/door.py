"""What the API needs from behind it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.query import Query
from homeostat.ports import AliasReader, DecisionDesk, Ledger
from homeostat.records import Prediction

Answer = Prediction | InvalidRecordError

STOPPING = "stopping"
"""What a front says of itself while it finishes its work and takes none."""


class FrontDoor(Protocol):
    """What the API needs of a product's front; all of it returns at once."""

    contract: Contract

    @property
    def failure(self) -> BaseException | None:
        """What ended the front, None while it works."""

    def admit(self, rows: int, *, stored: bool) -> None:
        """Return where so many rows would be taken now; to judge them first takes far longer than to refuse them.

        Args:
            rows: How many.
            stored: Whether they are records for the log, no questions about what is stored.

        Raises:
            OverloadedError: They would not.
        """

    def send(self, events: Sequence[bytes], labels: Sequence[bytes]) -> Future[None]:
        """Return a future that is done when the records are durable.

        Raises:
            OverloadedError: Too much waits already, or the front takes no more work.
        """

    def predict(self, rows: Sequence[bytes | Query]) -> Future[list[Answer]]:
        """Return a future with one answer for each row, in order.

        Raises:
            OverloadedError: Too much waits already, or the front takes no more work.
        """

    def ready(self) -> str | None:
        """Return None when predictions come from a model, else what they wait for, or ``STOPPING``."""


class ClockDesk(Protocol):
    """The instance's clock as a replay sees it."""

    @property
    def mode(self) -> str:
        """``system`` or ``stream``."""

    def now(self) -> datetime:
        """Return the time."""

    def advance_to(self, time: datetime) -> None:
        """Set the time of a stream clock.

        Raises:
            HomeostatError: It is the machine's clock, or the time is in the past.
        """

    def settled(self) -> bool:
        """Return whether everything due by now is done."""


class OperatorDesk(AliasReader, DecisionDesk, Protocol):
    """Where operators hand in decisions, and what they decide on."""


@dataclass(frozen=True, slots=True)
class Served:
    """One product behind the API."""

    front: FrontDoor
    status: Callable[[], dict[str, Any]]
    ledger: Callable[[], Ledger]  # opened when it is asked for
    desk: OperatorDesk | None = None  # None: decisions can't be handed in here
