"""Bytes become records that keep the contract, or a reason why they can't."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from homeostat.contract.model import Contract, FieldSpec, FieldType
from homeostat.errors import InvalidRecordError
from homeostat.features.vectors import named_not_finite, vector_annotation, vector_fault, vector_in, vector_words
from homeostat.records import Cell

Fields = Mapping[str, Cell | datetime]

_PLAIN: Final[Mapping[FieldType, type]] = {
    "number": float,
    "integer": int,
    "boolean": bool,
    "string": str,
    "time": datetime,
}
_WORDS: Final[Mapping[FieldType, str]] = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "time": "a time with its offset from UTC",
}
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""Windows reach back from an event, and stores count nanoseconds from 1970 on: both need room before it."""

MAX_INTEGER: Final = 2**63 - 1  # what a column of 64-bit integers holds
_MAX_WHOLE: Final = math.nextafter(2.0**63, 0)  # the same of numbers written with a point
_MAX_SHOWN: Final = 60  # characters of a bad value in an error text


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """An event that keeps the contract; times are UTC, a missing nullable field is None."""

    event_id: str
    entity_id: str
    event_time: datetime
    fields: Fields


@dataclass(frozen=True, slots=True)
class ParsedLabel:
    """A label that keeps the contract, with the facts that came with it; ``value`` is 0 or 1."""

    event_id: str
    label_time: datetime
    value: float
    facts: Fields


@dataclass(frozen=True, slots=True)
class _Key:
    """What one key of a JSON object must hold, for msgspec and in words."""

    annotation: Any
    expected: str
    nullable: bool = False
    is_time: bool = False
    is_whole: bool = False
    size: int = 0  # of a vector


_ID: Final = _Key(Annotated[str, msgspec.Meta(min_length=1)], "a text that is not empty")
_TIME: Final = _Key(Annotated[datetime, msgspec.Meta(tz=True)], _WORDS["time"], is_time=True)
_TRUTH: Final = _Key(bool | Annotated[float, msgspec.Meta(ge=0, le=1)], "true, false, 1 or 0")


class _Decoder:
    """Decodes one kind of JSON object; other keys are ignored, since producers add some."""

    def __init__(self, head: Mapping[str, _Key], fields: Mapping[str, _Key]) -> None:
        """Compile a struct with its keys in the order in which a table has its columns."""
        keys = {**head, **fields}
        self._keys = dict(sorted({**fields, **head}.items(), key=lambda item: item[1].nullable))  # as faults are told
        self._times = tuple(at for at, key in enumerate(keys.values()) if key.is_time)
        self._wholes = tuple(at for at, key in enumerate(keys.values()) if key.is_whole)
        self._vectors = {at: key.size for at, key in enumerate(keys.values()) if key.size}
        # A contract may name a field like a keyword of Python, so attributes get names of their own.
        attributes = {name: f"f_{i}" for i, name in enumerate(keys)}
        struct = msgspec.defstruct(
            "Payload",
            [
                (attributes[name], key.annotation, None) if key.nullable else (attributes[name], key.annotation)
                for name, key in keys.items()
            ],
            rename={attribute: name for name, attribute in attributes.items()},
            kw_only=True,  # or what may be missing would have to come last
            gc=False,
        )
        self._decode = msgspec.json.Decoder(struct).decode

    def decode(self, value: bytes) -> list[Any]:
        """Return the values in the order of the keys, times in UTC.

        Raises:
            InvalidRecordError: The text names each bad field, its value, and what was expected.
        """
        try:
            return self._in_form([*msgspec.structs.astuple(self._decode(value))])
        except msgspec.ValidationError as error:
            raise InvalidRecordError(self._explain(value, str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            vectors = {name for name, key in self._keys.items() if key.size}
            raise InvalidRecordError(f"not readable as JSON: {error}{named_not_finite(value, vectors)}") from None
        except OverflowError:
            raise InvalidRecordError("a time lies outside the years 1 to 9999 in UTC") from None

    def _in_form(self, cells: list[Any]) -> list[Any]:
        """Return values with times in UTC, whole numbers as such, and vectors as records have them."""
        for at in self._times:
            if (time := cells[at]) is not None and time.tzinfo is not UTC:
                cells[at] = time.astimezone(UTC)
        for at in self._wholes:
            if type(cells[at]) is float:
                cells[at] = int(cells[at])
        for at, size in self._vectors.items():
            if (cell := cells[at]) is not None:
                cells[at] = vector_in(cell, size)
        return cells

    def _explain(self, value: bytes, otherwise: str) -> str:
        """Return what is wrong with each field; only bad records pay for this second look."""
        try:
            raw = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"not readable as JSON: {error}"
        if not isinstance(raw, dict):
            return f"{_shown(raw)} is not a JSON object"
        problems = [text for name, key in self._keys.items() if (text := _problem(name, key, raw))]
        return "; ".join(problems) or otherwise


def _problem(name: str, key: _Key, raw: Mapping[str, object]) -> str | None:
    """Return what is wrong with one field, None where nothing is."""
    if name not in raw:
        return None if key.nullable else f"field '{name}' is missing, expected {key.expected}"
    try:
        msgspec.convert(raw[name], key.annotation, str_keys=bool(key.size))
    except msgspec.ValidationError:
        return f"field '{name}' is {_shown(raw[name])}, expected {key.expected}{vector_fault(raw[name], key.size)}"
    return None


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _key(spec: FieldSpec) -> _Key:
    """Return what a field of the contract asks of its key."""
    if spec.type == "vector":
        plain = vector_annotation(spec.size or 0)
        expected = f"{vector_words(spec.size or 0)}{' or null' if spec.nullable else ''}"
        annotation = plain | None if spec.nullable else plain
        return _Key(annotation, expected, nullable=spec.nullable, size=spec.size or 0)
    low_text = "" if spec.min is None else f" of at least {spec.min:g}"
    high_text = "" if spec.max is None else f"{' and' if low_text else ' of'} at most {spec.max:g}"
    annotation = _annotation(spec)
    return _Key(
        annotation | None if spec.nullable else annotation,
        f"{_WORDS[spec.type]}{low_text}{high_text}{' or null' if spec.nullable else ''}",
        nullable=spec.nullable,
        is_time=spec.type == "time",
        is_whole=spec.type == "integer",
    )


def _annotation(spec: FieldSpec) -> Any:  # noqa: ANN401 - what msgspec takes for a type
    if spec.type == "integer":
        low = -MAX_INTEGER if spec.min is None else max(math.ceil(spec.min), -MAX_INTEGER)
        high = MAX_INTEGER if spec.max is None else min(math.floor(spec.max), MAX_INTEGER)
        # Many producers know one kind of number, and write 3 as 3.0: to JSON it is the same.
        pointed = msgspec.Meta(ge=max(float(low), -_MAX_WHOLE), le=min(float(high), _MAX_WHOLE), multiple_of=1)
        return Annotated[int, msgspec.Meta(ge=low, le=high)] | Annotated[float, pointed]
    limits = msgspec.Meta()
    if spec.type == "time":
        limits = msgspec.Meta(tz=True)
    elif spec.type == "number":
        limits = msgspec.Meta(ge=spec.min, le=spec.max)
    return Annotated[_PLAIN[spec.type], limits]


class EventParser:
    """Parses the events of one contract."""

    def __init__(self, contract: Contract) -> None:
        event = contract.event
        self._event = event
        fields = {name: _key(spec) for name, spec in event.fields.items()} | {event.entity: _ID}
        self._names = tuple(fields)
        self._decoder = _Decoder({event.id: _ID, event.time: _TIME}, fields)

    def cells(self, value: bytes) -> list[Any]:
        """Return the event behind a producer's JSON: its id, its time, its fields in the contract's order.

        Raises:
            InvalidRecordError: It breaks the contract; the text says where.
        """
        cells = self._decoder.decode(value)
        _refuse_ancient(self._event.time, cells[1])
        return cells

    def parse(self, value: bytes) -> ParsedEvent:
        """Return the same by name.

        Raises:
            InvalidRecordError: As ``cells``.
        """
        event_id, event_time, *cells = self.cells(value)
        fields = dict(zip(self._names, cells, strict=True))
        return ParsedEvent(event_id, fields[self._event.entity], event_time, fields)


class LabelParser:
    """Parses the labels of one contract."""

    def __init__(self, contract: Contract) -> None:
        label = contract.label
        self._label = label
        facts = {name: _key(spec) for name, spec in label.facts.items()}
        self._decoder = _Decoder({label.id: _ID, label.time: _TIME, label.field: _TRUTH}, facts)

    def cells(self, value: bytes) -> list[Any]:
        """Return the label behind a producer's JSON: its event's id, its time, 0.0 or 1.0, its facts in order.

        Raises:
            InvalidRecordError: It breaks the contract; the text says where.
        """
        cells = self._decoder.decode(value)
        _refuse_ancient(self._label.time, cells[1])
        truth = cells[2] = float(cells[2])
        if truth not in (0.0, 1.0):
            raise InvalidRecordError(f"field '{self._label.field}' is {truth:g}, expected {_TRUTH.expected}")
        return cells

    def parse(self, value: bytes) -> ParsedLabel:
        """Return the same by name.

        Raises:
            InvalidRecordError: As ``cells``.
        """
        event_id, label_time, truth, *cells = self.cells(value)
        return ParsedLabel(event_id, label_time, truth, dict(zip(self._label.facts, cells, strict=True)))


def _refuse_ancient(name: str, time: datetime) -> None:
    if time < EARLIEST:
        raise InvalidRecordError(f"field '{name}' is \"{time.isoformat()}\", expected a time from 1900 on")
