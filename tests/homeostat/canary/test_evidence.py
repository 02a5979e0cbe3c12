from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.evidence import BlockSums, PairedEvidence

START = datetime(2013, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = st.lists(st.tuples(st.integers(0, 600), st.floats(0, 2), st.floats(0, 2)), max_size=40)


def folded(rows: list[tuple[int, float, float]]) -> PairedEvidence:
    evidence = PairedEvidence(HOUR)
    times = [START + timedelta(minutes=row[0]) for row in rows]
    evidence.add(times, np.array([row[1] for row in rows]), np.array([row[2] for row in rows]))
    return evidence


def same(a: BlockSums, b: BlockSums) -> bool:
    return (
        a.rows.tolist() == b.rows.tolist() and np.allclose(a.incumbent, b.incumbent) and np.allclose(a.rival, b.rival)
    )


@given(ROWS, ROWS)
def test_merging_two_folds_is_folding_all_rows(first: list, second: list) -> None:
    merged = folded(first)
    merged.merge(folded(second))
    assert same(merged.complete(), folded(first + second).complete())


@given(ROWS)
def test_the_order_of_rows_does_not_matter(rows: list) -> None:
    assert same(folded(rows).complete(), folded(rows[::-1]).complete())


def test_the_newest_block_is_left_out_because_it_may_still_grow() -> None:
    assert folded([(0, 1, 2), (30, 1, 2), (60, 1, 2)]).complete().rows.tolist() == [2]


def test_a_block_that_began_before_the_start_is_left_out() -> None:
    evidence = folded([(0, 1, 2), (61, 1, 2), (62, 1, 2), (121, 1, 2)])
    assert evidence.complete(START + timedelta(minutes=1)).rows.tolist() == [2]
    assert evidence.complete(START + HOUR).rows.tolist() == [2]
    assert evidence.complete(START).rows.tolist() == [1, 2]


def test_forgotten_blocks_are_gone() -> None:
    evidence = folded([(0, 1, 2), (61, 1, 2), (121, 1, 2)])
    evidence.forget(START + HOUR)
    assert evidence.complete().rows.tolist() == [1]


def test_nothing_folded_is_nothing_known() -> None:
    assert PairedEvidence(HOUR).complete().rows.tolist() == []


def test_flipping_turns_the_difference_around() -> None:
    sums = folded([(0, 1, 3), (61, 1, 1)]).complete()
    assert sums.differences.tolist() == [2.0]
    assert sums.flipped().differences.tolist() == [-2.0]
