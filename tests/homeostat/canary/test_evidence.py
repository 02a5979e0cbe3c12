from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.evidence import GROUPS, Blocks, CellSums, group_of, paired

START = datetime(2013, 3, 1, tzinfo=UTC)
HOURS = Blocks(timedelta(hours=1))
ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, GROUPS - 1), st.floats(0, 2), st.floats(0, 2)), max_size=40)


def folded(rows: list[tuple[int, int, float, float]]) -> CellSums:
    sums = CellSums(2)
    if rows:
        sums.add([row[0] for row in rows], [row[1] for row in rows], np.array([row[2:] for row in rows]))
    return sums


@given(ROWS)
def test_the_order_of_rows_does_not_matter(rows: list) -> None:
    assert np.allclose(folded(rows).table(range(10)), folded(rows[::-1]).table(range(10)))


@given(ROWS, ROWS)
def test_rows_folded_in_two_goes_are_all_rows(first: list, second: list) -> None:
    parts = folded(first)
    for row in second:
        parts.add([row[0]], [row[1]], np.array([row[2:]]))
    assert np.allclose(parts.table(range(10)), folded(first + second).table(range(10)))


@given(ROWS)
def test_the_total_is_that_of_the_table(rows: list) -> None:
    assert np.allclose(folded(rows).total(range(3, 8)), folded(rows).table(range(3, 8)).sum(axis=(0, 1)))


def test_forgotten_blocks_are_gone() -> None:
    sums = folded([(3, 0, 1, 1), (4, 0, 1, 1)])
    sums.forget(before=4)
    assert sums.table([3, 4])[:, 0, 0].tolist() == [0.0, 1.0]


def test_a_block_is_known_by_its_beginning() -> None:
    first = HOURS.index(START)
    assert HOURS.index(START + timedelta(minutes=59)) == first
    assert HOURS.first_after(START) == first
    assert HOURS.first_after(START + timedelta(minutes=1)) == first + 1


def test_an_entity_has_the_same_group_in_every_process() -> None:
    assert group_of("shop 17") == 34
    assert len({group_of(f"user {i}") for i in range(10_000)}) == GROUPS


def test_blocks_without_a_row_are_left_out() -> None:
    table = np.zeros((3, 4, 6))
    table[[0, 2], 1, 0] = 5
    assert paired(table).blocks == 2


def test_very_many_blocks_are_joined_and_no_row_is_lost() -> None:
    table = np.ones((2500, 2, 6))
    found = paired(table)
    assert found.blocks <= 1024
    assert found.row_count == 5000


def test_the_difference_is_the_rivals_loss_minus_the_incumbents() -> None:
    table = np.array([[[1.0, 0.0, 0.2, 0.5, 0.2, 0.4]]])
    assert np.allclose(paired(table).difference, 0.3)
