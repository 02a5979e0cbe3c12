from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.contract.model import Contract
from homeostat.healing.rules import Kind, RowsNeeded, Situation, decide, rows_needed
from homeostat.healing.streak import Streak
from homeostat.records import Case, CaseState, DriftReport, DriftStatus, Performance

Report = Callable[..., DriftReport]
NOW = datetime(2013, 3, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def seen(report: Report) -> Situation:
    """A confirmed drift on plenty of rows: everything speaks for a case."""
    streak = Streak().after(report(1)).after(report(2))
    return Situation(Case(), "1", streak, NOW - 30 * DAY, NOW)


def performance(rows: int) -> Performance:
    return Performance(rows, 0.5, 0.4, 0.001, 0.0, degraded=True)


def test_a_confirmed_drift_opens_a_case(contract: Contract, seen: Situation, report: Report) -> None:
    decision = decide(contract, seen)
    assert decision.kind is Kind.OPEN
    assert decision.report == report(2)
    assert decision.drift_since == report(1).window_start
    assert "price moved" in decision.reason


@pytest.mark.parametrize("state", [CaseState.TRAINING, CaseState.CANARY, CaseState.WAITING])
def test_an_open_case_is_not_opened_again(contract: Contract, seen: Situation, state: CaseState) -> None:
    assert decide(contract, replace(seen, case=Case(state, request_id="r"))).kind is Kind.CASE_OPEN


def test_nothing_is_opened_while_the_last_case_cools_down(contract: Contract, seen: Situation) -> None:
    cooling = Case(CaseState.COOLDOWN, cooldown_until=NOW + DAY)
    assert decide(contract, replace(seen, case=cooling)).kind is Kind.COOLDOWN


def test_one_drifted_report_is_not_enough(contract: Contract, seen: Situation, report: Report) -> None:
    assert decide(contract, replace(seen, streak=Streak().after(report(1)))).kind is Kind.UNCONFIRMED


@pytest.mark.parametrize(("status", "kind"), [(DriftStatus.HEALTHY, Kind.HEALTHY), (DriftStatus.UNKNOWN, Kind.UNKNOWN)])
def test_without_drift_in_the_last_window_nothing_is_done(
    contract: Contract, seen: Situation, report: Report, status: DriftStatus, kind: Kind
) -> None:
    assert decide(contract, replace(seen, streak=seen.streak.after(report(3, status)))).kind is kind


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (999, {"labelled_since": 999, "performance": performance(rows=2000)}),  # those before the change teach nothing
        (1000, {"labelled_since": 1000, "performance": performance(rows=2000)}),
        (0, {"labelled_since": None}),  # an old report, and no label yet
        (1000, {"labelled_since": None, "performance": performance(rows=1000)}),
    ],
)
def test_a_drift_waits_for_labelled_rows_behind_the_change_to_learn_from(
    contract: Contract, seen: Situation, report: Report, rows: int, values: dict[str, Any]
) -> None:
    decision = decide(contract, replace(seen, streak=seen.streak.after(report(3, **values))))
    assert decision.kind is (Kind.OPEN if rows >= 1000 else Kind.FEW_ROWS)
    assert rows >= 1000 or f"{rows} of 1000 labelled rows" in decision.reason


def derived(contract: Contract, **training: Any) -> Contract:
    changes = {"healing": contract.healing.model_copy(update={"min_rows_after_drift": None})}
    return contract.model_copy(update=changes | {"training": contract.training.model_copy(update=training)})


@pytest.mark.parametrize(
    ("labelled", "block", "needed"),
    [
        (2000, DAY * 7, RowsNeeded(800, "40% of the window's 2000")),
        (100_000, DAY * 7, RowsNeeded(40_000, "40% of the window's 100000")),
        (2100, DAY / 2, RowsNeeded(450, "as many as come in the 3 blocks of 12h that a training is tested on")),
        (600, DAY * 7, RowsNeeded(240, "40% of the window's 600")),  # a slow stream: 1,000 would never come
        (None, DAY * 7, RowsNeeded(200, "40% of the window's 500")),  # fewer than a look at the loss takes
    ],
)
def test_what_is_not_written_is_what_the_tests_of_a_training_take_or_the_window_can_hold(
    contract: Contract,
    seen: Situation,
    report: Report,
    *,
    labelled: int | None,
    block: timedelta,
    needed: RowsNeeded,
) -> None:
    contract, values = derived(contract, block=block), {"performance": performance(labelled) if labelled else None}
    assert rows_needed(contract, report(3, **values)) == needed
    few, enough = (
        decide(contract, replace(seen, streak=seen.streak.after(report(3, labelled_since=rows, **values))))
        for rows in (needed.rows - 1, needed.rows)
    )
    assert (few.kind, enough.kind) == (Kind.FEW_ROWS, Kind.OPEN)
    assert f"{needed.rows - 1} of {needed.rows} labelled rows to learn from ({needed.why})" in few.reason


def test_what_is_written_holds_whatever_the_window_has(contract: Contract, report: Report) -> None:
    assert rows_needed(contract, report(3)) == RowsNeeded(1000, "healing.min_rows_after_drift")


def test_the_budget_stops_a_training_too_many(contract: Contract, seen: Situation) -> None:
    spent = Case(trained_at=(NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY))
    assert decide(contract, replace(seen, case=spent)).kind is Kind.BUDGET


def test_trainings_longer_ago_than_the_budgets_span_are_forgiven(contract: Contract, seen: Situation) -> None:
    old = Case(trained_at=(NOW - 31 * DAY, NOW - 2 * DAY, NOW - DAY))
    assert decide(contract, replace(seen, case=old)).kind is Kind.OPEN


def test_a_report_on_a_former_champion_says_nothing_about_this_one(contract: Contract, seen: Situation) -> None:
    assert decide(contract, replace(seen, champion="2")).kind is Kind.NO_REPORT


def test_before_any_report_there_is_nothing_to_decide(contract: Contract, seen: Situation) -> None:
    assert decide(contract, replace(seen, streak=Streak())).kind is Kind.NO_REPORT
    assert decide(contract, Situation(Case(), None, Streak(), None, NOW)).kind is Kind.NO_REPORT


def test_a_cold_start_waits_for_labelled_history(contract: Contract) -> None:
    # seven days of rows whose labels are mature after one
    young = Situation(Case(), None, Streak(), NOW - 8 * DAY + timedelta(seconds=1), NOW)
    assert decide(contract, young).kind is Kind.COLD
    assert decide(contract, replace(young, history_since=NOW - 8 * DAY)).kind is Kind.OPEN


def test_a_cold_start_rests_on_no_report(contract: Contract) -> None:
    decision = decide(contract, Situation(Case(), None, Streak(), NOW - 9 * DAY, NOW))
    assert decision.report is None
    assert decision.drift_since is None


CASES = st.builds(
    Case,
    state=st.sampled_from(list(CaseState)),
    cooldown_until=st.none() | st.just(NOW),
    trained_at=st.lists(st.just(NOW - DAY), max_size=4).map(tuple),
)


@given(
    case=CASES,
    champion=st.sampled_from([None, "1", "2"]),
    statuses=st.lists(st.sampled_from(list(DriftStatus)), max_size=4),
    days=st.none() | st.integers(0, 20),
)
def test_every_decision_has_a_reason_and_only_a_stable_case_is_opened(
    contract: Contract, report: Report, *, case: Case, champion: str | None, statuses: list, days: int | None
) -> None:
    streak = Streak()
    for i, status in enumerate(statuses):
        streak = streak.after(report(i, status))
    history = None if days is None else NOW - days * DAY
    decision = decide(contract, Situation(case, champion, streak, history, NOW))
    assert decision.reason
    assert decision.kind is not Kind.OPEN or case.state is CaseState.STABLE
