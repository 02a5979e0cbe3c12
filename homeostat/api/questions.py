"""Rows to be predicted: a whole event, or a question about an entity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from homeostat.api.members import UNREADABLE, is_given_twice, members_of
from homeostat.api.problems import Fault, shown, shown_raw
from homeostat.api.reasons import faults_of
from homeostat.api.specs import feature_specs
from homeostat.contract.model import Contract
from homeostat.contract.names import suggestion
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser
from homeostat.records import Cell, SparseVector

_TEXT = Annotated[str, msgspec.Meta(min_length=1)]
_KEYS: Final[Mapping[str, tuple[Any, str]]] = {
    "entity": (_TEXT, "a text that is not empty"),
    "event_id": (_TEXT | None, "a text that is not empty, or null"),
    "event_time": (Annotated[datetime, msgspec.Meta(tz=True)] | None, "a time with its offset from UTC, or null"),
    "features": (dict[str, Any] | None, "an object, or null"),
}
_WANTED: Final = "expected event, or entity with event_id, event_time and features as you like"
_STUB: Final = b'{"/id":"-","/time":"2000-01-01T00:00:00Z","/entity":"-"'
_MAX_NAME: Final = 63


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """One row, either form."""

    event: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    entity: _TEXT | msgspec.UnsetType = msgspec.UNSET
    event_id: _TEXT | None = None
    event_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an entity; what was left out is None."""

    entity: str
    event_id: str | None
    event_time: datetime | None
    features: Mapping[str, Cell] = field(default_factory=dict)


class GivenParser:
    """Judges features that come with a request as events are judged: by the same parser and in the same words."""

    def __init__(self, contract: Contract) -> None:
        """Take the contract that says what each feature is."""
        self._product = contract.product
        self._specs = feature_specs(contract)
        # Keys with a slash can't be names of a contract, so a feature may have the name of the entity.
        roles = {"id": "/id", "time": "/time", "entity": "/entity"}
        fields = {name: spec.model_copy(update={"nullable": True}) for name, spec in self._specs.items()}
        event = contract.event.model_copy(update={**roles, "fields": fields})
        self._parser = EventParser(contract.model_copy(update={"event": event}))

    def parse(self, raw: bytes, at: str) -> tuple[dict[str, Cell], list[Fault]]:
        """Return the features of a JSON object, numbers as floats, and what is wrong with them."""
        try:
            members = members_of(raw)
        except UNREADABLE:
            return {}, [(at, f"is {shown_raw(raw)}, expected an object")]
        faults = [fault for name, value in members.items() if (fault := self._fault(name, bytes(value), at))]
        if faults or not members:
            return {}, faults
        try:
            event = self._parser.parse(_STUB + b"," + raw.lstrip()[1:])
        except InvalidRecordError as error:
            return {}, faults_of(at, str(error))
        return {name: _scalar(event.fields[name]) for name in members}, []

    def _fault(self, name: str, value: bytes, at: str) -> Fault | None:
        spec = self._specs.get(name)
        if spec is None:
            near = suggestion(name[:_MAX_NAME], self._specs)
            return at, f"has {shown(name)}, which is no feature of {self._product}: {near}"
        if value == b"null" and not spec.nullable:
            return f"{at}/{name}", f"is null, expected a value of the type {spec.type}; leave it out for the stored one"
        return None


class QuestionReader:
    """Reads the rows that a product is asked to predict."""

    def __init__(self, contract: Contract) -> None:
        """Take the contract that says what the features are."""
        self._given = GivenParser(contract)
        self._decode = msgspec.json.Decoder(_Row).decode

    def read(self, raw: bytes, at: str) -> bytes | Question | list[Fault]:
        """Return the event of a row as it was written, or the question, or what is wrong with the row."""
        try:
            row = self._decode(raw)
        except UNREADABLE:
            return _explained(raw, at)
        if row.event is not msgspec.UNSET:
            return _event_alone(raw, row.event, at)
        if row.entity is msgspec.UNSET:
            return [(at, f"has no 'entity': {_WANTED}")]
        try:
            time = row.event_time and row.event_time.astimezone(UTC)
        except OverflowError:
            return [(f"{at}/event_time", "lies outside the years 1 to 9999 in UTC")]
        given, faults = self._features(row.features, at)
        return faults or Question(row.entity, row.event_id, time, given)

    def _features(self, raw: msgspec.Raw | msgspec.UnsetType, at: str) -> tuple[Mapping[str, Cell], list[Fault]]:
        if raw is msgspec.UNSET or bytes(raw) == b"null":
            return {}, []
        return self._given.parse(bytes(raw), f"{at}/features")


def _event_alone(raw: bytes, event: msgspec.Raw, at: str) -> bytes | list[Fault]:
    if len(members_of(raw)) > 1:
        return [(at, "has an event and more beside it: expected an event, or an entity")]
    if is_given_twice(raw, event):
        return [(f"{at}/event", "is given more than once: expected one event")]
    return bytes(event)


def _explained(raw: bytes, at: str) -> list[Fault]:
    """Return what is wrong with each key of a row; only bad rows pay for this second look."""
    try:
        members = members_of(raw)
    except UNREADABLE:
        return [(at, f"is {shown_raw(raw)}, expected an object")]
    faults = [
        (at, f"has the unknown key {shown(name)}: {_WANTED}") for name in members if name not in {"event", *_KEYS}
    ]
    for name in members.keys() & _KEYS.keys():
        annotation, expected = _KEYS[name]
        try:
            msgspec.json.decode(members[name], type=annotation)
        except UNREADABLE:
            faults.append((f"{at}/{name}", f"is {shown_raw(members[name])}, expected {expected}"))
    return faults or [(at, _WANTED)]


def _scalar(value: Cell | datetime) -> Cell:
    return value if value is None or isinstance(value, str | tuple | SparseVector) else float(value)  # type: ignore[arg-type]
