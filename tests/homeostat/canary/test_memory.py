from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.evidence import Paired
from homeostat.canary.memory import CanaryMemory
from homeostat.canary.trial import Health
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Arm, Outcome, Prediction

START = datetime(2013, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOTH = {"1": 0.5, "2": 0.9}


def outcome(i: int, scores: dict[str, float], label: float | None = 1.0, version: str | None = "1") -> Outcome:
    time = START + timedelta(minutes=10 * i)
    arm = Arm.CHAMPION if version else Arm.NONE
    return Outcome(str(i), f"e{i}", time, time, label, arm, version, scores.get(str(version)), scores)


def answer(i: int, scores: dict[str, float]) -> Prediction:
    time = START + timedelta(minutes=10 * i)
    return Prediction(f"p{i}", str(i), f"e{i}", time, time, Arm.CHAMPION, "1", scores.get("1"), 0.9, 1.0, (), scores)


def memory(*outcomes: Outcome, **policy: object) -> CanaryMemory:
    found = CanaryMemory(CanaryPolicy(**policy), "brier")  # type: ignore[arg-type]
    found.fold(outcomes)
    return found


def compared(found: CanaryMemory, incumbent: str = "1", rival: str = "2") -> Paired:
    return found.trial(incumbent, rival, START).paired


def by_block(found: CanaryMemory) -> list[float]:
    return compared(found).rows.sum(axis=1).tolist()


def test_an_outcome_counts_once_however_often_it_comes() -> None:
    rows = [outcome(i, BOTH) for i in range(20)]
    assert by_block(memory(*rows, *rows)) == by_block(memory(*rows)) == [6, 6, 6]


def test_losses_labels_and_scores_of_both_models_are_kept_by_block() -> None:
    found = compared(memory(*(outcome(i, BOTH) for i in range(7))))
    assert found.row_count == 6
    assert found.incumbent_loss.sum() == pytest.approx(6 * 0.25)
    assert found.rival_loss.sum() == pytest.approx(6 * 0.01)
    assert found.labels.sum() == 6
    assert found.incumbent_score.sum() == pytest.approx(6 * 0.5)
    assert found.rival_score.sum() == pytest.approx(6 * 0.9)


def test_rows_that_one_model_made_late_are_told_apart_by_whose_fault_it_was() -> None:
    found = memory()
    found.follow(replace(answer(i, BOTH), slow=("2",) if i < 3 else ("1", "2")) for i in range(7))
    found.fold(outcome(i, BOTH) for i in range(7))
    shift = found.trial("1", "2", START).shift
    assert (shift.rows.sum(), shift.slower.sum()) == (6, 3)
    assert found.trial("2", "1", START).shift.slower.sum() == -3


def test_rows_of_one_entity_are_kept_together() -> None:
    rows = [replace(outcome(i, BOTH), entity_id="the same") for i in range(13)]
    assert (compared(memory(*rows)).rows.sum(axis=0) > 0).sum() == 1


def test_asked_the_other_way_round_the_difference_turns_around() -> None:
    found = memory(*(outcome(i, {"10": 0.5, "9": 0.9}) for i in range(7)))
    assert np.allclose(compared(found, "9", "10").difference, -compared(found, "10", "9").difference)


def test_the_newest_block_is_left_out_because_it_may_still_grow() -> None:
    assert by_block(memory(*(outcome(i, BOTH) for i in range(12)))) == [6]


def test_outcomes_from_before_a_start_can_be_left_out() -> None:
    found = memory(*(outcome(i, BOTH) for i in range(19)))
    late = found.trial("1", "2", START, labelled_since=START + timedelta(minutes=1))
    assert late.paired.rows.sum(axis=1).tolist() == [6, 6]


def test_a_third_model_beside_the_two_takes_no_row_away() -> None:
    rows = [outcome(i, BOTH if i % 2 else {**BOTH, "0": 0.1}) for i in range(13)]
    assert by_block(memory(*rows)) == [6, 6]


def test_a_row_without_a_label_is_no_evidence() -> None:
    rows = [outcome(i, BOTH, label=None if i % 2 else 1.0) for i in range(13)]
    assert by_block(memory(*rows)) == [3, 3]


def test_a_row_that_only_one_model_scored_is_no_evidence() -> None:
    assert by_block(memory(*(outcome(i, {"1": 0.5}) for i in range(13)))) == []


def test_a_champion_that_hardly_ever_answers_counts_as_saying_the_label_rate() -> None:
    rows = [outcome(i, BOTH if i % 3 == 0 else {"2": 0.9}, label=float(i % 2), version=None) for i in range(601)]
    assert compared(memory(*rows, max_fallback_ratio=0.9)).row_count == 200  # a contract may allow for it
    all_rows = compared(memory(*rows))
    assert all_rows.row_count == 600
    assert all_rows.incumbent_loss.sum() == pytest.approx(600 * 0.25, rel=0.01)  # Brier of one half


def test_rows_the_challenger_failed_on_are_counted_before_any_label() -> None:
    found = memory()
    found.follow(answer(i, {"1": 0.5} if i == 8 else BOTH) for i in range(13))
    trial = found.trial("1", "2", START)
    assert trial.rival == Health(scored=11, failed=1)
    assert trial.incumbent == Health(scored=12)
    counted = (trial.shift.seen, trial.shift.rows, trial.shift.rival_failed, trial.shift.incumbent_failed)
    assert [float(rows.sum()) for rows in counted] == [12, 11, 1, 0]


def test_rows_beyond_the_sample_of_a_shadow_are_no_failures() -> None:
    beyond = [i for i in range(19) if i % 3]
    found = memory()
    found.follow(replace(answer(i, {"1": 0.5}), spared=("2",)) if i in beyond else answer(i, BOTH) for i in range(19))
    found.fold(replace(outcome(i, {"0": 0.4, "1": 0.5}), spared=("2",)) for i in beyond)
    trial = found.trial("1", "2", START)
    assert (trial.rival, trial.incumbent) == (Health(scored=6), Health(scored=18))
    assert float(trial.shift.rows.sum()) == float(trial.shift.seen.sum()) == 6
    assert found.scored("2", START) == 6
    assert compared(found, "0", "1").row_count == 8  # of the others they say what they say


def test_a_row_that_a_shadow_was_spared_counts_for_the_others() -> None:
    found = memory()
    found.follow(replace(answer(i, {"0": 0.4} if i == 8 else {"0": 0.4, "1": 0.5}), spared=("2",)) for i in range(13))
    trial = found.trial("0", "1", START)
    assert (trial.incumbent, trial.rival) == (Health(scored=12), Health(scored=11, failed=1))
    assert [float(rows.sum()) for rows in (trial.shift.seen, trial.shift.rows, trial.shift.rival_failed)] == [12, 11, 1]
    assert found.trial("1", "2", START).rival == Health()


def test_rows_from_before_the_canary_are_no_failures() -> None:
    found = memory()
    found.follow(answer(i, {"1": 0.5} if i < 8 else BOTH) for i in range(19))
    assert found.trial("1", "2", START + HOUR * 7 / 6).rival.failed == 0


def test_rows_that_no_model_scored_are_nobodys_failure() -> None:
    found = memory()
    found.follow(answer(i, {}) for i in range(13))
    assert found.trial("1", "2", START).rival == Health()


def test_an_answer_counts_once_however_often_it_comes() -> None:
    found = memory()
    for _ in range(2):
        found.follow(answer(i, BOTH) for i in range(13))
    assert found.trial("1", "2", START).rival == Health(scored=12)


def test_how_far_scores_lie_apart_is_known_before_any_label() -> None:
    found = memory()
    found.follow(answer(i, {"1": 0.35, "2": 0.75}) for i in range(13))
    shift = found.trial("1", "2", START).shift
    assert shift.rows.sum() == 12
    assert shift.difference.sum() == pytest.approx(12 * 0.4)
    assert shift.incumbent_bins.sum(axis=(0, 1)).argmax() == 7
    assert shift.rival_bins.sum(axis=(0, 1)).argmax() == 15


def test_slices_are_kept_by_name_and_value() -> None:
    rows = [replace(outcome(i, BOTH), slices=("red" if i % 3 else "blue",)) for i in range(13)]
    found = memory(*rows, slices=["colour"]).trial("1", "2", START).slices
    assert {name: part.row_count for name, part in found.items()} == {"colour blue": 4, "colour red": 8}


def test_a_feature_with_a_value_for_every_row_does_not_fill_the_memory() -> None:
    rows = [replace(outcome(i, BOTH), slices=(f"no. {i}",)) for i in range(200)]
    assert len(memory(*rows, slices=["number"]).trial("1", "2", START).slices) == 64


def test_what_was_forgotten_is_gone() -> None:
    found = memory(*(outcome(i, BOTH) for i in range(19)))
    found.follow(answer(i, BOTH) for i in range(19))
    found.forget(START + 2 * HOUR)
    assert by_block(found) == [6]
    assert found.trial("1", "2", START).rival.scored == 6


def test_there_is_something_new_to_see_with_each_new_block_alone() -> None:
    found = memory(outcome(0, BOTH))
    first = found.looks()
    found.fold([outcome(5, BOTH)])
    assert found.looks() == first
    found.fold([outcome(6, BOTH)])
    assert found.looks() != first
    second = found.looks()
    found.follow([answer(12, BOTH)])
    assert found.looks() != second


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 40))
def test_a_fold_that_was_cut_and_overlaps_gives_the_same_memory(ids: list[int], cut: int) -> None:
    rows, answers = [outcome(i, BOTH) for i in sorted(ids)], [answer(i, BOTH) for i in sorted(ids)]
    whole, parts = memory(*rows), memory(*rows[:cut])
    parts.fold(rows[max(cut - 5, 0) :])
    whole.follow(answers)
    parts.follow(answers[:cut])
    parts.follow(answers[max(cut - 5, 0) :])
    assert by_block(parts) == by_block(whole)
    assert parts.trial("1", "2", START).rival == whole.trial("1", "2", START).rival
