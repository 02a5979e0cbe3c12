import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.cells import as_field, booleans, integers, key_of, numbers, positive_of, texts, truth
from homeostat.contract.model import FieldType

KINDS: list[FieldType] = ["number", "integer", "boolean", "string", "time"]
CELLS = st.lists(st.one_of(st.none(), st.text(max_size=25), st.from_regex(r"[-+0-9.,:/ TZ$%eE]{0,20}", fullmatch=True)))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2.5 ", "-3e2"], [1.0, 2.5, -300.0]),
        (["1,234.5", "$2", "x", None], [1234.5, 2.0, None, None]),
        (["1.234,5", "0,25"], [1234.5, 0.25]),
        (["1.234", "2,5"], [1234.0, 2.5]),
        (["1,234", "5,678"], [1234.0, 5678.0]),
        (["12%", "3 %"], [12.0, 3.0]),
        (["1 234,50 €", "2"], [1234.5, 2.0]),
        (["-$3.5", "inf", "nan", "1e999"], [-3.5, None, None, None]),
        (["", "NA", "n/a", "-"], [None, None, None, None]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells: list[str | None], expected: list[float | None]) -> None:
    assert numbers(pl.Series(cells, dtype=pl.String)).to_list() == expected


def test_a_whole_number_of_64_bits_keeps_its_last_digit() -> None:
    assert integers(pl.Series(["9223372036854775807", "1"])).to_list() == [9223372036854775807, 1]


def test_a_number_that_is_not_whole_is_no_integer() -> None:
    assert integers(pl.Series(["1", "2.5", "1e300"])).to_list() == [1, None, None]


def test_truth_values_have_many_names() -> None:
    cells = pl.Series(["Yes", "no", "T", "off", "1", "0", "maybe", None])
    assert booleans(cells).to_list() == [True, False, True, False, True, False, None, None]


@settings(deadline=None)
@given(CELLS, st.sampled_from(KINDS))
def test_any_cells_can_be_read_as_any_type(cells: list[str | None], kind: FieldType) -> None:
    column = pl.Series("c", cells, dtype=pl.String)
    found = as_field(column, kind)
    assert found.len() == column.len()
    if kind != "string":
        assert found.null_count() >= texts(column).null_count()


@pytest.mark.parametrize(
    ("counts", "positive"),
    [
        ({"late": 1, "on time": 9}, "late"),
        ({"not late": 9, "late": 1}, "late"),
        ({"malignant": 1, "benign": 2}, "malignant"),
        ({"active": 4, "churned": 3}, "churned"),
        ({"No": 5, "Yes": 1}, "Yes"),
        ({"n": 5, "y": 9}, "y"),
        ({"nein": 5, "ja": 9}, "ja"),
        ({"0": 1, "1": 9}, "1"),
        ({"-1": 5, "1": 1}, "1"),
        ({"1": 5, "2": 1}, "2"),
        ({"M": 5, "F": 4}, "F"),  # a lone f is not false
        ({"unpaid": 1, "paid": 5}, "unpaid"),
        ({"no": 1, "maybe": 2}, "maybe"),
    ],
)
def test_the_positive_answer_is_the_one_that_is_asked_for(counts: dict[str, int], positive: str) -> None:
    assert positive_of(counts)[0] == positive


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=10), st.integers(1, 100)))
def test_the_positive_answer_is_one_of_the_answers(counts: dict[str, int]) -> None:
    chosen, why = positive_of(counts)
    assert why
    assert chosen in counts or not counts


def test_answers_that_differ_in_writing_are_the_same() -> None:
    assert truth(pl.Series(["Late", "late ", "on time", None, "1"])).to_list() == [1, 1, 0, None, 0]
    assert truth(pl.Series(["1", "1.0", "0"])).to_list() == [1, 1, 0]
    assert truth(pl.Series([True, False, None])).to_list() == [1, 0, None]
    assert key_of(" On  Time") == "on time"


@pytest.mark.parametrize("name", ["*", "^a$", "", "a.b"])
def test_a_name_that_polars_takes_for_a_pattern_does_no_harm(name: str) -> None:
    assert as_field(pl.Series(name, ["1"]), "integer").to_list() == [1]
    assert truth(pl.Series(name, ["yes", "no"])).to_list() == [1, 0]


def test_one_answer_can_be_held_against_all_others() -> None:
    assert truth(pl.Series(["a", "b", "c"]), positive="B").to_list() == [0, 1, 0]
