"""The product contract: one YAML file says what a model sees, predicts, and may cost."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from homeostat.contract.policies import (
    BudgetPolicy,
    CanaryPolicy,
    DriftPolicy,
    Duration,
    HealingPolicy,
    Objective,
    Part,
    Prices,
    RetentionPolicy,
    SlaPolicy,
    TrainingPolicy,
)

FieldType = Literal["number", "integer", "boolean", "string", "time", "vector"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
MAX_SIZE = 16_384  # of a vector: a cell then takes 128 KiB, and a model has a column for each dimension


class FieldSpec(Part):
    """One field of an event or of a label; ``colour: string`` is short for ``colour: {type: string}``."""

    type: FieldType
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    size: int | None = Field(default=None, ge=1, le=MAX_SIZE)  # dimensions of a vector


def _long_form(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


Fields = dict[Name, Annotated[FieldSpec, BeforeValidator(_long_form)]]


class EventSpec(Part):
    """What a producer sends for each thing to be predicted: the id, the entity, the time, and fields."""

    id: Name = "event_id"
    entity: Name  # the string field that feature rows are stored by and traffic is split by
    time: Name = "event_time"
    fields: Fields
    allowed_lateness: Duration = timedelta(hours=1)  # older than the newest event by more: quarantined


class LabelSpec(Part):
    """What a producer sends when the truth is known."""

    id: Name = "event_id"
    time: Name = "label_time"
    field: Name
    delay: Duration  # typical time from event to label
    maturity: Duration  # no label by then means there never will be one
    facts: Fields = Field(default_factory=dict)  # known only with the label: for aggregates alone


class FieldFeature(Part):
    """A feature that is an event field as it stands."""

    field: Name


class ExpressionFeature(Part):
    """A feature computed from event fields, see ``homeostat.contract.expressions``."""

    expression: str


class AggregateFeature(Part):
    """A feature over what was known about the same key strictly before the event, at most ``over`` ago."""

    aggregate: Literal["count", "mean", "sum", "std", "last"]
    of: Name | None = None  # an event field, the label, or a fact; count takes none
    by: list[Name] = Field(min_length=1)  # event fields that form the key
    over: Duration


Feature = FieldFeature | ExpressionFeature | AggregateFeature


class Contract(Part):
    """One product: everything Homeostat has to know about a model."""

    product: Name
    description: str = ""
    event: EventSpec
    label: LabelSpec
    features: dict[Name, Feature] = Field(min_length=1)
    objective: Objective = Objective()
    drift: DriftPolicy = DriftPolicy()
    healing: HealingPolicy = HealingPolicy()
    training: TrainingPolicy = TrainingPolicy()
    canary: CanaryPolicy = CanaryPolicy()
    budget: BudgetPolicy = BudgetPolicy()
    prices: Prices = Prices()
    retention: RetentionPolicy = RetentionPolicy()
    sla: SlaPolicy = SlaPolicy()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features in contract order, the order of every feature row."""
        return tuple(self.features)

    @property
    def categorical(self) -> frozenset[str]:
        """The features whose values are text."""
        return frozenset(name for name, spec in self._sources.items() if spec.type == "string")

    @property
    def vectors(self) -> dict[str, int]:
        """The features whose values are vectors, with their sizes; all that are neither these nor text are numbers."""
        return {name: spec.size for name, spec in self._sources.items() if spec.type == "vector" and spec.size}

    @property
    def _sources(self) -> dict[str, FieldSpec]:
        """The field whose type a feature has, of each that has one."""
        known = {**self.label.facts, **self.event.fields}
        return {
            name: known[source]
            for name, feature in self.features.items()
            if (source := _source_field(feature)) is not None and source in known
        }


def _source_field(feature: Feature) -> str | None:
    """Return the field whose type the feature has, None where the feature is a number by nature."""
    if isinstance(feature, FieldFeature):
        return feature.field
    if isinstance(feature, AggregateFeature) and feature.aggregate == "last":
        return feature.of
    return None
