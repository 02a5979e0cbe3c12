"""Records to bytes and back: JSON, with the schema and its version in the ``schema`` header.

A record leaves here only if it can come back. A float that is not finite becomes a missing value in
``values``, ``receipt`` and ``evidence`` (JSON has no NaN); anywhere else it is refused, as is a time
without a zone. An older reader skips fields it doesn't know; a field added later needs a default, or
the version has to move on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from io import BytesIO
from math import isfinite
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Final

import msgspec
import polars as pl
from polars import selectors as cs

from homeostat.batches import Columns, FeatureRows, RawEvents, RawLabels
from homeostat.errors import InvalidRecordError
from homeostat.records import (
    CanaryVerdict,
    DeadLetter,
    DriftReport,
    DriftScore,
    FeatureRow,
    Label,
    Outcome,
    Performance,
    Prediction,
    Promotion,
    RawEvent,
    RawLabel,
    Record,
    RetrainRequest,
    TrainingRun,
)
from homeostat.tabular import feature_rows, json_rows
from homeostat.vectors import is_told

TOPIC_OF: Final[Mapping[type, str]] = MappingProxyType(
    {
        RawEvent: "raw_events",
        RawLabel: "raw_labels",
        FeatureRow: "features",
        FeatureRows: "features",
        Label: "labels",
        Prediction: "predictions",
        Outcome: "outcomes",
        DriftReport: "drift_reports",
        RetrainRequest: "retrain_requests",
        TrainingRun: "training_runs",
        CanaryVerdict: "canary_verdicts",
        Promotion: "promotions",
    }
)
"""The topic of each kind of record; a dead letter goes to the topic of the step that refused it."""

DEAD_LETTERS: Final = "dead_letters"

ARROW: Final = "application/vnd.apache.arrow.stream"
"""The content type of a message that holds many rows."""

MOST_ROWS: Final = 50_000
"""The most rows of such a message: compressed ones may hold any number in a few bytes."""


def _drift_numbers(report: DriftReport) -> Iterator[float | None]:
    for score in (*report.features, report.prediction, report.embedding):
        if isinstance(score, DriftScore):
            yield from (score.psi, score.psi_limit, score.ks, score.ks_limit, score.p_value, *score.distances.values())
            yield from (score.share, score.damage, score.embedding, score.embedding_limit, score.floor_rate)
    if isinstance(report.performance, Performance):
        p = report.performance
        yield from (p.loss, p.expected_loss, p.p_value, p.calibration_error, p.calibration_p_value)
    if report.label_rate is not None:
        told = report.label_rate
        yield from (told.rate, told.training_rate, told.spread, told.low, told.high, told.p_value)
    if report.estimate is not None:
        yield from (report.estimate.loss, report.estimate.low, report.estimate.high)
    yield from (incident.factor for incident in report.incidents)
    if report.domain is not None:
        yield from (report.domain.auc, report.domain.auc_limit, report.domain.p_value, *report.domain.carried.values())


def _drift_times(report: DriftReport) -> Iterator[datetime]:
    yield from (report.at, report.window_start, report.window_end)
    if report.changed_at is not None:
        yield report.changed_at
    for incident in report.incidents:
        yield from (incident.since, incident.until)


def _nothing(_: object) -> tuple[()]:
    return ()


# What msgspec can't see by type: times have to name a zone, and these numbers have to be finite.
_RULES: Final[dict[type, tuple[Callable[[Any], Iterable[object]], Callable[[Any], Iterable[float | None]]]]] = {
    DeadLetter: (lambda r: (r.at,), _nothing),
    FeatureRow: (lambda r: (r.event_time,), _nothing),
    Label: (lambda r: (r.label_time,), lambda r: (r.value,)),
    Prediction: (
        lambda r: (r.event_time, r.predicted_at),
        lambda r: (r.score, r.propensity, r.latency_ms, *r.scores.values()),
    ),
    Outcome: (lambda r: (r.event_time, r.label_time), lambda r: (r.label, r.score, *r.scores.values())),
    DriftReport: (_drift_times, _drift_numbers),
    RetrainRequest: (
        lambda r: (r.requested_at, r.drift_since, *(end for span in r.broken for end in (span.since, span.until))),
        lambda r: _drift_numbers(r.report) if r.report else (),
    ),
    TrainingRun: (lambda r: (r.finished_at,), lambda r: (r.cpu_s,)),
    CanaryVerdict: (lambda r: (r.at,), _nothing),
    Promotion: (lambda r: (r.at,), _nothing),
}


def _plain(value: object) -> int | float:
    """Return a NumPy number, as a receipt may hold one, as Python's own."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_RAW: Final[dict[str, type[RawEvent] | type[RawLabel]]] = {"raw_events": RawEvent, "raw_labels": RawLabel}
_MANY: Final[dict[str, type[RawEvents] | type[RawLabels]]] = {"raw_events": RawEvents, "raw_labels": RawLabels}
_SCHEMA_OF: Final = {**{kind: f"{topic}.v1" for kind, topic in TOPIC_OF.items()}, DeadLetter: f"{DEAD_LETTERS}.v1"}
_KIND_OF: Final = {schema: kind for kind, schema in _SCHEMA_OF.items() if kind in _RULES}
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {kind: msgspec.json.Decoder(kind) for kind in _RULES}
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)


def _fault(record: Record) -> str | None:
    """Return what keeps a record of the right types from being a true one."""
    times, numbers = _RULES[type(record)]
    for time in times(record):
        if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
            return f"{time!r} is no time with a zone"
    for number in numbers(record):
        if number is not None and not isfinite(number):
            return f"{number!r} where a finite number is needed"
    return None


def encode(record: Record) -> tuple[bytes, dict[str, str]]:
    """Return a record's bytes and the headers that say how to read them.

    Raises:
        InvalidRecordError: A value has no JSON form, a number that must be finite isn't, or a time has no zone.
    """
    schema = _SCHEMA_OF[type(record)]
    if isinstance(record, RawEvent | RawLabel):
        return record.value, {"schema": schema}
    if isinstance(record, FeatureRows):
        return _stream(record.rows), {"schema": schema, "content-type": ARROW}
    try:
        fault = _fault(record)
        value = b"" if fault else _ENCODER.encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRecordError(f"a {type(record).__name__} for {schema} can't be written: {error}") from error
    if fault:
        raise InvalidRecordError(f"a {type(record).__name__} for {schema} can't be written: {fault}")
    return value, {"schema": schema}


def decode(topic: str, value: bytes, headers: Mapping[str, str]) -> Record:
    """Return the record behind a message; raw topics pass their bytes through, whatever the headers.

    Args:
        topic: The topic's short name, as in ``flow.FLOW``, without product and version.
        value: The message's bytes.
        headers: The message's headers; ``schema`` has to be the one of the topic.

    Raises:
        InvalidRecordError: The topic is unknown, the schema is another, or the bytes don't follow it.
    """
    if topic in _RAW:
        return _RAW[topic](value)
    expected = f"{DEAD_LETTERS if topic.endswith('_' + DEAD_LETTERS) else topic}.v1"
    found = headers.get("schema")
    if expected not in _KIND_OF:
        raise InvalidRecordError(f"topic {topic!r}, schema {found!r}: no record is known by this topic")
    if found != expected:
        raise InvalidRecordError(f"topic {topic!r}, schema {found!r}: expected the schema {expected!r}")
    try:
        record: Record = _DECODERS[_KIND_OF[expected]].decode(value)
        fault = _fault(record)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRecordError(f"topic {topic!r}, schema {found!r}: {error}") from error
    if fault:
        raise InvalidRecordError(f"topic {topic!r}, schema {found!r}: {fault}")
    return record


def decode_whole(topic: str, value: bytes, headers: Mapping[str, str]) -> Record:
    """Return what a message says, many rows as one record of columns.

    Raises:
        InvalidRecordError: As ``decode``; or the columns can't be read, hold too many rows, or are of types that no
            contract knows. A row that breaks its contract is no fault here.
    """
    if headers and _content_type(headers) == ARROW:  # a single event has none as a rule
        if topic in _RAW:
            return _MANY[topic](_raw_table(value))
        if topic == TOPIC_OF[FeatureRows]:
            return FeatureRows(_feature_table(value))
    return decode(topic, value, headers)


def decode_all(topic: str, value: bytes, headers: Mapping[str, str]) -> list[Record]:
    """Return the records behind a message: one, or those of each row where it holds many.

    Raises:
        InvalidRecordError: As ``decode_whole``.
    """
    record = decode_whole(topic, value, headers)
    if isinstance(record, RawEvents | RawLabels):
        return [_RAW[topic](row) for row in json_rows(pl.DataFrame(record.rows))]
    return [*feature_rows([record])] if isinstance(record, FeatureRows) else [record]


def _content_type(headers: Mapping[str, str]) -> str:
    """Return the type without its parameters; writers differ in how they spell the header."""
    found = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    return found.partition(";")[0].strip().lower()


_VECTOR: Final = cs.list(cs.float() | cs.integer()) | cs.array(cs.float() | cs.integer())
_PLAIN: Final = cs.numeric() | cs.boolean() | cs.string(include_categorical=True) | cs.datetime() | cs.date() | _VECTOR


def _table(value: bytes) -> pl.DataFrame:
    try:
        table = pl.read_ipc_stream(BytesIO(value), n_rows=MOST_ROWS + 1)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InvalidRecordError(f"not readable as an Arrow stream: {error}") from error
    if table.height > MOST_ROWS:
        raise InvalidRecordError(f"more than {MOST_ROWS} rows in one message")
    return table


def _raw_table(value: bytes) -> pl.DataFrame:
    table = _table(value)
    other = table.select(~(_PLAIN | cs.by_dtype(pl.Null))).schema
    if strange := {name: dtype for name, dtype in other.items() if not is_told(dtype)}:
        columns = ", ".join(f"{name!r} ({dtype})" for name, dtype in strange.items())
        raise InvalidRecordError(f"columns that are no numbers, texts, truth values, times or vectors: {columns}")
    return table.cast({cs.decimal(): pl.Float64})


def _feature_table(value: bytes) -> pl.DataFrame:
    table = _table(value)
    head = {"event_id": pl.String(), "entity_id": pl.String(), "event_time": pl.Datetime("us", "UTC")}
    if dict(list(table.schema.items())[:3]) != head:
        raise InvalidRecordError(f"columns {dict(table.schema)}: expected {head} and then the features")
    return table


def _stream(rows: Columns) -> bytes:
    buffer = BytesIO()
    pl.DataFrame(rows).write_ipc_stream(buffer)
    return buffer.getvalue()
