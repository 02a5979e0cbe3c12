"""Vectors on their way from an event to a feature row."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from homeostat.api.reasons import faults_of
from homeostat.batches import FeatureRows, RawEvents
from homeostat.codec import decode_whole, encode
from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.builder import FeatureBuilder
from homeostat.features.checks import checked, field_check
from homeostat.features.parsing import EventParser
from homeostat.features.tables import event_reader, label_schema
from homeostat.tabular import FEW, as_records, feature_rows, json_rows, single_rows
from homeostat.vectors import VECTORS, as_lists, vector_cells, vector_column, vector_of

GOOD = {"event_id": "o1", "event_time": "2024-03-01T12:00:00Z", "shop": "s"}
finite = st.floats(allow_nan=False, allow_infinity=False)


def parsed(toys: Contract, emb: Any) -> Any:
    return EventParser(toys).parse(json.dumps({**GOOD, "emb": emb}).encode()).fields["emb"]


@pytest.mark.parametrize(
    ("emb", "vector"),
    [
        ([1, 2.5, -3], (1.0, 2.5, -3.0)),
        ({"1": 0.5}, (0.0, 0.5, 0.0)),
        ({"2": 7, "0": 1}, (1.0, 0.0, 7.0)),
        ({}, (0.0, 0.0, 0.0)),
        (None, None),
    ],
)
def test_a_vector_is_a_list_or_an_object_of_what_is_not_0(toys: Contract, emb: Any, vector: Any) -> None:
    found = parsed(toys, emb)
    assert found == vector
    assert found is None or all(type(number) is float for number in found)


def test_a_nullable_vector_may_be_left_out(toys: Contract) -> None:
    assert EventParser(toys).parse(json.dumps(GOOD).encode()).fields["emb"] is None


@pytest.mark.parametrize(
    ("emb", "said"),
    [
        (
            [1.0, 2.0],
            "is [1.0,2.0], expected a list of 3 finite numbers, or an object of some by their index from 0 to 2",
        ),
        ([1.0, 2.0], "(this one has 2)"),
        ([0.5] * 40, "(this one has 40)"),
        ([1.0, None, 2.0], '(not so at index "1")'),
        ([1.0, 2.0, "x"], '(not so at index "2")'),
        ([True, 2.0, 3.0], '(not so at index "0")'),
        ({"3": 1.0}, '(not so at index "3")'),
        ({"-1": 1.0}, '(not so at index "-1")'),
        ({"a": 1.0}, '(not so at index "a")'),
        ({"99999999999999999999": 1.0}, '(not so at index "99999999999999999999")'),
        ({"1": "x"}, '(not so at index "1")'),
        (3.5, "is 3.5, expected a list of 3 finite numbers"),
        ("[1, 2, 3]", 'is "[1, 2, 3]", expected a list of 3 finite numbers'),
    ],
)
def test_what_is_no_vector_is_refused_with_the_reason(toys: Contract, emb: Any, said: str) -> None:
    with pytest.raises(InvalidRecordError) as refused:
        parsed(toys, emb)
    assert str(refused.value).startswith("field 'emb' is ")
    assert said in str(refused.value)
    ((pointer, detail),) = faults_of("/events/0", str(refused.value))
    assert pointer == "/events/0/emb"
    assert said in detail


@pytest.mark.parametrize("emb", [{"1": float("nan")}, [1.0, float("inf"), 2.0], [-float("inf"), 0.0, 0.0]])
def test_a_vector_with_a_number_that_is_not_finite_is_named(toys: Contract, emb: Any) -> None:
    with pytest.raises(InvalidRecordError, match="field 'emb' holds NaN or an infinity, expected finite numbers"):
        parsed(toys, emb)


CELLS = st.none() | st.lists(st.none() | finite | st.sampled_from([float("nan"), float("inf"), 1e308]), max_size=4)
GOOD_CELLS = st.lists(finite, min_size=3, max_size=3)
DTYPES = [pl.List(pl.Float64), pl.List(pl.Float32), pl.List(pl.Int64), pl.List(pl.String), pl.Null()]


@settings(deadline=None, max_examples=200)
@given(cells=st.lists(CELLS | GOOD_CELLS, min_size=1, max_size=5), dtype=st.sampled_from(DTYPES))
def test_a_column_of_vectors_gives_what_its_rows_alone_give(toys: Contract, cells: list[Any], dtype: Any) -> None:
    emb = pl.Series("emb", cells, pl.List(pl.Float64))
    emb = pl.Series("emb", [None] * len(cells)) if dtype == pl.Null() else emb.cast(dtype, strict=False)
    time = datetime(2024, 3, 1, tzinfo=UTC)
    ids = [f"e{i}" for i in range(len(cells))]
    table = pl.DataFrame([pl.Series("event_id", ids), pl.Series("event_time", [time] * len(ids)), emb])
    table = table.with_columns(pl.lit("s").alias("shop"))
    reader = event_reader(toys)
    alone, whole = reader.read(json_rows(table)), reader.read([table])
    assert_frame_equal(whole.rows, alone.rows, check_exact=True)
    assert (whole.places, whole.faults) == (alone.places, alone.faults)


INDICES = st.lists(st.none() | st.integers(-1, 3), max_size=4)
TOLD = st.none() | st.fixed_dictionaries({"indices": st.none() | INDICES, "values": st.none() | st.lists(finite)})
GOOD_TOLD = st.dictionaries(st.integers(0, 2), finite).map(
    lambda some: {"indices": [*some], "values": [*some.values()]}
)


@settings(deadline=None, max_examples=200)
@given(cells=st.lists(TOLD | GOOD_TOLD, min_size=1, max_size=5), index=st.sampled_from([pl.Int8, pl.Int64]))
def test_a_column_that_tells_some_numbers_by_index_is_the_same_as_objects(
    toys: Contract, cells: list[Any], index: Any
) -> None:
    emb = pl.Series("emb", cells, pl.Struct({"indices": pl.List(index), "values": pl.List(pl.Float64)}))
    time = datetime(2024, 3, 1, tzinfo=UTC)
    ids = [f"e{i}" for i in range(len(cells))]
    table = pl.DataFrame([pl.Series("event_id", ids), pl.Series("event_time", [time] * len(ids)), emb])
    table = table.with_columns(pl.lit("s").alias("shop"))
    value, headers = encode(FeatureRows(table))
    record = decode_whole("raw_events", value, headers)
    assert isinstance(record, RawEvents)
    reader = event_reader(toys)
    alone, whole = reader.read(json_rows(table)), reader.read([pl.DataFrame(record.rows)])
    assert (whole.places, whole.faults) == (alone.places, alone.faults)
    assert as_lists(whole.rows["emb"]).to_list() == as_lists(alone.rows["emb"]).to_list()


def test_arrow_cells_that_tell_numbers_by_index_need_no_second_look(wide: Contract) -> None:
    cells = [{"indices": [999, 3], "values": [0.5, 1.0]}, {"indices": [], "values": []}]
    emb = pl.Series("emb", cells, pl.Struct({"indices": pl.List(pl.Int32), "values": pl.List(pl.Float32)}))
    time = pl.Series("event_time", [datetime(2024, 3, 1, tzinfo=UTC)] * 2)
    table = pl.DataFrame([pl.Series("event_id", ["a", "b"]), time, emb, pl.Series("shop", ["s", "s"])])
    rows, sound = checked(table, [field_check("emb", wide.event.fields["emb"])])
    assert sound.all()
    assert vector_cells(rows["emb"]) == [vector_of({999: 0.5, 3: 1.0}, 1_000), vector_of({}, 1_000)]


def test_an_array_is_as_good_as_a_list_and_is_looked_at_as_a_whole(toys: Contract) -> None:
    emb = pl.Series("emb", [[1.0, 2.0, 3.0], None], pl.Array(pl.Float64, 3))
    time = pl.Series("event_time", [datetime(2024, 3, 1, tzinfo=UTC)] * 2)
    table = pl.DataFrame([pl.Series("event_id", ["a", "b"]), time, emb, pl.Series("shop", ["s", "s"])])
    found = event_reader(toys).read([table])
    assert vector_cells(found.rows["emb"]) == [(1.0, 2.0, 3.0), None]


def test_a_feature_row_has_the_vector_as_a_tuple(toys: Contract) -> None:
    rows = [{**GOOD, "emb": [1.0, 2.0, 3.0]}, {**GOOD, "event_id": "o2", "emb": {"1": 5.0}}, {**GOOD, "event_id": "o3"}]
    table = event_reader(toys).read([json.dumps(row).encode() for row in rows])
    builder = FeatureBuilder(toys)
    built = builder.add(table.rows, label_schema(toys).to_frame())
    values = [row.values for row in single_rows(built)]
    assert values == [((1.0, 2.0, 3.0),), ((0.0, 5.0, 0.0),), (None,)]
    again = builder.add(table.rows, label_schema(toys).to_frame())
    assert_frame_equal(again, built)
    assert builder.known(table.rows) == {0: (True, True), 1: (True, True), 2: (True, True)}


@given(cells=st.lists(st.none() | st.tuples(*[finite] * 3), min_size=1, max_size=4))
def test_many_rows_travel_as_columns_and_come_back_with_their_vectors(cells: list[Any]) -> None:
    many = cells * (FEW + 1)
    times = pl.Series([datetime(2024, 3, 1, tzinfo=UTC)] * len(many), dtype=pl.Datetime("us", "UTC"))
    names = [str(i) for i in range(len(many))]
    look = vector_column("look", many)
    table = pl.DataFrame([pl.Series("event_id", names), pl.Series("entity_id", names), times.alias("event_time"), look])
    sent = [encode(record) for record in as_records(table)]
    found = feature_rows(decode_whole("features", value, headers) for value, headers in sent)
    assert [row.values[0] for row in found] == many


@pytest.fixture(scope="module")
def wide() -> Contract:
    fields = {"shop": "string", "emb": {"type": "vector", "size": 1_000}}
    return Contract.model_validate(
        {
            "product": "wide",
            "event": {"entity": "shop", "fields": fields},
            "label": {"field": "returned", "delay": "1h", "maturity": "6h"},
            "features": {"look": {"field": "emb"}},
        }
    )


def test_a_sparse_vector_is_short_all_the_way_to_its_feature_row(wide: Contract) -> None:
    rows = [{**GOOD, "emb": {"999": 0.5, "3": 1.0}}, {**GOOD, "event_id": "o2", "emb": [0.25] * 1_000}]
    events = event_reader(wide).read([json.dumps(row).encode() for row in rows]).rows
    assert events.schema["emb"] == VECTORS
    built = FeatureBuilder(wide).add(events, label_schema(wide).to_frame())
    assert [row.values for row in single_rows(built)] == [(vector_of({999: 0.5, 3: 1.0}, 1_000),), ((0.25,) * 1_000,)]
    (_, short, _), (_, whole, _) = (struct.values() for struct in built["look"].to_list())
    assert (short, whole) == ([999, 3], [])
    value, headers = encode(FeatureRows(built[:1]))
    assert len(value) < 2_000
    assert feature_rows([decode_whole("features", value, headers)]) == single_rows(built[:1])


@pytest.mark.parametrize("index", [1_000, 65_536, -1])
def test_an_index_beyond_a_long_vector_is_refused(wide: Contract, index: int) -> None:
    with pytest.raises(InvalidRecordError, match=f'not so at index "{index}"'):
        EventParser(wide).parse(json.dumps({**GOOD, "emb": {str(index): 1.0}}).encode())


def test_a_vector_sent_again_in_another_form_is_the_same_and_another_one_is_not(wide: Contract) -> None:
    forms = [{"3": 1.0, "7": 2.0}, {"7": 2.0, "3": 1.0, "9": 0.0}, [0.0] * 3 + [1.0, 0.0, 0.0, 0.0, 2.0] + [0.0] * 992]
    first, *again, other = (
        event_reader(wide)
        .read([json.dumps({**GOOD, "emb": emb}).encode() for emb in (*forms, {"3": 1.5})])
        .rows.iter_slices(1)
    )
    builder = FeatureBuilder(wide)
    builder.add(first, label_schema(wide).to_frame())
    assert [builder.known(one) for one in again] == [{0: (True, True)}] * 2
    assert builder.known(other) == {0: (False, True)}


def test_an_event_may_come_as_columns_too(toys: Contract) -> None:
    row = {"event_id": "a", "event_time": datetime(2024, 3, 1, tzinfo=UTC), "shop": "s", "emb": [1.0, 2.0, 3.0]}
    value, headers = encode(FeatureRows(pl.DataFrame([row])))
    record = decode_whole("raw_events", value, headers)
    assert isinstance(record, RawEvents)
    found = event_reader(toys).read([pl.DataFrame(record.rows)])
    assert (vector_cells(found.rows["emb"]), found.faults) == ([(1.0, 2.0, 3.0)], [])
