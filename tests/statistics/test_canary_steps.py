"""Canaries by steps of traffic keep the promises of canaries of one step."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics.canary_steps import STEPS, climbed_of, walked
from tests.statistics.canary_streams import Kind
from tests.statistics.canary_trials import Looks

BLOCKS = 400


@given(st.lists(st.sampled_from(["", "promote", "stop"]), min_size=1, max_size=BLOCKS), st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_only_what_one_step_could_promote_is_promoted_and_never_before_all_steps_are_done(
    said: list[str], rows: int
) -> None:
    what = np.array(said)
    seen = Looks(rows * np.arange(1, len(said) + 1), what == "promote", what == "stop")
    found = walked(seen, STEPS)
    assert not (found.promoted and found.stopped)
    if found.promoted:
        assert "promote" in said
        assert found.rows >= len(STEPS.climb) * max(24 * rows, STEPS.min_rows)
    assert 0.05 * found.rows - 1e-6 <= found.answered <= found.rows


def test_a_plain_gain_is_promoted_by_steps_and_little_traffic_is_spent_on_a_plain_harm() -> None:
    gain = climbed_of(Kind("better", challenger_error=0.4), 5, 1, BLOCKS)
    harm = climbed_of(Kind("worse", challenger_error=1.2), 5, 1, BLOCKS)
    assert (gain.promoted, gain.stopped, harm.promoted, harm.stopped) == (5, 0, 0, 5)
    assert harm.answered < 0.1
