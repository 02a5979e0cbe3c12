"""How often a canary decides wrongly when looked at up to 200 times, and how soon it decides rightly."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import binomtest

from homeostat.canary.evidence import BlockSums
from homeostat.canary.verdict import bounds
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action

ROW_SD = 0.2  # of the difference of two models' log losses on one row, as measured on real streams
ROWS_A_DAY = 920
CHAMPION_LOSS = 0.5
LOOKS = 200


def streams(n: int, blocks: int, rows: int, *, mean: float = 0.0, shared: float = 0.0, carry: float = 0.0) -> Iterator:
    """Yield the block sums of n canaries.

    Args:
        n: How many.
        blocks: Blocks in each.
        rows: Rows in each block.
        mean: True mean difference a row.
        shared: Share of a row's variance that all rows of its block have in common.
        carry: Correlation of a block's common part with the next block's.
    """
    rng = np.random.default_rng(20130301)
    for _ in range(n):
        # centred exponentials: losses are skewed, and the interval is asymptotic
        own = rng.gamma(rows, 1.0, blocks) - rows
        common = rng.normal(size=blocks)
        for b in range(1, blocks):
            common[b] = carry * common[b - 1] + np.sqrt(1 - carry**2) * common[b]
        yield mean * rows + ROW_SD * (np.sqrt(1 - shared) * own + np.sqrt(shared) * rows * common)


def decided(differences: np.ndarray, rows: int, policy: CanaryPolicy) -> tuple[Action | None, int]:
    """Return the first verdict over looks after each block, and the rows it took."""
    champion = np.full(len(differences), CHAMPION_LOSS * rows)
    sizes = np.full(len(differences), rows)
    for blocks in range(10, len(differences) + 1):
        sums = BlockSums(sizes[:blocks], champion[:blocks], champion[:blocks] + differences[:blocks])
        found = bounds(sums, policy)  # what judge_canary decides by, without the words around it
        if found is not None and found.lower > 0:
            return Action.REJECT, blocks * rows
        if found is not None and found.upper < policy.margin * CHAMPION_LOSS:
            return Action.PROMOTE, blocks * rows
    return None, len(differences) * rows


def upper_bound(hits: int, n: int) -> float:
    """Return the 95 % one-sided Clopper-Pearson bound on a rate."""
    return float(binomtest(hits, n).proportion_ci(0.9, "exact").high)


@pytest.mark.parametrize(
    ("rows", "shared"),
    [(48, 0.0), (48, 0.05), (230, 0.02)],
    ids=["independent rows", "hours that share their weather", "quarter days that share it"],
)
def test_equal_models_are_told_apart_in_fewer_than_alpha_of_canaries_over_200_looks(rows: int, shared: float) -> None:
    n, policy = 500, CanaryPolicy()
    actions = [decided(stream, rows, policy)[0] for stream in streams(n, LOOKS + 9, rows, shared=shared)]
    assert upper_bound(actions.count(Action.PROMOTE), n) < policy.alpha
    assert upper_bound(actions.count(Action.REJECT), n) < policy.alpha


def test_blocks_that_resemble_their_neighbours_less_than_double_the_error() -> None:
    n, policy = 300, CanaryPolicy()
    actions = [decided(stream, 48, policy)[0] for stream in streams(n, LOOKS + 9, 48, shared=0.05, carry=0.2)]
    assert upper_bound(actions.count(Action.PROMOTE), n) < 2 * policy.alpha


def test_a_gain_of_two_percent_is_promoted_within_two_weeks() -> None:
    n, policy = 100, CanaryPolicy()
    gains = [decided(stream, 48, policy) for stream in streams(n, 19 * 21, 48, mean=-0.01, shared=0.02)]
    assert sum(action is Action.PROMOTE and rows <= 14 * ROWS_A_DAY for action, rows in gains) >= 0.85 * n
    assert np.median([rows for _, rows in gains]) < 8 * ROWS_A_DAY


def test_a_margin_of_one_percent_of_the_loss_saves_a_third_of_the_rows_to_a_promotion() -> None:
    n = 60
    strict, lenient = (
        np.median(
            [
                decided(stream, 230, CanaryPolicy(margin=margin))[1]
                for stream in streams(n, 4 * 30, 230, mean=-0.01, shared=0.004)
            ]
        )
        for margin in (0.0, 0.01)
    )
    assert lenient < 0.7 * strict


def test_a_harm_of_two_percent_is_rejected_and_never_promoted() -> None:
    n, policy = 100, CanaryPolicy()
    actions = [decided(stream, 48, policy)[0] for stream in streams(n, 19 * 21, 48, mean=0.01, shared=0.02)]
    assert actions.count(Action.REJECT) >= 0.9 * n
    assert actions.count(Action.PROMOTE) == 0


def test_a_fixed_sample_test_at_every_look_would_be_wrong_many_times_as_often() -> None:
    n, rows, alpha = 300, 48, 0.05
    wrong = 0
    for stream in streams(n, LOOKS + 9, rows):
        looks = np.arange(1, len(stream) + 1)
        z = stream.cumsum() / (ROW_SD * np.sqrt(rows * looks))
        wrong += bool((np.abs(z[9:]) > 1.96).any())
    assert wrong / n > 3 * alpha
