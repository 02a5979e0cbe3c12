import typing
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import NoneType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.batches import FeatureRows, RawEvents, RawLabels
from homeostat.codec import TOPIC_OF, decode, encode
from homeostat.errors import InvalidRecordError
from homeostat.flow import EXTERNAL, FLOW, dead_letters
from homeostat.records import (
    Action,
    Arm,
    CanaryVerdict,
    DeadLetter,
    DriftReport,
    DriftScore,
    DriftStatus,
    FeatureRow,
    Label,
    LossEstimate,
    Outcome,
    Performance,
    Prediction,
    Promotion,
    RawEvent,
    RawLabel,
    Record,
    RetrainRequest,
    TrainingRun,
    TrainingStatus,
)
from homeostat.vectors import vector_of

GOLDEN = Path(__file__).parents[1] / "golden"
AT = datetime(2013, 3, 1, 12, 30, 0, 250_000, UTC)
SCORE = DriftScore("distance", 0.31, 0.12, 0.2, 0.05, 1e-9, drifted=True)
LETTER = DeadLetter("letter-1", "raw_events", "weight: -1 - expected at least 0", b'{"weight": -1}\xff', AT)
REPORT = DriftReport(
    *("r1", AT, AT - timedelta(days=7), AT, 6000, DriftStatus.DRIFTED, "3"),
    features=(SCORE, replace(SCORE, name="carrier", ks=None, ks_limit=None)),
    prediction=replace(SCORE, name="score"),
    embedding=replace(SCORE, name="embedding"),
    performance=Performance(5000, 0.52, 0.48, 0.001, 0.06, degraded=True),
    reasons=("distance: psi 0.31 over 0.12",),
    estimate=LossEstimate(6000, 0.5, 0.49, 0.51),
)
SAMPLES: tuple[Record, ...] = (
    RawEvent(b'{"event_id": "e1"}'),
    RawLabel(b'{"event_id": "e1", "late": 1}'),
    LETTER,
    FeatureRow("e1", "N1", AT, (1.5, 3, "UA", True, None)),
    Label("e1", AT, 1.0),
    Prediction(
        "p1", "e1", "N1", AT, AT, Arm.CHALLENGER, "4", 0.25, 0.1, 1.5, (1.5, "UA"), {"3": 0.2, "4": 0.25}, "slow"
    ),
    Outcome("e1", "N1", AT, None, None, Arm.CHAMPION, "3", 0.2, {"3": 0.2}),
    REPORT,
    RetrainRequest("q1", AT, "r1", "drift confirmed twice", AT - timedelta(days=7), "3", 17, REPORT),
    TrainingRun("t1", "q1", TrainingStatus.CANDIDATE, "4", "wins 3 of 3 blocks", 41.5, AT, {"blocks": [{"loss": 0.5}]}),
    CanaryVerdict(
        *("v1", "q1", AT, Action.PROMOTE, "4", "better on 3000 rows", {"rows": 3000, "mean": -0.004}), "operator:ann"
    ),
    Promotion("m1", "q1", AT, Action.PROMOTE, "4", "4", "canary passed"),
)

texts = st.text(max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
LEAVES: dict[object, st.SearchStrategy[typing.Any]] = {
    datetime: st.datetimes(timezones=st.just(UTC)),
    float: finite,
    int: st.integers(),
    str: texts,
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    NoneType: st.none(),
    typing.Any: st.recursive(
        st.none() | st.booleans() | st.integers() | finite | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
}


def values_of(hint: object) -> st.SearchStrategy[typing.Any]:
    """Every value a record may hold by its type: numbers finite, times with a zone."""
    if hint in LEAVES:
        return LEAVES[hint]
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(texts, values_of(arguments[1]), max_size=3)
    if arguments:
        return st.one_of(*map(values_of, arguments))
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in fields(hint)})
    assert isinstance(hint, type)
    return st.sampled_from(list(hint))


SINGLE = [kind for kind in typing.get_args(Record) if kind not in {RawEvents, RawLabels, FeatureRows}]


def topic_of(record: Record) -> str:
    return dead_letters("ingest") if isinstance(record, DeadLetter) else TOPIC_OF[type(record)]


def name_of(record: Record) -> str:
    return type(record).__name__


@pytest.mark.parametrize("kind", SINGLE)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_record_read_back_is_the_same_record(kind: type, data: st.DataObject) -> None:
    record = data.draw(values_of(kind))
    value, headers = encode(record)
    assert decode(topic_of(record), value, headers) == record


@pytest.mark.parametrize("record", SAMPLES, ids=name_of)
def test_what_was_written_in_the_past_can_still_be_read(record: Record) -> None:
    _, headers = encode(record)
    assert decode(topic_of(record), (GOLDEN / f"{name_of(record)}.v1.json").read_bytes(), headers) == record


@pytest.mark.parametrize("record", SAMPLES, ids=name_of)
def test_what_is_written_has_not_changed_under_the_same_version(record: Record) -> None:
    assert encode(record)[0] == (GOLDEN / f"{name_of(record)}.v1.json").read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.v1.without-*.json")), ids=lambda path: path.stem)
def test_what_was_written_before_a_field_was_added_can_still_be_read(path: Path) -> None:
    kind, field = path.stem.split(".")[0], path.stem.rpartition("-")[2]
    (sample,) = (sample for sample in SAMPLES if name_of(sample) == kind)
    (default,) = (f.default for f in fields(sample) if f.name == field)
    read = decode(topic_of(sample), path.read_bytes(), encode(sample)[1])
    assert read == replace(sample, **{field: default})


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.v1.before-*.json")), ids=lambda path: path.stem)
def test_what_was_written_before_its_parts_had_more_fields_can_still_be_read(path: Path) -> None:
    (sample,) = (sample for sample in SAMPLES if name_of(sample) == path.stem.split(".")[0])
    assert decode(topic_of(sample), path.read_bytes(), encode(sample)[1]) == sample


def test_a_vector_is_a_list_of_its_numbers() -> None:
    row = FeatureRow("e1", "N1", AT, (1.5, (0.0, -2.5, 1e-300), None))
    value, headers = encode(row)
    assert value == (GOLDEN / "FeatureRow.v1.with-vector.json").read_bytes()
    assert decode("features", value, headers) == row


def test_a_sparse_vector_is_an_object_of_its_packed_indices_and_values() -> None:
    row = FeatureRow("e1", "N1", AT, (1.5, vector_of({17: 0.5, 2999: -2.0}, 3_000), None))
    value, headers = encode(row)
    assert value == (GOLDEN / "FeatureRow.v1.with-sparse-vector.json").read_bytes()
    assert decode("features", value, headers) == row


def test_every_kind_of_record_has_a_sample_and_a_topic_of_the_map() -> None:
    kinds = set(SINGLE)
    assert {type(sample) for sample in SAMPLES} == kinds
    assert set(TOPIC_OF) == kinds - {DeadLetter} | {FeatureRows}  # which travel beside single ones
    assert set(TOPIC_OF.values()) == {topic for row in FLOW for topic in row.produces} | set(EXTERNAL)


def test_the_schema_header_names_topic_and_version() -> None:
    assert encode(SAMPLES[3])[1] == {"schema": "features.v1"}
    assert encode(LETTER)[1] == {"schema": "dead_letters.v1"}


def test_raw_bytes_pass_through_whatever_the_headers_say() -> None:
    assert decode("raw_events", b"\xff not json", {}) == RawEvent(b"\xff not json")
    assert decode("raw_labels", b"", {"schema": "other"}) == RawLabel(b"")


@pytest.mark.parametrize(
    ("topic", "value", "headers", "reason"),
    [
        ("labels", b"{}", {}, "topic 'labels', schema None: expected the schema 'labels.v1'"),
        ("labels", b"{}", {"schema": "labels.v2"}, "topic 'labels', schema 'labels.v2': expected the schema"),
        ("labels", b"{}", {"schema": "labels.v1"}, "topic 'labels', schema 'labels.v1': Object missing required field"),
        ("labels", b"\xff", {"schema": "labels.v1"}, "JSON is malformed"),
        ("labels", b'{"event_id":"\xff"}', {"schema": "labels.v1"}, "can't decode byte 0xff"),
        ("labels", b"", {"schema": "labels.v1"}, "truncated"),
        (
            *("labels", b'{"event_id":"e","label_time":"2013-01-01T00:00:00Z","value":"1"}', {"schema": "labels.v1"}),
            "Expected `float`, got `str` - at `$.value`",
        ),
        (
            *("labels", b'{"event_id":"e","label_time":"2013-01-01T00:00:00","value":1}', {"schema": "labels.v1"}),
            "is no time with a zone",
        ),
        ("nonsense", b"{}", {"schema": "nonsense.v1"}, "topic 'nonsense', schema 'nonsense.v1': no record is known"),
        ("dead_letters", b"{}", {"schema": "raw_events.v1"}, "expected the schema 'dead_letters.v1'"),
    ],
)
def test_bytes_that_do_not_follow_their_schema_are_refused_with_the_reason(
    topic: str, value: bytes, headers: dict[str, str], reason: str
) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        decode(topic, value, headers)
    assert reason in str(caught.value)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(set(TOPIC_OF.values()) - set(EXTERNAL))), st.binary(max_size=40))
def test_no_bytes_escape_as_another_error(topic: str, value: bytes) -> None:
    with pytest.raises(InvalidRecordError):
        decode(topic, value, {"schema": f"{topic}.v1"})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_feature_that_is_not_finite_is_read_back_as_missing(bad: float) -> None:
    value, headers = encode(FeatureRow("e1", "N1", AT, (bad, 1.0)))
    assert decode("features", value, headers) == FeatureRow("e1", "N1", AT, (None, 1.0))


@pytest.mark.parametrize(
    "record",
    [
        Label("e1", AT, float("nan")),
        replace(SAMPLES[5], score=float("nan")),
        replace(SAMPLES[5], scores={"3": float("inf")}),
        replace(SAMPLES[6], scores={"3": float("nan")}),
        replace(SAMPLES[7], features=(replace(SCORE, psi=float("inf")),)),
        replace(SAMPLES[7], features=(replace(SCORE, distances={"jensen_shannon": float("nan")}),)),
        replace(SAMPLES[7], estimate=LossEstimate(1, 0.5, float("-inf"), 0.6)),
        replace(SAMPLES[7], performance=Performance(1, float("nan"), 0.1, 0.1, 0.1, degraded=False)),
        replace(SAMPLES[9], cpu_s=float("inf")),
    ],
    ids=name_of,
)
def test_a_number_that_must_be_finite_is_refused_when_it_is_not(record: Record) -> None:
    with pytest.raises(InvalidRecordError, match="where a finite number is needed"):
        encode(record)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="no time with a zone"):
        encode(Label("e1", AT.replace(tzinfo=None), 1.0))


def test_a_time_in_another_zone_is_read_back_as_the_same_moment() -> None:
    label = Label("e1", AT.astimezone(timezone(timedelta(hours=-5))), 1.0)
    value, headers = encode(label)
    assert decode("labels", value, headers) == label


def test_a_receipt_may_hold_numpy_numbers() -> None:
    value, headers = encode(replace(SAMPLES[9], receipt={"loss": np.float64(0.5), "rows": np.int64(7)}))
    assert decode("training_runs", value, headers) == replace(SAMPLES[9], receipt={"loss": 0.5, "rows": 7})


def test_a_receipt_without_a_json_form_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match=r"TrainingRun .*can't be written: a object has no JSON form"):
        encode(replace(SAMPLES[9], receipt={"model": object()}))


def test_a_field_that_a_newer_writer_added_is_skipped() -> None:
    value = b'{"event_id":"e1","label_time":"2013-03-01T12:30:00.25Z","value":1.0,"added_later":[1]}'
    assert decode("labels", value, {"schema": "labels.v1"}) == Label("e1", AT, 1.0)
