import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.features import windows
from homeostat.features.windows import History, Integers, aggregate, microseconds

SPAN = 10
facts_of = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 40), st.floats(-1e6, 1e6)), max_size=40)
rows_of = st.lists(st.tuples(st.sampled_from("xyzw"), st.integers(0, 60)), min_size=1, max_size=10)


def naive(kind: str, seen: list[float]) -> float | None:
    """Sum a window up as a textbook would."""
    if kind == "count":
        return float(len(seen))
    if kind == "last":
        return seen[-1] if seen else None
    total = math.fsum(seen)
    if kind == "sum":
        return total
    if len(seen) < (2 if kind == "std" else 1):
        return None
    mean = total / len(seen)
    return mean if kind == "mean" else math.sqrt(math.fsum((x - mean) ** 2 for x in seen) / (len(seen) - 1))


def history(*facts: tuple[str, int, float]) -> History:
    result = History()
    for key, known, value in facts:
        result.insert([key], [known], [value])
    return result


def window(past: History, keys: Sequence[str | None], at: Sequence[int], span: int = SPAN) -> tuple[Integers, Integers]:
    codes, times = past.codes(keys), np.array(at)
    return past.before(codes, times - span), past.before(codes, times)


def one(kind: str, past: History, key: str | None, at: int, span: int = SPAN) -> object:
    return aggregate(kind, past.values, *window(past, [key], [at], span))[0]


@pytest.mark.parametrize("kind", ["count", "mean", "sum", "std", "last"])
@given(facts=facts_of, rows=rows_of, cut=st.integers(0, 40))
def test_windows_agree_with_a_textbook(
    kind: str, facts: list[tuple[str, int, float]], rows: list[tuple[str, int]], cut: int
) -> None:
    past = History()
    for part in (facts[:cut], facts[cut:]):
        past.insert(*([list(column) for column in zip(*part, strict=True)] if part else ([], [], [])))
    found = aggregate(kind, past.values, *window(past, [key for key, _ in rows], [at for _, at in rows])).to_list()
    in_time = sorted(facts, key=lambda fact: fact[1])
    expected = [
        naive(kind, [value for key, known, value in in_time if key == wanted and at - SPAN <= known < at])
        for wanted, at in rows
    ]
    assert found == [None if x is None else pytest.approx(x, rel=1e-9, abs=1e-7) for x in expected]


def test_a_fact_counts_from_just_after_it_is_known_until_the_span_is_over() -> None:
    past = history(("x", 100, 1.0))
    assert [one("count", past, "x", at) for at in (99, 100, 101, 110, 111)] == [0.0, 0.0, 1.0, 1.0, 0.0]


def test_an_empty_window_has_a_count_and_a_sum_but_nothing_else() -> None:
    past = history(("x", 100, 1.0))
    assert [one(kind, past, "x", 50) for kind in ("count", "sum", "mean", "std", "last")] == [
        0.0,
        0.0,
        None,
        None,
        None,
    ]
    assert [one(kind, past, None, 105) for kind in ("count", "sum", "mean", "std", "last")] == [
        0.0,
        0.0,
        None,
        None,
        None,
    ]


def test_one_fact_has_no_spread() -> None:
    assert one("std", history(("x", 1, 5.0)), "x", 2) is None


def test_a_large_value_under_another_key_does_not_blur_a_small_one() -> None:
    past = history(("a", 1, 1e300), ("b", 1, 1e-3), ("b", 2, 3e-3), ("c", 1, -1e300))
    assert one("mean", past, "b", 5) == 2e-3
    assert one("std", past, "b", 5) == pytest.approx(math.sqrt(2) * 1e-3)


def test_the_spread_of_close_values_far_from_zero_is_kept() -> None:
    past = history(*[("x", i, 1e9 + i % 2) for i in range(10)])
    assert one("std", past, "x", 10) == pytest.approx(math.sqrt(10 / 36))


def test_a_sum_beyond_all_floats_is_missing() -> None:
    past = history(("x", 1, 1.7e308), ("x", 2, 1.7e308))
    assert one("sum", past, "x", 5) is None


def test_the_last_of_two_known_at_the_same_time_is_the_one_that_came_later() -> None:
    assert one("last", history(("x", 1, 5.0), ("x", 1, 7.0)), "x", 2) == 7.0


def test_texts_have_a_last_one() -> None:
    past = History(text=True)
    past.insert(["x", "x", "y"], [3, 1, 2], ["new", "old", "other"])
    assert one("last", past, "x", 5) == "new"


def test_trimming_forgets_old_facts_and_their_keys_alone() -> None:
    past = history(("old", 1, 1.0), ("x", 4, 2.0), ("x", 6, 3.0))
    past.trim(5)
    assert len(past) == 1
    assert one("sum", past, "x", 7) == 3.0
    past.insert(["old", "new"], [7, 7], [10.0, 20.0])
    assert [one("sum", past, key, 8) for key in ("old", "x", "new")] == [10.0, 3.0, 20.0]


def test_many_facts_are_summed_up_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    past = History()
    past.insert(["x"] * 100, list(range(100)), np.sin(np.arange(100)).tolist())
    bounds = window(past, ["x"] * 30, range(0, 120, 4), 25)
    whole = aggregate("std", past.values, *bounds).to_list()
    monkeypatch.setattr(windows, "_CHUNK_FACTS", 40)
    assert aggregate("std", past.values, *bounds).to_list() == whole


def test_microseconds_are_exact() -> None:
    assert microseconds(datetime(2024, 3, 1, 12, 0, 0, 1, tzinfo=UTC)) == 1_709_294_400_000_001
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
