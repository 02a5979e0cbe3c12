"""Raw messages that hold many rows: an Arrow stream is the same as each of its rows sent alone."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.batches import FeatureRows
from homeostat.codec import ARROW, MOST_ROWS, decode_all, decode_whole, encode
from homeostat.errors import InvalidRecordError
from homeostat.records import FeatureRow, Label, RawEvent, RawLabel
from homeostat.tabular import as_records, feature_rows
from homeostat.vectors import as_lists, vector_column, vector_of

AT = datetime(2013, 3, 1, 12, 30, 0, 250_000, UTC)
GOLDEN = Path(__file__).parents[1] / "golden"
HEADERS = {"content-type": ARROW}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
CELLS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "float": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "text": (pa.string(), texts),
    "truth": (pa.bool_(), st.booleans()),
    "time": (
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime(1900, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given one
    ),
    "word": (pa.dictionary(pa.int32(), pa.string()), texts),
}


def stream(table: pa.Table, *, rows: int | None = None, compression: str | None = None) -> bytes:
    buffer = BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return buffer.getvalue()


def rows_of(value: bytes) -> list[dict[str, Any]]:
    records = decode_all("raw_events", value, HEADERS)
    assert all(isinstance(record, RawEvent) for record in records)
    return [json.loads(record.value) for record in records if isinstance(record, RawEvent)]


def same(found: Any, cell: Any) -> bool:
    if isinstance(cell, datetime):
        return datetime.fromisoformat(found) == cell
    return bool(found == cell)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), rows=st.integers(0, 7))
def test_each_row_is_the_json_object_of_its_cells(data: st.DataObject, rows: int) -> None:
    names = data.draw(st.lists(texts, min_size=1, max_size=5, unique=True))
    kinds = [data.draw(st.sampled_from(sorted(CELLS))) for _ in names]
    columns = [
        data.draw(st.lists(st.none() | CELLS[kind][1], min_size=rows, max_size=rows), label=kind) for kind in kinds
    ]
    arrays = [pa.array(column, CELLS[kind][0]) for kind, column in zip(kinds, columns, strict=True)]
    table = pa.Table.from_arrays(arrays, names=names)
    compression = data.draw(st.sampled_from([None, "lz4", "zstd"]))
    read = rows_of(stream(table, rows=data.draw(st.integers(1, 3)), compression=compression))
    assert [list(row) for row in read] == [names] * rows
    for i, row in enumerate(read):
        assert all(same(row[name], column[i]) for name, column in zip(names, columns, strict=True))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_bytes_that_are_no_whole_stream_are_refused_and_never_crash(data: st.DataObject) -> None:
    whole = stream(pa.table({"a": [1, 2, 3], "b": ["x", "y", None]}), rows=1)
    position = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:position] + data.draw(st.binary(min_size=1, max_size=3)) + whole[position + 2 :]
    for value in (broken, whole[:position], data.draw(st.binary(max_size=60))):
        try:
            records = decode_all("raw_events", value, HEADERS)
        except InvalidRecordError as error:
            assert "Arrow" in str(error) or "columns" in str(error) or "rows" in str(error)  # noqa: PT017
        else:
            assert len(records) <= MOST_ROWS


def test_a_stream_that_was_written_in_the_past_can_still_be_read() -> None:
    assert rows_of((GOLDEN / "RawEvents.v1.arrow").read_bytes()) == [
        {"event_id": "e1", "event_time": "2013-03-01T12:30:00.250+00:00", "carrier": "UA", "distance": 1400.5},
        {"event_id": "e2", "event_time": "2013-03-01T12:30:01.250+00:00", "carrier": "UA", "distance": None},
    ]


def test_the_same_stream_makes_labels_of_a_topic_of_labels() -> None:
    value = stream(pa.table({"event_id": ["e1", "e2"], "late": [1, 0]}))
    assert decode_all("raw_labels", value, HEADERS) == [
        RawLabel(b'{"event_id":"e1","late":1}'),
        RawLabel(b'{"event_id":"e2","late":0}'),
    ]


def test_times_keep_their_zone_and_a_decimal_is_a_number() -> None:
    berlin = pa.array([AT], pa.timestamp("ns", "Europe/Berlin"))
    naive = pa.array([AT.replace(tzinfo=None)], pa.timestamp("ms"))
    (row,) = rows_of(stream(pa.table({"z": berlin, "n": naive, "d": [Decimal("1.5")], "day": [date(2013, 3, 1)]})))
    assert datetime.fromisoformat(row["z"]) == AT
    assert datetime.fromisoformat(row["n"]).tzinfo is None  # the contract refuses it, row by row
    assert (row["d"], row["day"]) == (1.5, "2013-03-01")


def test_a_number_that_is_not_finite_is_missing() -> None:
    assert rows_of(stream(pa.table({"x": [float("nan"), float("inf"), 1.0]}))) == [{"x": None}, {"x": None}, {"x": 1.0}]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([b"x"]), r"'c' \(Binary\)"),
        (pa.array([["x"]]), r"'c' \(List\(String\)\)"),
        (pa.array([timedelta(1)]), r"'c' \(Duration"),
    ],
    ids=["bytes", "list", "duration"],
)
def test_a_column_of_a_type_that_no_contract_knows_is_named(column: pa.Array, reason: str) -> None:
    table = pa.table({"ok": [1], "c": column})
    with pytest.raises(InvalidRecordError, match=f"no numbers, texts, truth values, times or vectors: {reason}"):
        decode_all("raw_events", stream(table), HEADERS)


def test_more_rows_than_a_message_may_hold_are_refused_though_they_take_few_bytes() -> None:
    value = stream(pa.table({"x": [0] * (MOST_ROWS + 1)}), compression="zstd")
    assert len(value) < 10_000
    with pytest.raises(InvalidRecordError, match="more than 50000 rows"):
        decode_all("raw_events", value, HEADERS)
    assert len(rows_of(stream(pa.table({"x": [0] * MOST_ROWS}), compression="zstd"))) == MOST_ROWS


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
@pytest.mark.parametrize("text", [ARROW, f"{ARROW}; version=1", ARROW.upper()])
def test_the_header_may_be_spelled_as_writers_do(name: str, text: str) -> None:
    assert len(decode_all("raw_events", stream(pa.table({"x": [1, 2]})), {name: text, "trace": "1"})) == 2


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, {"schema": "raw_events.v1"}])
def test_any_other_raw_message_is_one_record(headers: dict[str, str]) -> None:
    assert decode_all("raw_events", b"{}\n{}", headers) == [RawEvent(b"{}\n{}")]


def test_a_message_of_our_own_is_one_record_whatever_its_content_type() -> None:
    label = Label("e1", AT, 1.0)
    value, headers = encode(label)
    assert decode_all("labels", value, {**headers, **HEADERS}) == [label]


FEATURES = [
    FeatureRow("e1", "N1", AT, (1400.5, "UA")),
    FeatureRow("e2", "N2", AT + timedelta(seconds=1), (None, None)),
]


def test_feature_rows_in_columns_are_read_as_rows_and_so_are_those_written_in_the_past() -> None:
    value = (GOLDEN / "FeatureRows.v1.arrow").read_bytes()
    headers = {"schema": "features.v1", "content-type": ARROW}
    assert decode_all("features", value, headers) == FEATURES
    whole = decode_whole("features", value, headers)
    assert feature_rows([whole]) == FEATURES
    assert encode(whole) == (value, headers)


VECTORS = [
    FeatureRow("e1", "N1", AT, (vector_of({17: 0.5, 99: -2.0}, 100),)),
    FeatureRow("e2", "N2", AT, ((0.5,) * 100,)),
    FeatureRow("e3", "N3", AT, (None,)),
]


def test_vectors_in_columns_are_told_by_index_or_whole_and_were_lists_before() -> None:
    ids, entities = [row.event_id for row in VECTORS], [row.entity_id for row in VECTORS]
    head = {"event_id": ids, "entity_id": entities, "event_time": pl.Series([AT] * 3, dtype=pl.Datetime("us", "UTC"))}
    look = vector_column("look", [row.values[0] for row in VECTORS])
    sent, headers = encode(FeatureRows(pl.DataFrame({**head, "look": look})))
    value = (GOLDEN / "FeatureRows.v1.with-vectors.arrow").read_bytes()
    assert sent == value
    assert decode_all("features", value, headers) == VECTORS
    assert pa.ipc.open_stream(value).read_all()["look"].to_pylist()[0] == {
        "size": 100,
        "indices": [17, 99],
        "values": [0.5, -2.0],
    }
    before, _ = encode(FeatureRows(pl.DataFrame({**head, "look": as_lists(look)})))
    numbers = [row.values[0] for row in feature_rows(decode_all("features", before, headers))]
    assert as_lists(vector_column("look", numbers)).to_list() == as_lists(look).to_list()


def test_columns_that_are_no_feature_rows_are_refused() -> None:
    with pytest.raises(InvalidRecordError, match=r"expected .*event_id.* and then the features"):
        decode_whole("features", stream(pa.table({"event_id": ["e1"]})), HEADERS)


@pytest.mark.parametrize(("rows", "messages"), [(0, 0), (64, 64), (65, 1), (25_000, 3)])
def test_many_feature_rows_travel_as_columns_of_bounded_size(rows: int, messages: int) -> None:
    ids = [f"e{i}" for i in range(rows)]
    schema = {"event_id": pl.String, "entity_id": pl.String, "event_time": pl.Datetime("us", "UTC"), "x": pl.Float64}
    table = pl.DataFrame({"event_id": ids, "entity_id": ids, "event_time": [AT] * rows, "x": [1.5] * rows}, schema)
    records = list(as_records(table))
    assert len(records) == messages
    assert [row.event_id for row in feature_rows(records)] == ids
