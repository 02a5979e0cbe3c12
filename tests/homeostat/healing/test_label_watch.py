from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.healing.label_watch import LabelWatch
from homeostat.records import Arm, Outcome

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW, MATURITY = timedelta(days=2), timedelta(days=1)


def watch() -> LabelWatch:
    return LabelWatch(WINDOW, MATURITY, min_rows=50)


def outcome(hour: float, *, labelled: bool) -> Outcome:
    at = START + hour * HOUR
    return Outcome(
        f"e{hour}", "t", at, at + 6 * HOUR if labelled else None, 1.0 if labelled else None, Arm.CHAMPION, "1", 0.5
    )


def stream(hours: int, share: float, seed: int = 0, first: int = 0) -> list[Outcome]:
    rng = np.random.default_rng(seed)
    return [
        outcome(first + hour + i / 10, labelled=bool(rng.uniform() < share)) for hour in range(hours) for i in range(10)
    ]


def first_finding(watched: LabelWatch, rows: list[Outcome]) -> int | None:
    """Return the number of rows after which something is found."""
    for i, row in enumerate(rows):
        watched.fold([row])
        if watched.finding():
            return i + 1
    return None


def test_no_outcome_says_nothing() -> None:
    assert watch().finding() is None


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.1, 0.02])
@pytest.mark.parametrize("seed", range(5))
def test_a_steady_share_of_labels_is_never_stale_however_small(share: float, seed: int) -> None:
    assert first_finding(watch(), stream(240, share, seed)) is None


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
def test_labels_that_stop_are_found_within_a_window(share: float) -> None:
    watched = watch()
    watched.fold(stream(120, share))
    found = first_finding(watched, stream(96, 0.0, first=120))
    assert found is not None
    assert found <= 10 * 54  # rows of a window and a bucket
    finding = watched.finding()
    assert finding is not None
    assert abs(finding.since - (START + 120 * HOUR)) <= WINDOW / 8


def test_labels_that_thin_out_are_found_and_the_shares_are_named() -> None:
    watched = watch()
    watched.fold(stream(120, 0.95))
    assert first_finding(watched, stream(60, 0.4, 1, first=120)) is not None
    finding = watched.finding()
    assert finding is not None
    assert "have no label" in finding.what


def test_labels_that_never_came_are_found_after_twice_their_maturity() -> None:
    found = first_finding(watch(), stream(96, 0.0))
    assert found is not None
    assert 10 * 24 < found <= 10 * 25


def test_rare_labels_may_stay_away_longer() -> None:
    watched = watch()
    watched.fold(stream(400, 0.02, 3))
    assert first_finding(watched, stream(30, 0.0, first=400)) is None


def test_a_few_unlabelled_rows_are_bad_luck() -> None:
    watched = watch()
    watched.fold(stream(120, 0.9))
    watched.fold([outcome(400 + i, labelled=False) for i in range(5)])
    assert watched.finding() is None


def test_labels_that_are_back_are_no_longer_stale() -> None:
    watched = watch()
    watched.fold(stream(120, 0.9))
    watched.fold(stream(60, 0.0, first=120))
    assert watched.finding() is not None
    watched.fold(stream(60, 0.9, first=180))
    assert watched.finding() is None


@given(st.lists(st.tuples(st.floats(0, 500), st.booleans()), max_size=60))
def test_any_outcomes_in_any_order_are_taken(rows: list[tuple[float, bool]]) -> None:
    watched = watch()
    watched.fold(outcome(hour, labelled=labelled) for hour, labelled in rows)
    watched.finding()


def test_memory_does_not_grow_with_the_stream() -> None:
    watched = watch()
    watched.fold(stream(2000, 0.9))
    assert len(watched._buckets) <= 17
