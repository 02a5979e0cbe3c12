"""The messages of drift: one look at a window, and every score in it. Standard library only."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DriftStatus(StrEnum):
    """What a drift report concludes; silence is UNKNOWN, never HEALTHY."""

    HEALTHY = "healthy"
    DRIFTED = "drifted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DriftScore:
    """How far one column has moved from its reference, and whether that is more than chance."""

    name: str
    psi: float
    psi_limit: float  # the value calm windows stay under, for these row counts
    ks: float | None  # of the lengths where a column has many texts; None for other categories
    ks_limit: float | None
    p_value: float
    drifted: bool
    distances: dict[str, float] = field(default_factory=dict)  # other measures of the same counts, by name
    share: float | None = None  # of the champion's attribution; None where it isn't known
    damage: float | None = None  # loss a row that the move may cost, in the unit of the contract's objective
    # of a vector: how far the whole of it has moved; its index is of where it lies along one direction, or is missing
    embedding: float | None = None
    embedding_limit: float | None = None
    floor_rate: float | None = None  # false alarms a look, from which on a move of just the floor shows; None: unknown
    floor_training: int | None = None  # times the training that would do instead; None: not needed, or 8 won't do

    @property
    def size(self) -> tuple[float, float]:
        """How far the column has moved in units of the symmetric divergence, and what calm windows stay under."""
        if self.embedding is not None and self.embedding_limit is not None:
            return self.embedding, self.embedding_limit
        return self.psi, self.psi_limit

    @property
    def worst(self) -> tuple[str, float, float]:
        """The index that exceeds what calm windows stay under the most: its name, its value and its limit."""
        told = [
            ("psi", self.psi, self.psi_limit),
            ("ks", self.ks, self.ks_limit),
            ("distance", self.embedding, self.embedding_limit),
        ]
        known = [(name, value, limit) for name, value, limit in told if value is not None and limit is not None]
        return max(known, key=lambda index: index[1] / index[2] if index[2] else 0.0)


@dataclass(frozen=True, slots=True)
class DomainScore:
    """How well a classifier tells the window's rows from the reference's, whatever way they differ in."""

    auc: float  # of rows it did not see
    auc_limit: float  # the value calm windows stay under
    p_value: float
    drifted: bool
    carried: dict[str, float] = field(default_factory=dict)  # share of what it learnt, by feature, the largest first


@dataclass(frozen=True, slots=True)
class Attribution:
    """What one feature is to a model, measured on rows of its training."""

    share: float  # of the mean absolute contribution to the log-odds, over all features
    worth: float  # loss a row that the model gains by the feature: what shuffling it costs


@dataclass(frozen=True, slots=True)
class Performance:
    """Loss on mature labels against what was promised at training."""

    rows: int
    loss: float
    expected_loss: float
    p_value: float
    calibration_error: float  # mean score minus label rate
    degraded: bool
    calibration_p_value: float | None = None  # of that gap, two-sided


@dataclass(frozen=True, slots=True)
class LabelRate:
    """The rate of ones among the mature labels of a window, beside that of training; it says nothing of the scores."""

    rows: int
    rate: float
    training_rate: float
    spread: float | None  # standard deviation from training window to window, beyond chance; None where too few
    low: float  # calm windows lie from there
    high: float  # to there
    p_value: float
    moved: bool


@dataclass(frozen=True, slots=True)
class LossEstimate:
    """The loss of the window as the scores themselves announce it: no label needed."""

    rows: int
    loss: float  # in the unit of the contract's objective
    low: float  # 95 % interval of the loss its labels will show, if the scores mean what they say
    high: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of event time, both ends included."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class DataIncident:
    """Rows that a fault has broken: neither drift, nor anything to learn from."""

    kind: str
    columns: tuple[str, ...]
    what: str
    since: datetime  # event time from which rows are left out: the fault began in the stretch after it
    until: datetime
    active: bool  # the newest rows have it
    factor: float | None = None  # of a change of unit


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One look at a window: its span, its row count, every score, and the reasons in words."""

    report_id: str
    at: datetime
    window_start: datetime
    window_end: datetime
    rows: int
    status: DriftStatus
    version: str | None  # the champion whose training profile is the reference
    features: tuple[DriftScore, ...] = ()
    prediction: DriftScore | None = None
    embedding: DriftScore | None = None
    performance: Performance | None = None
    reasons: tuple[str, ...] = ()
    estimate: LossEstimate | None = None
    incidents: tuple[DataIncident, ...] = ()  # of the window and of the rows whose labels may still come
    domain: DomainScore | None = None
    reference: str | None = None  # what the window was held against, where the contract asks for a season
    changed_at: datetime | None = None  # event time of the first row behind the change, as estimated; where it drifted
    labelled_since: int | None = None  # mature rows with a label from then on, all of them where nothing dates it
    label_rate: LabelRate | None = None  # where enough labels are mature and the champion's profile knows its own
