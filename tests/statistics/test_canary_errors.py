"""A canary may be looked at all the time: the short form of ``make prove-canary``, each claim with its interval."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from scipy.stats import binomtest

from homeostat.canary.evidence import Paired
from homeostat.canary.trial import Shift, Trial
from homeostat.canary.verdict import bounds, judge_canary
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Action
from tests.statistics.canary_gains import gains_of
from tests.statistics.canary_proofs import Null, null_of
from tests.statistics.canary_streams import Kind, error_for, label_free, stream
from tests.statistics.canary_trials import by_bounds, spaced, with_guardrails
from tests.statistics.prove_canary import EVERYTHING, gain_table, null_table

Sums = TypeVar("Sums", Paired, Shift)
STREAMS, BLOCKS, SEED = 60, 300, 4
PLAIN = Kind("independent rows")
ALPHA = CanaryPolicy().alpha


def surely_above(hits: int, n: int, rate: float) -> bool:
    """Return whether so many hits are no accident at a rate: once in a thousand."""
    return binomtest(hits, n, rate, "greater").pvalue < 0.001


@pytest.fixture(scope="module")
def everything() -> Null:
    return null_of(Kind("weather, carried on, and uneven users", **EVERYTHING, carry=0.4), STREAMS, SEED, blocks=BLOCKS)


def test_equal_models_are_told_apart_no_more_often_than_promised(everything: Null) -> None:
    assert not any(surely_above(hits, STREAMS, ALPHA) for hits in (*everything.promoted, *everything.stopped))


def test_a_fixed_sample_test_that_peeks_is_wrong_many_times_as_often(everything: Null) -> None:
    assert surely_above(everything.peeking[-1], STREAMS, 2 * ALPHA)
    assert everything.peeking[-1] > everything.peeking[0]


def test_labels_of_one_kind_that_come_early_mislead_who_does_not_wait_for_the_others() -> None:
    null = null_of(Kind("ones first", bias=0.2, mean=0.0), 30, SEED, blocks=BLOCKS)
    assert null.peeking[-1] >= 25
    assert not surely_above(null.promoted[-1], 30, ALPHA)


def test_a_challenger_worse_by_the_whole_margin_is_hardly_ever_promoted() -> None:
    kind = replace(PLAIN, challenger_error=error_for(PLAIN, 0.02))
    null = null_of(kind, STREAMS, SEED, blocks=BLOCKS, margin=0.02)
    assert not surely_above(null.promoted[-1], STREAMS, ALPHA)


def test_a_gain_is_promoted_after_hardly_more_rows_than_a_test_that_knew_when_to_look() -> None:
    kind = replace(PLAIN, name="loss 4% lower", challenger_error=error_for(PLAIN, -0.04))
    (gain,) = gains_of(kind, 100, SEED, powers=(0.9,), blocks=BLOCKS)
    assert gain.ratio[1] <= 1.3
    assert gain.unpaired_ratio[1] <= 0.2
    assert gain.stopped == 0
    assert "loss 4% lower" in gain_table([gain])


def test_a_margin_saves_rows_to_a_promotion() -> None:
    kind = replace(PLAIN, challenger_error=error_for(PLAIN, -0.02))
    rng = np.random.default_rng(SEED)
    firsts = []
    for _ in range(20):
        made = stream(kind, BLOCKS, rng)
        firsts.append([_first(by_bounds(made, CanaryPolicy(margin=margin)).promote) for margin in (0.0, 0.02)])
    strict, lenient = np.median(firsts, axis=0)
    assert lenient < 0.7 * strict


def test_what_is_simulated_is_what_the_judge_decides() -> None:
    rng, policy = np.random.default_rng(SEED), CanaryPolicy(margin=0.01)
    kind = replace(PLAIN, challenger_error=error_for(PLAIN, -0.03), **EVERYTHING)
    made = stream(kind, BLOCKS, rng)
    shift = label_free(made, policy, rng)
    for strict in (policy, policy.model_copy(update={"max_fallback_ratio": 0.002})):
        looks = with_guardrails(by_bounds(made, strict), made, shift, strict)
        said = set()
        for block in (12, 40, 80, 150, 299):
            part = up_to(made.paired, block)
            found = judge_canary(Trial(part, shift=up_to(shift, block)), strict, looks=1, expired=False)
            assert (found.action is Action.PROMOTE) == looks.promote[block]
            assert (found.action is Action.REJECT) == looks.stop[block]
            assert bounds(part, policy) is None or part.row_count == looks.rows[block]
            said.add(found.action)
        assert said >= {None, Action.PROMOTE if strict is policy else Action.REJECT}


def up_to(sums: Sums, block: int) -> Sums:
    """Return the blocks up to one of them."""
    return type(sums)(*(getattr(sums, name)[: block + 1] for name in sums.__slots__))


def test_looks_are_spread_evenly_and_the_last_is_at_the_end() -> None:
    assert spaced(100, 4).tolist() == [24, 49, 74, 99]
    assert spaced(100, 1).tolist() == [99]


def test_the_table_says_what_was_found(everything: Null) -> None:
    peers = null_of(PLAIN, 3, SEED, blocks=60, kayenta_streams=2)
    table = null_table([everything, peers])
    assert "weather, carried on, and uneven users" in table
    assert table.count("\n") == 3


def _first(decided: np.ndarray) -> int:
    hits = np.flatnonzero(decided)
    return int(hits[0]) if len(hits) else len(decided)
