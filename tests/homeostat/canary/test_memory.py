from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.memory import OutcomeMemory
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Arm, Outcome

START = datetime(2013, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def outcome(i: int, scores: dict[str, float], label: float | None = 1.0, version: str = "1") -> Outcome:
    time = START + timedelta(minutes=10 * i)
    return Outcome(str(i), f"e{i}", time, time, label, Arm.CHAMPION, version, scores.get(version), scores)


def memory(*outcomes: Outcome) -> OutcomeMemory:
    found = OutcomeMemory(CanaryPolicy(), "brier")
    found.fold(outcomes)
    return found


def test_an_outcome_counts_once_however_often_it_comes() -> None:
    rows = [outcome(i, {"1": 0.5, "2": 0.9}) for i in range(20)]
    assert memory(*rows, *rows).sums("1", "2").rows.tolist() == memory(*rows).sums("1", "2").rows.tolist()


def test_losses_of_both_models_are_kept_by_block() -> None:
    sums = memory(*(outcome(i, {"1": 0.5, "2": 0.9}) for i in range(7))).sums("1", "2")
    assert sums.rows.tolist() == [6]
    assert sums.incumbent[0] == pytest.approx(6 * 0.25)
    assert sums.rival[0] == pytest.approx(6 * 0.01)


def test_asked_the_other_way_round_the_difference_turns_around() -> None:
    found = memory(*(outcome(i, {"10": 0.5, "9": 0.9}) for i in range(7)))
    assert found.sums("9", "10").differences == pytest.approx(-found.sums("10", "9").differences)


def test_a_row_without_a_label_is_no_evidence() -> None:
    rows = [outcome(i, {"1": 0.5, "2": 0.9}, label=None if i % 2 else 1.0) for i in range(13)]
    assert memory(*rows).sums("1", "2").rows.tolist() == [3, 3]


def test_a_row_that_only_one_model_scored_is_no_evidence() -> None:
    assert memory(*(outcome(i, {"1": 0.5}) for i in range(13))).sums("1", "2").rows.tolist() == []


def test_rows_the_challenger_failed_on_are_counted_without_labels() -> None:
    rows = [outcome(i, {"1": 0.5} if i == 8 else {"1": 0.5, "2": 0.5}, label=None) for i in range(13)]
    health = memory(*rows).health("2", START)
    assert (health.scored, health.failed) == (11, 1)


def test_rows_from_before_the_canary_are_no_failures() -> None:
    rows = [outcome(i, {"1": 0.5} if i < 8 else {"1": 0.5, "2": 0.5}) for i in range(19)]
    assert memory(*rows).health("2", START + HOUR * 7 / 6).failed == 0


def test_rows_that_no_model_scored_are_nobodys_failure() -> None:
    assert memory(*(outcome(i, {}) for i in range(13))).health("2", START).failed == 0


def test_serving_begins_with_the_first_event_answered_as_champion() -> None:
    found = memory(outcome(3, {"1": 0.5}), outcome(5, {"2": 0.5}, version="2"), outcome(6, {"2": 0.5}, version="2"))
    assert found.serving_since("2") == START + timedelta(minutes=50)
    assert found.serving_since("3") is None


def test_what_was_forgotten_is_gone() -> None:
    found = memory(*(outcome(i, {"1": 0.5, "2": 0.9}) for i in range(19)))
    found.forget(START + 2 * HOUR)
    assert found.sums("1", "2").rows.tolist() == [6]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 40))
def test_a_fold_that_was_cut_and_overlaps_gives_the_same_memory(ids: list[int], cut: int) -> None:
    rows = [outcome(i, {"1": 0.5, "2": 0.9}) for i in sorted(ids)]
    whole, parts = memory(*rows), memory(*rows[:cut])
    parts.fold(rows[max(cut - 5, 0) :])
    assert parts.sums("1", "2").rows.tolist() == whole.sums("1", "2").rows.tolist()
    assert parts.health("2", START) == whole.health("2", START)
