"""What goes in and out, as pydantic models: the description of the API is made of them.

Requests are judged by the parsers of ``homeostat.features.parsing`` and by ``homeostat.api.requests``, which see the
bytes; the models of a product say the same by its contract, and a test holds the two against each other.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from homeostat.api.specs import feature_specs
from homeostat.contract.model import Contract, FieldSpec, FieldType

Model = type[BaseModel]

_MAX_INTEGER: Final = 2**63 - 1
_TYPES: Final[Mapping[FieldType, Any]] = {
    "number": float,
    "integer": int,
    "boolean": bool,
    "string": str,
    "time": AwareDatetime,
    "vector": list[float],
}
_TIME_EXAMPLE: Final = "2024-05-01T12:00:00Z"
_WHEN: Final = "from 1900 on, and at most a minute ahead of the clock"
_Id = Annotated[str, Field(min_length=1)]
_DEGRADED: Final = Field(
    default_factory=dict[str, str],
    description="by process what is the matter with those that predictions do not need; only if anything is",
)


class Accepted(BaseModel):
    """Records that are durable now."""

    accepted: int


class Predicted(BaseModel):
    """One row's prediction."""

    prediction_id: str
    event_id: str = Field(description="what a label has to name")
    entity: str
    event_time: AwareDatetime
    score: float | None = Field(description="the probability that the label is true; null while no model serves")
    version: str | None = Field(description="the model that answered")
    arm: Literal["champion", "challenger", "none"]
    fallback: str | None = Field(description="why another model answered than the one the entity is routed to")
    reason: str = Field("", description="why there is no score; only then")


class Predictions(BaseModel):
    """One prediction for each row, in the order asked."""

    predictions: list[Predicted]


class ClockFace(BaseModel):
    """The instance's clock."""

    mode: Literal["system", "stream"]
    now: AwareDatetime
    settled: bool = Field(description="whether everything due by now is done")


class SetClock(BaseModel):
    """The time that a stream clock shall show."""

    now: AwareDatetime = Field(description="not before the time it shows, and not after the year 8999")


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Every product predicts from a model."""

    ready: Literal[True]
    products: dict[str, str]
    degraded: dict[str, str] = _DEGRADED


class Decision(BaseModel):
    """What an operator decides."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject", "hold", "rollback", "retrain"]
    version: str | None = Field(None, description="the challenger if left out; to roll back or retrain, the champion")
    reason: str | None = Field(None, max_length=1_000, description="why; it goes into the ledger")


class Decided(BaseModel):
    """A decision, in whose name, and what became of it."""

    decision: str
    version: str | None
    by: str = Field(description="whom the token belongs to")
    answer: str | None = Field(description="null: it is carried out later, see the ledger")


class Place(BaseModel):
    """One place of a request that is not as it should be."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the request's body")
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Place] = Field(default_factory=list, description="each bad place, for a 422")
    products: dict[str, str] = Field(default_factory=dict, description="what each product waits for; of /readyz alone")
    degraded: dict[str, str] = _DEGRADED


COMMON: Final[tuple[Model, ...]] = (
    *(Accepted, Predictions, ClockFace, SetClock),
    *(Decision, Decided, Alive, Ready, Problem),
)


def event_model(contract: Contract) -> Model:
    """Return the model of one event; other keys than these are stored and ignored."""
    event = contract.event
    late = f"more than {_words(event.allowed_lateness)} behind the newest event it is stored and set aside"
    keys: dict[str, Any] = {
        **{name: _key(name, spec) for name, spec in event.fields.items()},
        event.id: (_Id, _named(event.id, "e-1", "sending the same event again changes nothing")),
        event.time: (AwareDatetime, _named(event.time, _TIME_EXAMPLE, f"{_WHEN}; {late}")),
        event.entity: (_Id, _named(event.entity, "a", "what features are stored by")),
    }
    return _model(contract, "Event", keys)


def label_model(contract: Contract) -> Model:
    """Return the model of one label."""
    label = contract.label
    keys: dict[str, Any] = {
        **{name: _key(name, spec) for name, spec in label.facts.items()},
        label.id: (_Id, _named(label.id, "e-1", "the event it belongs to")),
        label.time: (AwareDatetime, _named(label.time, _TIME_EXAMPLE, _WHEN)),
        label.field: (bool | Literal[0, 1], _named(label.field, example=True, description="what happened")),
    }
    return _model(contract, "Label", keys)


def list_model(contract: Contract, name: str, key: str, row: Any, most: int) -> Model:  # noqa: ANN401 - a type
    """Return the model of a request with rows under one key."""
    rows = (list[row], Field(alias=key, min_length=1, max_length=most))
    return create_model(f"{contract.product}_{name}", __config__=ConfigDict(extra="forbid"), rows=rows)


def asked_model(contract: Contract, event: Model) -> Any:  # noqa: ANN401 - a type
    """Return the type of a row to predict: a whole event, or an entity by its stored features."""
    product = contract.product
    closed = ConfigDict(extra="forbid")
    keys: dict[str, Any] = {}
    for i, (name, spec) in enumerate(feature_specs(contract).items()):
        keys[f"f_{i}"] = _left_out(name, spec)
    given = create_model(
        f"{product}_Features", __config__=closed, __doc__="Features that win over the stored ones.", **keys
    )
    by_event = create_model(
        f"{product}_ByEvent", __config__=closed, __doc__="A whole event: stored, then predicted.", event=(event, ...)
    )
    by_entity = create_model(
        f"{product}_ByEntity",
        __config__=closed,
        __doc__="An entity by its stored features; those of an entity that is not known have to be given.",
        entity=(_Id, Field(examples=["a"])),
        event_id=(_Id | None, Field(None, description="what its label will name; made here if left out")),
        event_time=(
            AwareDatetime | None,
            Field(None, description=f"{_WHEN}; now if left out"),
        ),
        features=(given | None, None),
    )
    return by_event | by_entity


def _model(contract: Contract, name: str, keys: Mapping[str, Any]) -> Model:
    # A contract may name a field like an attribute of pydantic's, so attributes get names of their own.
    return create_model(f"{contract.product}_{name}", **{f"f_{i}": key for i, key in enumerate(keys.values())})


def _named(name: str, example: object, description: str | None = None) -> Any:  # noqa: ANN401 - as pydantic's Field
    return Field(alias=name, examples=[example], description=description)


def _key(name: str, spec: FieldSpec) -> tuple[Any, Any]:
    """Return type and field of a key that a contract specifies."""
    low, high = _limits(spec)
    plain: Any = _TYPES[spec.type]
    annotation: Any = Annotated[plain, Field(ge=low, le=high)]
    examples = [_example(spec.type, low, high)]
    if spec.type == "vector":
        annotation, examples = _vector(spec.size or 0), [{"0": 0.5}]
    if spec.nullable:
        return annotation | None, Field(None, alias=name, examples=examples)
    return annotation, Field(alias=name, examples=examples)


def _vector(size: int) -> Any:  # noqa: ANN401 - what pydantic takes for a type
    """Return both forms of a vector: all its numbers, or those that are not 0 by their index."""
    whole = Annotated[list[float], Field(min_length=size, max_length=size)]
    names: dict[str, Any] = {"propertyNames": {"pattern": f"^(?:{'|'.join(_up_to(str(size - 1)))})$"}}
    return whole | Annotated[dict[int, float], Field(json_schema_extra=names)]


def _up_to(most: str) -> list[str]:
    """Return the patterns of the whole numbers from 0 to one.

    >>> _up_to("15")
    ['[0-9]', '1[0-5]']
    """
    shorter = ["[0-9]", *(f"[1-9][0-9]{{{n}}}" for n in range(1, len(most) - 1))] if len(most) > 1 else []
    longest = []
    for i, digit in enumerate(most):
        low, high = int(i == 0 and len(most) > 1), int(digit) - (i < len(most) - 1)
        rest = len(most) - i - 1
        if low <= high:
            longest.append(f"{most[:i]}[{low}-{high}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return [*shorter, *longest]


def _left_out(name: str, spec: FieldSpec) -> tuple[Any, Any]:
    """Return type and field of a key that may be left out, though it may not be null."""
    annotation, _ = _key(name, spec)
    return annotation, Field(default_factory=lambda: None, alias=name)


def _limits(spec: FieldSpec) -> tuple[float | None, float | None]:
    if spec.type != "integer":
        return spec.min, spec.max
    low = -_MAX_INTEGER if spec.min is None else max(math.ceil(spec.min), -_MAX_INTEGER)
    high = _MAX_INTEGER if spec.max is None else min(math.floor(spec.max), _MAX_INTEGER)
    return low, high


def _example(kind: FieldType, low: float | None, high: float | None) -> object:
    if kind == "integer":
        return min(max(1, int(low or 0)), int(_MAX_INTEGER if high is None else high))
    if kind == "number":
        return min(max(1.5, -math.inf if low is None else low), math.inf if high is None else high)
    return {"boolean": True, "string": "a", "time": _TIME_EXAMPLE}.get(kind)


def _words(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
