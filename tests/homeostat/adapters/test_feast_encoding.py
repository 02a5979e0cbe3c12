"""The bytes written to an online store are those that Feast's own classes would make."""

from datetime import UTC, datetime

import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.Value_pb2 import DoubleList, Value
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.feast_features.encoding import (
    decoded,
    decoded_time,
    encoded,
    encoded_time,
    entity_key,
    key_encoder,
)
from homeostat.vectors import filled, vector_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_key_is_the_one_that_feast_makes(entity_id: str) -> None:
    assert key_encoder(3)(entity_id) == serialize_entity_key(entity_key(entity_id), 3)


@given(st.lists(st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63 - 1)))
def test_numbers_are_stored_as_floats_zero_and_what_is_not_finite_too(values: list[float | None]) -> None:
    assert encoded(values, categorical=False) == [Value(double_val=x).SerializeToString() for x in values]


@given(st.lists(st.none() | TEXTS))
def test_categories_are_stored_as_texts_the_empty_one_too(values: list[str | None]) -> None:
    assert encoded(values, categorical=True) == [Value(string_val=x).SerializeToString() for x in values]


@given(st.lists(st.floats(allow_nan=False), max_size=40))
def test_a_vector_is_stored_as_a_list_of_floats(numbers: list[float]) -> None:
    stored = Value(double_list_val=DoubleList(val=numbers)).SerializeToString()
    assert encoded([tuple(numbers)], categorical=False) == [stored]
    assert decoded(stored) == tuple(numbers)


@pytest.mark.parametrize("size", [64, 127, 128, 3_000, 16_384])
def test_a_sparse_vector_is_stored_with_all_its_numbers(size: int) -> None:
    sparse = vector_of({1: 0.5, size - 1: -1e300}, size)
    (stored,) = encoded([sparse], categorical=False)
    assert stored == Value(double_list_val=DoubleList(val=filled({1: 0.5, size - 1: -1e300}, size))).SerializeToString()
    assert decoded(stored) == sparse


def test_what_is_missing_is_stored_as_a_value_that_holds_nothing() -> None:
    nothing = [Value().SerializeToString()]
    assert encoded([None], categorical=True) == encoded([None], categorical=False) == nothing


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_stored_to_the_microsecond(time: datetime) -> None:
    stored = Value.FromString(encoded_time(time)).int64_val
    assert stored * 1_000 == int(time.replace(microsecond=0).timestamp()) * 10**9 + time.microsecond * 1_000


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_stored_time_is_read_as_it_was(time: datetime) -> None:
    assert decoded_time(encoded_time(time)) == time


@given(
    st.builds(lambda number: Value(double_val=number), st.floats(allow_nan=False))
    | st.builds(lambda text: Value(string_val=text), TEXTS)
    | st.builds(lambda number: Value(int64_val=number), st.integers(-(2**63), 2**63 - 1))
    | st.builds(lambda truth: Value(bool_val=truth), st.booleans())
)
def test_a_cell_of_any_type_is_read_as_feast_reads_it(cell: Value) -> None:
    assert decoded(cell.SerializeToString()) == getattr(cell, cell.WhichOneof("val"))


def test_a_cell_that_holds_nothing_or_is_not_there_is_missing() -> None:
    assert decoded(Value().SerializeToString()) is decoded(None) is None
