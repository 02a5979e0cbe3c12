"""What the steps need from the world. The obligations stated here are tested in tests/contracts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import polars as pl

from homeostat.batches import FeatureRows
from homeostat.records import Case, Cell, FeatureRow, Outcome

ALIASES: Final = ("champion", "challenger", "previous")
PAGE_BYTES: Final = 4 << 20  # a read of messages so large that they fill this may end early


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a topic."""

    topic: str
    offset: int  # from 0 up within a topic
    value: bytes
    headers: Mapping[str, str]
    time: datetime  # processing time of the append, to the ms at least
    lane: int = 0  # of a log that is cut into several


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be appended."""

    topic: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class EventLog(Protocol):
    """A durable, ordered log of messages by topic.

    Obligations: ``append`` returns only when the messages survive a kill -9 of this process; a call refused for its
    content appends none, one that fails on the way may have appended some. Offsets start at 0 and are consecutive but
    for the marks of an outside producer's transactions; ``read`` skips and repeats no message; a committed offset
    survives a restart and is per (group, topic). Times may step back where several append. A topic springs into
    being at its first append. ``trim`` removes nothing that a group has still to read.
    """

    def append(self, messages: Sequence[NewMessage], at: datetime) -> None:
        """Append in the order given, stamped ``at``."""

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        """Return up to ``limit`` messages from ``offset`` on, in order; none at the end alone."""

    def end(self, topic: str) -> int:
        """Return the offset the next message will get."""

    def offset_at(self, topic: str, time: datetime) -> int:
        """Return the first offset whose message was appended at or after ``time`` (``end`` if none)."""

    def committed(self, group: str, topic: str) -> int:
        """Return the offset the group reads next; 0 if it never committed."""

    def commit(self, group: str, offsets: Mapping[str, int]) -> None:
        """Store the group's next offsets, all topics in one transaction."""

    def trim(self, topic: str, before: datetime) -> int:
        """Delete messages appended before a time that everybody has read, and return how many."""


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """The freshest features of an entity."""

    event_time: datetime
    values: tuple[Cell, ...]  # in the contract's feature order


class OnlineFeatures(Protocol):
    """The last feature row of each entity.

    Obligations: within a call an older row never overwrites a newer one; writing one again changes nothing; missing
    comes back as None; types come back as they went in; ``forget`` takes no row at or after its time.
    """

    def write(self, rows: Sequence[FeatureRow]) -> None:
        """Store the last row of each entity among ``rows``."""

    def read(self, entity_ids: Sequence[str]) -> list[OnlineRow | None]:
        """Return one row per id in the order asked, None where the entity is unknown."""

    def forget(self, before: datetime) -> int:
        """Delete the rows of events before a time and return how many went."""


class OfflineFeatures(Protocol):
    """Every feature row and every mature outcome, for training.

    Obligations: a row is kept once by event id and survives a kill -9; ``training_frame`` is a point-in-time join, at
    the event time of each labelled outcome; ``forget`` takes no row from its time on and leaves none a week older.
    """

    def write_features(self, rows: Sequence[FeatureRow | FeatureRows]) -> None:
        """Append feature rows, single ones and many as columns."""

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Append mature outcomes."""

    def training_frame(self, until: datetime) -> pl.DataFrame:
        """Return the labelled rows with ``event_time < until`` in event-time order.

        Columns: ``event_id`` (str), ``event_time`` (datetime, UTC, microseconds), ``label`` (float64),
        then one per feature in contract order: float64 for a number, str for a category.
        """

    def forget(self, before: datetime) -> int:
        """Delete rows of events before a time, whole weeks at least, and return how many weeks or rows went."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """Who serves: the versions behind the registry's aliases, None where an alias is not set."""

    champion: str | None = None
    challenger: str | None = None
    previous: str | None = None
    share: float | None = None  # of entities that the challenger answers; None: as the contract begins a canary
    since: datetime | None = None  # when the champion began to serve, None where the loop hasn't said so
    vouched: "Aliases | None" = field(default=None, compare=False, repr=False)  # by the loop; None: nobody yet


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A model as files (text formats only, never pickle) and what is known about it."""

    files: Mapping[str, bytes]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperatorDecision:
    """What an operator wants, as its tags say it; ``homeostat.healing.operator`` knows the words."""

    version: str | None  # None: it stands on the registered model itself
    action: str
    by: str | None = None
    reason: str | None = None


class AliasReader(Protocol):
    """Knows who serves: all that an onlooker needs of a model registry."""

    def aliases(self) -> Aliases:
        """Return who serves now."""


class DecisionDesk(Protocol):
    """Where an operator's decisions are handed in: all that a command line needs of a model registry."""

    def decide(self, decision: OperatorDecision) -> None:
        """Open a decision on a version that there is, else a ModelError, in place of an older one and its answer."""

    def answered(self, version: str | None) -> str | None:
        """Return what became of the last decision on a version, None while it is open or if there never was one."""


class ModelRegistry(AliasReader, DecisionDesk, Protocol):
    """Versions of one product's model and the aliases that say who serves.

    Obligations: versions are immutable and never reused; ``register`` with a known ``request_id`` gives its version and
    stores nothing; an alias points to one version; ``aliases`` and ``decisions`` see a person's edits and may be asked
    every second. A version or the model has at most one open decision, the last set, while its tag is there.
    """

    def register(self, package: ModelPackage, request_id: str) -> str:
        """Store a package and return its version."""

    def load(self, version: str) -> ModelPackage:
        """Return the package stored under a version that there is, else a ModelError."""

    def set_alias(self, alias: str, version: str | None, share: float | None = None) -> None:
        """Point one of ``ALIASES`` to a version, the challenger's with its share, or clear it with None."""

    def mover(self, alias: str, version: str | None) -> str | None:
        """Return who put an alias on a version, or took it away (None), where the registry knows who asks it."""

    def tag(self, version: str | None, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a version, of the model itself with None."""

    def describe(self, version: str, text: str | None, pages: Mapping[str, str]) -> None:
        """Put a text (Markdown), if one is given, and pages by file name beside a version, in place of older ones."""

    def decisions(self) -> list[OperatorDecision]:
        """Return the open decisions, the model's own first, then by version."""

    def answer(self, decision: OperatorDecision, text: str) -> None:
        """Close a decision with what became of it; one that is open no more, or says another word now, is left."""


class CaseStore(Protocol):
    """The one healing case of a product.

    Obligations: ``save`` is atomic and checks that the stored revision is ``case.revision``; it returns
    the case with the next revision; of two savers of the same revision one gets StaleCaseError.
    """

    def load(self) -> Case:
        """Return the current case, a stable one with revision 0 if there never was any."""

    def save(self, case: Case) -> Case:
        """Store the case and return it with its new revision."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One decision: what, when, by whom, why; chained to the entry before it by its hash."""

    seq: int
    entry_id: str
    at: datetime
    kind: str
    actor: str
    payload: Mapping[str, Any]
    previous_hash: str
    hash: str


class Ledger(Protocol):
    """The append-only, hash-chained record of decisions.

    Obligations: appending an ``entry_id`` again returns the first entry and adds nothing; ``seq`` is
    consecutive from 1; any edit, removal or reordering of stored entries is found by ``verify``.
    """

    def append(
        self, entry_id: str, at: datetime, kind: str, payload: Mapping[str, Any], actor: str = "homeostat"
    ) -> LedgerEntry:
        """Add an entry and return it."""

    def entries(self, after: int = 0) -> list[LedgerEntry]:
        """Return the entries behind that ``seq`` in order, by itself all of them."""

    def verify(self) -> int:
        """Return the number of entries when the chain is whole.

        Raises:
            LedgerError: An entry does not fit the chain; the message names it.
        """


Severity = Literal["info", "warning", "critical"]  # how soon somebody has to look: never, today, or now


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person outside wants to know at once; it travels to a sink, never through the log."""

    alert_id: str  # of its cause: the same cause never makes two alerts
    at: datetime
    product: str
    kind: str
    severity: Severity
    what: str
    evidence: dict[str, str]  # ids under which the evidence is found
    todo: str


class AlertSink(Protocol):
    """Where alerts go: to people.

    Obligations: an alert whose id was sent before changes nothing, nor after a restart where the sink keeps anything;
    an alert that was acknowledged survives a kill -9; after a failure the same alert may be sent again.
    """

    def send(self, alert: Alert) -> None:
        """Deliver an alert, once by its id, or raise TransientError when it can't be now."""


class Telemetry(Protocol):
    """Numbers about the running system; names come from ``homeostat.metric_names``."""

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float | None, **labels: str) -> None:
        """Set a gauge; with None it is shown no more."""

    def timestamp(self, name: str, at: datetime | None, now: datetime, **labels: str) -> None:
        """Set a gauge to a time, None for never; ``now`` is by the caller's clock, what is shown by the machine's."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""


class Clock(Protocol):
    """Where the time comes from; a replay brings its own."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
