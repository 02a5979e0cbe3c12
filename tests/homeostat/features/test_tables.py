"""Columns are read like rows alone: whatever a producer puts into them, in whatever type."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser
from homeostat.features.tables import TableReader, event_reader, event_schema, label_reader, values_at
from homeostat.tabular import json_rows

MAKERS = (event_reader, label_reader)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
times = st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)) | st.just(datetime(2024, 3, 1, 12))  # noqa: DTZ001
CELLS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.float64(): st.floats() | st.integers(-3, 1002).map(float) | st.sampled_from([2.0**53 + 2, -0.0, 1e300]),
    pa.float32(): st.floats(width=32),
    pa.int64(): st.integers(-3, 1002) | st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int8(): st.integers(-2, 2),
    pa.bool_(): st.booleans(),
    pa.string(): texts | st.sampled_from(["", "2024-03-01T12:00:00Z", "1", "true"]),
    pa.dictionary(pa.int32(), pa.string()): texts,
    pa.timestamp("us", "UTC"): times,
    pa.timestamp("ms", "Europe/Berlin"): times.map(lambda time: time.replace(microsecond=0)),
    pa.timestamp("ns", "UTC"): times,
    pa.timestamp("us"): times,
    pa.date32(): times.map(lambda time: time.date()),
    pa.null(): st.none(),
}


@st.composite
def columns(draw: st.DrawFn, names: Sequence[str], rows: int) -> pl.DataFrame:
    """A table with some of the columns, each of a type that may be the right one."""
    table: dict[str, pa.Array] = {"extra": pa.array(range(rows))}
    for name in names:
        kind = draw(st.sampled_from(["right"] * 8 + ["any", "none"]))
        if kind != "none":
            dtype = FITTING[name] if kind == "right" and name in FITTING else draw(st.sampled_from(list(CELLS)))
            cells = draw(st.lists(st.none() | CELLS[dtype] | CELLS[dtype], min_size=rows, max_size=rows))
            table[name] = pa.array(cells, dtype)
    frame = pl.from_arrow(pa.table(table))
    assert isinstance(frame, pl.DataFrame)
    return frame


FITTING = {
    **dict.fromkeys(["event_id", "customer", "store", "reason"], pa.string()),
    **dict.fromkeys(["amount", "loss", "refunded"], pa.float64()),
    **dict.fromkeys(["event_time", "label_time", "due"], pa.timestamp("us", "UTC")),
    "items": pa.int64(),
    "member": pa.bool_(),
}
NAMES: dict[Callable[[Contract], TableReader], list[str]] = {
    event_reader: ["event_id", "event_time", "customer", "store", "amount", "items", "member", "due"],
    label_reader: ["event_id", "label_time", "refunded", "loss", "reason"],
}


@pytest.mark.parametrize("make", MAKERS)
@settings(deadline=None, max_examples=150)
@given(data=st.data(), rows=st.integers(1, 5))
def test_columns_give_what_their_rows_alone_give(
    shop: Contract, make: Callable[[Contract], TableReader], data: st.DataObject, rows: int
) -> None:
    table = data.draw(columns(NAMES[make], rows))
    reader = make(shop)
    alone = reader.read(json_rows(table))
    whole = reader.read([table])
    assert_frame_equal(whole.rows, alone.rows, check_exact=True)
    assert (whole.places, whole.faults) == (alone.places, alone.faults)


ODD: dict[str, Sequence[str]] = {
    "event_id": ['"e"', '""', "7", '"\\ud800"', "null"],
    "event_time": ['"2024-03-01T12:00:00Z"', '"2024-03-01T12:00:00.5+02:00"', '"1800-01-01T00:00:00Z"', "0", '"x"'],
    "customer": ['"ann"', '"\\u00e9"', '""', "null"],
    "store": ['"north"', "null", "[1]"],
    "amount": ["12", "12.5", "1e999", "NaN", "-1", "null", '"12"', str(2**70)],
    "items": ["3", "3.0", "3.5", str(2**63), str(2**53 + 1), "-0.0", "true"],
    "member": ["true", "false", "1", "null"],
    "due": ['"0001-01-01T00:00:00+14:00"', '"2024-03-02T00:00:00-05:00"', "null", '"tomorrow"'],
    "extra": ['{"a": [1, {"b": null}]}'],
}
members = st.sampled_from([(name, text) for name, all_of in ODD.items() for text in all_of])
first = [(name, texts_of[0]) for name, texts_of in ODD.items()]


@st.composite
def sent(draw: st.DrawFn) -> bytes:
    """A message: an event with some members that were sent otherwise, twice or not at all, and bytes around it."""
    left_out = draw(st.sets(st.sampled_from(range(len(first))), max_size=1))
    body = [member for i, member in enumerate(first) if i not in left_out] + draw(st.lists(members, max_size=2))
    text = ", ".join(f'"{name}": {cell}' for name, cell in draw(st.permutations(body)))
    around = st.sampled_from([b""] * 12 + [b"\n", b" ", b"\xef\xbb\xbf", b"}", b",{}", b"\xff", b"\x00"])
    whole = draw(around) + b"{" + text.encode() + b"}" + draw(around)
    return draw(st.just(whole) | st.sampled_from([whole, whole, b"", b"{", b"null", b"[]", whole[:-1]]))


@settings(deadline=None, max_examples=150)
@given(values=st.lists(sent(), min_size=1, max_size=8))
def test_rows_read_together_are_what_the_parser_makes_of_each(shop: Contract, values: list[bytes]) -> None:
    good, faults = [], []
    for place, value in enumerate(values):
        try:
            good.append((place, EventParser(shop).parse(value)))
        except InvalidRecordError as error:
            faults.append((place, str(error)))
    found = event_reader(shop).read(values)
    assert (found.places, found.faults) == ([place for place, _ in good], faults)
    assert found.rows.schema == event_schema(shop)
    assert found.rows.rows() == [(e.event_id, e.event_time, *e.fields.values()) for _, e in good]
    assert values_at(values, [place for place, _ in faults]) == [values[place] for place, _ in faults]


@settings(deadline=None, max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 12), max_size=4), bad=st.sets(st.integers(0, 11)), single=st.sets(st.integers(0, 4))
)
def test_rows_keep_their_place_however_they_come(
    shop: Contract, cuts: list[int], bad: set[int], single: set[int]
) -> None:
    table = pl.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(12)],
            "event_time": pl.Series([datetime(2024, 3, 1, tzinfo=UTC)] * 12),
            "customer": ["ann"] * 12,
            "items": [-1 if i in bad else i for i in range(12)],
            "member": [True] * 12,
        }
    )
    bounds = sorted({0, 12, *cuts})
    parts = [table[start:stop] for start, stop in pairwise(bounds)]
    raw = [row for i, part in enumerate(parts) for row in (json_rows(part) if i in single else [part])]
    found = event_reader(shop).read(raw)
    assert found.rows.get_column("items").to_list() == found.places == [i for i in range(12) if i not in bad]
    assert [place for place, _ in found.faults] == sorted(bad)
    assert values_at(raw, sorted(bad)) == [json_rows(table)[i] for i in sorted(bad)]


def test_a_row_that_is_refused_says_what_its_parser_says(shop: Contract) -> None:
    table = pl.DataFrame({"event_id": ["a"], "items": [1.5], "customer": [""], "member": ["no"]})
    ((_, reason),) = event_reader(shop).read([table]).faults
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its text is what is compared
        EventParser(shop).parse(json.dumps(table.row(0, named=True)).encode())
    assert reason == str(caught.value)
    assert all(name in reason for name in ("customer", "event_time", "items", "member"))
