"""The messages of the loop: one frozen dataclass for each, standard library only.

Every time is an aware UTC ``datetime``. ``event_time`` and ``label_time`` are times in the world;
fields named ``..._at`` are processing times. Every record has an id that is a pure function of its
cause, so that a record made twice is the same record.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from homeostat.batches import FeatureRows, RawEvents, RawLabels
from homeostat.cells import Cell, SparseVector, Vector
from homeostat.drift_records import (
    Attribution,
    DataIncident,
    DomainScore,
    DriftReport,
    DriftScore,
    DriftStatus,
    LabelRate,
    LossEstimate,
    Performance,
    Span,
)

__all__ = [  # which live next door
    "Attribution",
    "Cell",
    "DataIncident",
    "DomainScore",
    "DriftReport",
    "DriftScore",
    "DriftStatus",
    "LabelRate",
    "LossEstimate",
    "Performance",
    "Span",
    "SparseVector",
    "Vector",
]

HOMEOSTAT = "homeostat"
"""The actor of what was decided without a person."""


def derived_id(*parts: str) -> str:
    """Return a 16-character id that depends on the parts alone, so a replay makes the same one."""
    return blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


class Arm(StrEnum):
    """Which side of the traffic split a prediction was served from."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    NONE = "none"  # no model was ready: the row is logged without a score, so its label is not lost


class TrainingStatus(StrEnum):
    """How a training run ended."""

    CANDIDATE = "candidate"
    NOTHING_BETTER = "nothing_better"
    FAILED = "failed"


class Action(StrEnum):
    """What a canary verdict asks for."""

    START = "start"  # offline gates passed: give it traffic
    PROMOTE = "promote"
    REJECT = "reject"
    ROLLBACK = "rollback"
    STEP = "step"  # nothing speaks against it so far: give it more traffic


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as a producer sent it, not yet held against the contract."""

    value: bytes


@dataclass(frozen=True, slots=True)
class RawLabel:
    """A label as a producer sent it, not yet held against the contract."""

    value: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, with its bytes and the reason."""

    letter_id: str
    topic: str
    reason: str
    value: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """The features of one event, computed with what was known strictly before ``event_time``."""

    event_id: str
    entity_id: str
    event_time: datetime
    values: tuple[Cell, ...]  # in the contract's feature order


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one event, known from ``label_time`` on."""

    event_id: str
    label_time: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """One served score with everything needed to judge it later."""

    prediction_id: str
    event_id: str
    entity_id: str
    event_time: datetime
    predicted_at: datetime
    arm: Arm
    version: str | None
    score: float | None
    propensity: float  # probability with which this entity falls into this arm
    latency_ms: float
    values: tuple[Cell, ...]
    scores: dict[str, float] = field(default_factory=dict)  # by version, every model that scored the row
    fallback: str | None = None  # why the champion answered for the challenger
    on_request: bool = False  # asked for by itself, not made for an event: no feature row has these values
    slow: tuple[str, ...] = ()  # versions that would have broken the promised latency by themselves
    spared: tuple[str, ...] = ()  # versions that were not to score the row, which says nothing of them


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction whose label is mature: it came, or it never will (``label`` is None)."""

    event_id: str
    entity_id: str
    event_time: datetime
    label_time: datetime | None
    label: float | None
    arm: Arm
    version: str | None
    score: float | None
    scores: dict[str, float] = field(default_factory=dict)
    values: tuple[Cell, ...] = ()  # of a prediction on request: what it rested on
    slices: tuple[str, ...] = ()  # its values of the features that a canary looks at one by one
    spared: tuple[str, ...] = ()  # as the prediction's


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """The healer's order to look for a better model."""

    request_id: str  # also the id of the healing case
    requested_at: datetime
    report_id: str | None  # None on a cold start
    reason: str
    drift_since: datetime | None  # when the change came, as estimated
    champion: str | None
    seed: int
    report: DriftReport | None = None  # the evidence itself: it is registered with what comes of it
    broken: tuple[Span, ...] = ()  # event times that nothing is learnt from


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What came of a retrain request; a failure travels like any other result."""

    run_id: str
    request_id: str
    status: TrainingStatus
    version: str | None
    reason: str
    cpu_s: float
    finished_at: datetime
    receipt: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """The judge's word on one challenger, with the evidence it rests on."""

    verdict_id: str
    request_id: str
    at: datetime
    action: Action
    version: str | None
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    actor: str = HOMEOSTAT  # whose word it is: the judge's own, or an operator's put into a verdict


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of who serves, as carried out in the registry, or a decision to leave it."""

    promotion_id: str
    request_id: str
    at: datetime
    action: Action
    version: str | None
    champion: str | None  # after the action
    reason: str


class CaseState(StrEnum):
    """Where a case stands."""

    STABLE = "stable"
    TRAINING = "training"
    CANARY = "canary"
    WAITING = "waiting"  # the canary's evidence speaks for the challenger; an operator has to approve it
    COOLDOWN = "cooldown"


@dataclass(frozen=True, slots=True)
class Case:
    """One healing case; between cases the state is STABLE.

    ``request_id`` names the case and every record it causes. ``trained_at`` keeps the times of past
    retrain requests, newest last, so that the budget survives a restart.
    """

    state: CaseState = CaseState.STABLE
    revision: int = 0
    request_id: str | None = None
    report: DriftReport | None = None  # why it was opened, None on a cold start
    reason: str = ""
    since: datetime | None = None  # when this state was entered; a waiting canary keeps when it began
    drift_since: datetime | None = None
    challenger: str | None = None
    cooldown_until: datetime | None = None
    trained_at: tuple[datetime, ...] = ()
    actor: str = HOMEOSTAT  # who opened it
    held: bool = False  # by an operator: only an operator or a broken guardrail ends the canary
    unanswered: str | None = None  # what an operator who opened it is told, until that was done
    fruitless: int = 0  # cases in a row that ended without a better model than `fruitless_against`
    fruitless_against: str | None = None
    champion: str | None = None  # who serves by the last decision: a person has moved an alias that says otherwise
    previous: str | None = None  # the way back, likewise
    serving_entry: str | None = None  # the ledger's entry by which `champion` began to serve
    serving_since: datetime | None = None  # when that was: brought back by hand, a version begins anew
    waiting_since: datetime | None = None  # since when an approval is waited for
    share: float | None = None  # of entities that the challenger answers, by the last step of its canary
    share_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody works on it: neither closed nor cooling down."""
        return self.state not in {CaseState.STABLE, CaseState.COOLDOWN}

    @property
    def on_trial(self) -> bool:
        """Whether a challenger scores live traffic."""
        return self.state in {CaseState.CANARY, CaseState.WAITING}


Record = (
    RawEvent
    | RawEvents
    | RawLabel
    | RawLabels
    | DeadLetter
    | FeatureRow
    | FeatureRows
    | Label
    | Prediction
    | Outcome
    | DriftReport
    | RetrainRequest
    | TrainingRun
    | CanaryVerdict
    | Promotion
)
