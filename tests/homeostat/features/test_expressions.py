import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.contract.expressions import FUNCTIONS
from homeostat.contract.model import FieldType
from homeostat.features.expressions import DTYPES, compile_expression

TYPES: Mapping[str, FieldType] = {
    "a": "number",
    "b": "number",
    "n": "integer",
    "yes": "boolean",
    "s": "string",
    "t": "time",
    "u": "time",
}
ROW = {
    "a": 7.5,
    "b": -2.0,
    "n": 3,
    "yes": True,
    "s": "north",
    "t": datetime(2024, 3, 4, 3, 45, tzinfo=UTC),  # a Monday; still Sunday in New York
    "u": None,
}


def value(text: str, **changes: Any) -> float | None:
    row = {**ROW, **changes}
    frame = pl.DataFrame([pl.Series(name, [row[name]], DTYPES[kind]) for name, kind in TYPES.items()])
    column = frame.with_columns(compile_expression(text, TYPES).alias("result"))["result"]
    assert column.dtype == pl.Float64
    return column.item()


CASES = [
    ("a", 7.5),
    ("n", 3.0),
    ("yes", 1.0),
    ("42", 42.0),
    ("True", 1.0),
    ("-a + 1", -6.5),
    ("+b", -2.0),
    ("a - b * n", 13.5),
    ("n / 2", 1.5),
    ("n // 2", 1.0),
    ("-n // 2", -2.0),
    ("-n % 24", 21.0),
    ("a % b", -0.5),
    ("n ** 2", 9.0),
    ("n ** -1", 1 / 3),
    ("yes + yes", 2.0),
    ("a > b", 1.0),
    ("b < a < 7", 0.0),
    ("b < a <= 7.5 != n", 1.0),
    ("s == 'north'", 1.0),
    ("s != 'north'", 0.0),
    ("not yes", 0.0),
    ("not n", 0.0),
    ("yes and a > 100", 0.0),
    ("yes or a > 100", 1.0),
    ("n if s == 'north' else a", 3.0),
    ("'x' == (s if yes else 'x')", 0.0),
    ("log1p(n)", math.log1p(3)),
    ("sqrt(n + 1)", 2.0),
    ("abs(b)", 2.0),
    ("sin(a)", math.sin(7.5)),
    ("cos(a)", math.cos(7.5)),
    ("min(a, b, n)", -2.0),
    ("max(a, b, n)", 7.5),
    ("hour(t)", 3.0),
    ("hour(t, 'America/New_York')", 22.0),
    ("minute(t)", 45.0),
    ("minute(t, 'Asia/Kathmandu')", 30.0),
    ("weekday(t)", 1.0),
    ("weekday(t, 'America/New_York')", 7.0),
    ("month(t)", 3.0),
    ("day_of_year(t)", 64.0),
    ("epoch_s(t)", ROW["t"].timestamp()),
    ("epoch_s(t, 'Asia/Kathmandu') - epoch_s(t)", 0.0),
    ("is_null(u)", 1.0),
    ("is_null(a)", 0.0),
    ("coalesce(a, 1)", 7.5),
    ("hour(coalesce(u, t))", 3.0),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_an_expression_has_the_value_python_would_give(text: str, expected: float | None) -> None:
    assert value(text) == pytest.approx(expected, rel=1e-12)


def test_every_function_of_the_language_is_tried_above() -> None:
    assert {name for name in FUNCTIONS if not any(f"{name}(" in text for text, _ in CASES)} == set()


@pytest.mark.parametrize(
    "text",
    [
        *("a + 1", "-a", "a / b", "a // b", "a % b", "a ** 2", "a > 1", "1 < a < 3", "not a", "min(a, 1)", "max(b, a)"),
        *("sqrt(a)", "log1p(a)", "abs(a)", "sin(a)", "1 if a else 2", "a if yes else 1", "a and yes", "not a or a"),
        *("coalesce(a, a)", "hour(u)", "epoch_s(u)", "t > u"),
    ],
)
def test_null_in_gives_null_out(text: str) -> None:
    assert value(text, a=None) is None


def test_a_truth_that_needs_no_missing_part_is_known() -> None:
    assert value("a > 1 and not yes", a=None) == 0.0
    assert value("a > 1 or yes", a=None) == 1.0


def test_coalesce_and_is_null_see_missing_values() -> None:
    assert value("coalesce(a, b)", a=None) == -2.0
    assert value("is_null(a)", a=None) == 1.0


@pytest.mark.parametrize("text", ["a / 0", "a // 0", "a % 0", "0 / 0", "0 ** -1", "sqrt(b)", "log1p(b)", "(b) ** 0.5"])
def test_what_is_not_finite_is_missing_on_the_spot(text: str) -> None:
    assert value(text) is None
    assert value(f"coalesce({text}, 9)") == 9.0
    assert value(f"({text}) > 1") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + missing", "unknown field 'missing'"),
        ("s + 1", "a string stands where a number is needed"),
        ("t - u", "a time stands where a number is needed"),
        ("s == 1", "a string stands where a number is needed"),
        ("hour(a)", "hour takes a field of the type time, not 'a'"),
        ("s", "a string stands where a number is needed"),
        ("a.b", "allowed are"),
    ],
)
def test_what_has_no_meaning_is_refused_before_any_row_comes(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        compile_expression(text, TYPES)


numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(a=numbers, b=numbers, n=st.integers(-50, 50), yes=st.booleans())
def test_arithmetic_agrees_with_python(a: float, b: float, n: int, yes: bool) -> None:  # noqa: FBT001
    text = "max(a, b) - n * min(a, 2) + (abs(b) if a < b and yes else n ** 2) - (n // 7) * (n % 7)"
    expected = max(a, b) - n * min(a, 2) + (abs(b) if a < b and yes else n**2) - (n // 7) * (n % 7)
    assert value(text, a=a, b=b, n=n, yes=yes) == pytest.approx(expected, rel=1e-12, abs=1e-9)
