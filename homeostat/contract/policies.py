"""The knobs of a contract, with their defaults and units."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: object) -> timedelta:
    """Return a span written as a whole number and a unit: 90s, 15m, 3h, 7d, 2w.

    Raises:
        ValueError: The text has another form, or names no span a clock can hold.
    """
    if isinstance(value, timedelta):
        return value
    text = str(value)
    if not isinstance(value, str) or text[-1:] not in _UNITS or not text[:-1].isdigit():
        raise ValueError("expected a whole number with a unit s, m, h, d or w, like 15m or 7d")
    try:
        return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
    except OverflowError as error:
        raise ValueError("expected a span shorter than some million years") from error


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]


class Part(BaseModel):
    """A part of a contract: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Constraints(Part):
    """What a model must satisfy before it may serve, whatever its loss."""

    min_auc: float | None = Field(default=None, ge=0.5, le=1)
    max_calibration_error: float | None = Field(default=None, gt=0, le=1)
    max_model_mib: float = Field(default=16.0, gt=0)


class Objective(Part):
    """What is to be made small, and what has to hold meanwhile."""

    metric: Literal["log_loss", "brier"] = "log_loss"
    constraints: Constraints = Constraints()


class AlarmBudget(Part):
    """How often a retraining may be started for nothing, and what shift is worth one; limits follow from it."""

    false_retrainings: float = Field(gt=0, le=100)  # expected number, without any drift
    per: Duration = timedelta(days=30)
    effect: float = Field(default=0.3, gt=0, le=3)  # shift of a column, in standard deviations of a normal one


class DriftPolicy(Part):
    """When a window is looked at, and when a change is both certain and large enough to matter.

    ``alarms`` gives what is not written here of the rate and the floors, see ``homeostat.drift.budget``.
    """

    alarms: AlarmBudget | None = None
    every: Duration = timedelta(minutes=15)
    window: Duration = timedelta(days=7)
    min_rows: int = Field(default=500, ge=50)  # fewer rows in a window say `unknown`
    false_discovery_rate: float = Field(default=0.01, gt=0, lt=0.5)
    min_psi: float = Field(default=0.1, gt=0)  # beyond what chance explains at these row counts
    min_ks: float = Field(default=0.1, gt=0, lt=1)
    min_loss_increase: float = Field(default=0.02, gt=0)  # relative to the loss that the scores announce
    # whether a mean score off the label rate is drift too, when setting it right would save as much
    watch_calibration: bool = True
    harmless_share: float = Field(default=0.0, ge=0, lt=1)  # of the model's attribution: less drifts in silence
    # one more test under the same rate: trees that tell the window's rows from the reference's, 40 ms a look
    domain_classifier: bool = False  # champions trained before it was asked for have no reference for it
    # hold a window against the training rows of the same hours (UTC) of the day or week, where these are enough:
    # at least four seasons of training and as many rows of those hours as min_rows; otherwise against all of them
    season: Literal["day", "week"] | None = None


class HealingPolicy(Part):
    """How patient the healer is."""

    cooldown: Duration = timedelta(days=1)  # after a case closed
    # the cooldown grows by this factor with each further case in a row that brings the same champion no
    # successor, up to 8 times; a promotion resets it, 1 leaves it as it is
    backoff: float = Field(default=2.0, ge=1, le=4)
    # labelled rows behind the change, before a training pays; None: as many as a training's tests take, or two fifths
    # of the window's, where these are fewer
    min_rows_after_drift: int | None = Field(default=None, ge=1)
    confirm: int = Field(default=2, ge=1)  # consecutive drifted reports before a case is opened


class TrainingPolicy(Part):
    """How a better model is looked for."""

    cold_start_after: Duration = timedelta(days=7)  # span of labelled history before the first training
    min_rows: int = Field(default=2000, ge=200)
    trials: int = Field(default=8, ge=1, le=1000)  # Optuna trials of a search
    search_rows: int = Field(default=40_000, ge=200)  # rows a trial sees at most; the winner is fitted on all
    blocks: int = Field(default=3, ge=2, le=20)  # forward-in-time validation blocks
    block: Duration = timedelta(days=7)  # span of one validation block
    confidence: float = Field(default=0.9, gt=0.5, lt=1)  # one-sided, of the winner against doing nothing
    threads: int = Field(default=1, ge=1)


class ChangeEnvelope(Part):
    """Changes that the loop may make by itself; what is not given has no limit here."""

    min_auc: float | None = Field(default=None, ge=0.5, le=1)  # offline
    max_loss: float | None = Field(default=None, gt=0)  # of the challenger, on the canary's rows
    learners: list[Literal["lightgbm", "linear"]] | None = Field(default=None, min_length=1)
    features: list[str] | None = Field(default=None, min_length=1)  # a model that is fed others waits
    max_model_mib: float | None = Field(default=None, gt=0)


class CanaryPolicy(Part):
    """How a challenger has to prove itself on live traffic."""

    # shares of entities that the challenger answers, one after the other; 0 is a shadow, that scores and answers nobody
    steps: list[Annotated[float, Field(ge=0, le=1)]] = Field(default=[0.05, 0.25, 1.0], min_length=1)
    share: float | None = Field(default=None, gt=0, le=0.5)  # instead of steps: a single one, without a step_time
    shadow_sample: float = Field(default=1.0, gt=0, le=1)  # of its rows, that a challenger scores while it is a shadow
    step_time: Duration = timedelta(days=1)  # each step lasts at least, so that it sees every hour of a day
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # chance of a wrong promotion over all looks
    # chance of a wrong rejection or rollback over all looks, guardrails included; as alpha where it is not given
    rollback_alpha: float | None = Field(default=None, gt=0, lt=0.5)
    guardrail_share: float = Field(default=0.2, gt=0, lt=1)  # of that chance, for guardrails; the rest is for the loss
    # promote when not worse by this share of the champion's loss; 0 asks for a proven gain
    margin: float = Field(default=0.0, ge=0, lt=0.5)
    min_rows: int = Field(default=500, ge=50)  # mature rows scored by both, before any decision
    block: Duration = timedelta(hours=1)  # rows closer than this are not counted as independent
    max_duration: Duration = timedelta(days=14)  # inconclusive by then: rejected
    # so long a promoted model is held against the one it replaced, which stays warm until these rows are mature
    watch: Duration = timedelta(days=7)
    # whether a proven challenger waits for an operator: never, where it is outside of `within`, or always
    approval: Literal["automatic", "automatic_within", "manual"] = "automatic"
    within: ChangeEnvelope | None = None
    approval_deadline: Duration | None = None  # one that nobody has approved by then is rejected; None: it waits on
    max_fallback_ratio: float = Field(default=0.02, ge=0, le=1)  # challenger failures among its rows
    # guardrails, each against the champion on the same rows
    max_slow_ratio: float = Field(default=0.01, gt=0, lt=1)  # rows later than sla.latency_ms, so 0.01 looks at the p99
    max_calibration_harm: float = Field(default=0.05, gt=0, lt=1)  # of mean score to label rate, further off than its
    # of the mean score; needs no label, so 1, never: a challenger is rightly far from a champion that fails
    max_score_shift: float = Field(default=1.0, gt=0, le=1)
    slices: list[str] = Field(default_factory=list, max_length=8)  # text features looked at value by value
    max_slice_harm: float = Field(default=0.2, gt=0, lt=10)  # loss in a slice, relative to the champion's

    @model_validator(mode="after")
    def _has_envelope(self) -> Self:
        if (self.approval == "automatic_within") != (self.within is not None):
            raise ValueError("approval: automatic_within and within: go together, each needs the other")
        return self

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        if self.shadow_sample < 1 and self.climb[:1] != (0,):
            raise ValueError(
                "shadow_sample: is a share of a shadow's rows: expected steps: that begin with 0, like [0, 0.25, 1]"
            )
        if self.share is not None and "steps" not in self.model_fields_set:
            return self
        if self.share is not None:
            raise ValueError("expected either share: or steps:, not both")
        if not self.climb or self.steps != sorted(set(self.steps)):
            raise ValueError("expected steps: that grow, like [0.05, 0.25, 1.0], one below 1 where a person approves")
        if len(self.climb) * self.step_time > self.max_duration:
            raise ValueError(
                f"expected a max_duration: of at least one step_time: for each of the steps: {list(self.climb)}; "
                "or a share:, which is one step without a time of its own"
            )
        return self

    @property
    def climb(self) -> tuple[float, ...]:
        """Shares of entities that a challenger answers, one after the other.

        None gets all traffic before somebody who has a say in it has approved.
        """
        steps = self.steps if self.share is None else [self.share]
        return tuple(share for share in steps if share < 1 or self.approval == "automatic")

    @property
    def guardrail_alpha(self) -> float:
        """Chance of a wrong stop by any guardrail over all looks."""
        return (self.rollback_alpha or self.alpha) * self.guardrail_share

    @property
    def harm_alpha(self) -> float:
        """Chance of a wrong stop for a higher loss over all looks."""
        return (self.rollback_alpha or self.alpha) * (1 - self.guardrail_share)

    @property
    def tuned_rows(self) -> int:
        """Rows at which bounds are tightest: small gains are proven well past the floor."""
        return 4 * self.min_rows


class BudgetPolicy(Part):
    """How much healing may cost."""

    max_trainings: int = Field(default=30, ge=1)
    per: Duration = timedelta(days=30)
    usd_per_1k_predictions: float | None = Field(default=None, gt=0)  # everything counted; dearer than that: an alert


class RetentionPolicy(Part):
    """How long an always-on instance keeps what it has seen."""

    log: Duration = timedelta(days=90)  # messages of every topic; never less than a restarted step reads again
    features: Duration = timedelta(days=3650)  # rows to train on: small, and old history may be all there is
    entities: Duration = timedelta(days=365)  # the stored row of an entity since its last event; then it is unknown


class Prices(Part):
    """What the work costs."""

    usd_per_cpu_hour: float = Field(default=0.05, ge=0)


class SlaPolicy(Part):
    """What users of the predictions were promised."""

    latency_ms: float = Field(default=100.0, gt=0)
    target_ratio: float = Field(default=0.99, gt=0, lt=1)  # share of predictions within latency_ms
    freshness: Duration = timedelta(days=1)  # the newest stored feature row is never older
