"""What a product without a champion says that it waits for."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from homeostat.adapters.manual_clock import ManualClock
from homeostat.bootstrap import Ports, Stack
from homeostat.codec import encode
from homeostat.errors import TransientError
from homeostat.ports import Aliases, CaseStore, NewMessage
from homeostat.records import Arm, Case, CaseState, Outcome
from homeostat.serving.readiness import Readiness
from tests.homeostat.serving.conftest import CONTRACT, T0, MakeFront, serve
from tests.homeostat.serving.test_front import until

DAY = timedelta(days=1)


@pytest.fixture
def readiness(stack: Stack) -> Readiness:
    return Readiness(CONTRACT, stack.registry, stack)


def release(stack: Stack, rows: int, labelled: int) -> None:
    """Append outcomes, the first ones with a label."""
    outcomes = [Outcome(f"o{i}", "k", T0, T0, 1.0 if i < labelled else None, Arm.NONE, None, None) for i in range(rows)]
    stack.log.append([NewMessage("p.outcomes.v1", *encode(outcome)) for outcome in outcomes], T0)


def test_with_a_champion_nothing_is_missing(stack: Stack, readiness: Readiness) -> None:
    serve(stack.registry)
    assert readiness.missing(T0) is None


def test_before_the_first_look_the_history_has_not_begun(readiness: Readiness) -> None:
    assert readiness.missing(T0) == (
        "no champion yet: collecting, 0 of 2,000 mature labelled rows, "
        "7.0 days of history from the first drift report on"
    )


def test_rows_with_a_label_and_days_of_labelled_history_are_counted(stack: Stack, readiness: Readiness) -> None:
    release(stack, rows=400, labelled=312)
    stack.ledger.append("began", T0, "history_began", {"since": T0.isoformat()})
    assert readiness.missing(T0 + 3 * DAY) == (
        "no champion yet: collecting, 312 of 2,000 mature labelled rows, 2.0 of 7.0 days of labelled history"
    )


def test_many_rows_are_counted_over_several_looks_and_no_further_than_needed(
    stack: Stack, readiness: Readiness
) -> None:
    release(stack, rows=2600, labelled=2600)
    shown = [str(readiness.missing(T0)) for _ in range(6)]
    assert [text.split()[4] for text in shown] == ["500", "1,000", "1,500", "2,000", "2,000", "2,000"]


def test_counting_goes_on_behind_what_retention_has_trimmed(stack: Stack, readiness: Readiness) -> None:
    release(stack, rows=10, labelled=10)
    stack.log.trim("p.outcomes.v1", T0 + DAY)
    release(stack, rows=5, labelled=5)
    assert "5 of 2,000" in str(readiness.missing(T0))


def test_a_training_that_runs_is_named(stack: Stack, readiness: Readiness) -> None:
    stack.cases.save(Case(state=CaseState.TRAINING, since=T0))
    assert "a training is running since 2030-01-01 00:00 UTC" in str(readiness.missing(T0))


def test_after_a_training_in_vain_the_time_of_the_next_one_is_named(stack: Stack, readiness: Readiness) -> None:
    stack.cases.save(Case(state=CaseState.COOLDOWN, since=T0, cooldown_until=T0 + DAY))
    text = str(readiness.missing(T0))
    assert "no model that may serve" in text
    assert "until 2030-01-02 00:00 UTC" in text


def test_a_registry_that_does_not_answer_is_the_reason(stack: Stack) -> None:
    class Down:
        def aliases(self) -> Aliases:
            raise TransientError("the registry is down")

    down = Readiness(CONTRACT, Down(), stack)
    assert down.missing(T0) == "the registry is down"


def test_the_front_shows_it_and_is_ready_when_a_champion_comes(
    stack: Stack, make_front: MakeFront, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.serving.front._READINESS_S", 0.0)
    front = make_front(replace(stack), start=False)
    assert "starting" in str(front.ready())
    front.start()
    until(lambda: str(front.ready()).startswith("no champion yet: collecting, 0 of 2,000"), "collecting")
    serve(stack.registry)
    until(lambda: front.ready() is None, "ready")


def test_who_has_a_champion_is_ready_though_case_and_ledger_cannot_be_opened(stack: Stack) -> None:
    class Away:
        log = stack.log

        @property
        def cases(self) -> CaseStore:
            raise TransientError("the database is busy or away")

    ready = Readiness(CONTRACT, stack.registry, cast("Ports", Away()))
    assert ready.missing(T0) == "the database is busy or away"
    serve(stack.registry)
    assert ready.missing(T0) is None
