from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.flow import topic_name
from homeostat.metric_names import ALERTS
from homeostat.records import (
    Action,
    Arm,
    DriftStatus,
    Outcome,
    Promotion,
    TrainingRun,
    TrainingStatus,
)
from tests.homeostat.steps.alerting import DRIFTED, HEALTHY, HOUR, START, UNKNOWN, CrashError, World


@pytest.fixture
def world() -> World:
    return World()


def promotion(action: Action, version: str | None = "2", request: str = "case") -> Promotion:
    return Promotion(f"{request} {action} {version}", request, START, action, version, "1", "because")


def run(status: TrainingStatus) -> TrainingRun:
    return TrainingRun("run", "case", status, None, "training failed: no rows", 1.0, START)


def outcomes(hours: Sequence[float], labelled: float, start: int = 0) -> list[Outcome]:
    """Ten outcomes an hour, of which a share has a label 6 hours later."""
    made = []
    for hour in hours:
        for i in range(10):
            at = START + (hour + i / 10) * HOUR
            known = i < 10 * labelled
            label_time, label = (at + 6 * HOUR, 1.0) if known else (None, None)
            event_id = f"e{start} {hour} {i}"
            made.append(Outcome(event_id, "shop", at, label_time, label, Arm.CHAMPION, "1", 0.5))
    return made


def kinds_of(world: World, statuses: Sequence[DriftStatus]) -> list[list[str]]:
    return [world.look(world.report(status)) for status in statuses]


def test_the_first_drifted_report_of_a_row_is_told_and_so_is_its_end(world: World) -> None:
    told = kinds_of(world, [HEALTHY, DRIFTED, DRIFTED, UNKNOWN, DRIFTED, HEALTHY, HEALTHY, DRIFTED])
    assert told == [[], ["drift_began"], [], [], [], ["drift_ended"], [], ["drift_began"]]


def test_an_alert_says_what_happened_its_evidence_and_what_to_do(world: World) -> None:
    report = world.report(DRIFTED)
    world.look(report)
    alert = world.sink.inner.alerts[0]
    assert "price: PSI 0.4" in alert.what
    assert alert.evidence["report_id"] == report.report_id
    assert "homeostat drift --product toys" in alert.todo
    assert (alert.product, alert.severity, alert.at) == ("toys", "warning", report.at)


def test_a_new_champion_ends_the_drift_of_the_old_one(world: World) -> None:
    world.look(world.report(DRIFTED))
    assert world.look(world.report(UNKNOWN, version="2")) == ["drift_ended"]
    assert "version 2 serves now in place of 1" in world.sink.inner.alerts[-1].what


def test_a_new_champion_that_drifts_at_once_is_told_as_a_drift_of_its_own(world: World) -> None:
    world.look(world.report(DRIFTED))
    assert world.look(world.report(DRIFTED, version="2")) == ["drift_ended", "drift_began"]


@given(st.lists(st.sampled_from([HEALTHY, DRIFTED, UNKNOWN]), max_size=12), st.sets(st.integers(0, 11)))
def test_beginnings_and_ends_take_turns_whatever_comes_and_restarts(
    statuses: list[DriftStatus], restarts: set[int]
) -> None:
    world = World()
    for i, status in enumerate(statuses):
        if i in restarts:
            world.restart()
        world.look(world.report(status))
    kinds = [alert.kind for alert in world.sink.inner.alerts]
    assert kinds[:1] in ([], ["drift_began"])
    assert all(one != other for one, other in pairwise(kinds))


def test_a_failed_training_is_told_one_without_a_winner_is_not(world: World) -> None:
    assert world.look(run(TrainingStatus.NOTHING_BETTER)) == []
    assert world.look(run(TrainingStatus.FAILED)) == ["training_failed"]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Action.START, "canary_started"),
        (Action.STEP, "canary_step"),
        (Action.PROMOTE, "promoted"),
        (Action.REJECT, "rejected"),
        (Action.ROLLBACK, "rolled_back"),
    ],
)
def test_what_became_of_a_canary_is_told(world: World, action: Action, kind: str) -> None:
    assert world.look(promotion(action)) == [kind]
    assert "version 2" in world.sink.inner.alerts[0].what


def test_a_case_that_brought_no_version_had_no_canary(world: World) -> None:
    assert world.look(promotion(Action.REJECT, version=None)) == []


def test_a_record_that_comes_twice_is_told_once(world: World) -> None:
    assert world.look(promotion(Action.PROMOTE), promotion(Action.PROMOTE)) == ["promoted"]
    assert world.look(promotion(Action.PROMOTE)) == []


def test_labels_that_stay_away_are_told_once(world: World) -> None:
    world.look(*outcomes(range(72), 0.9))
    told = [world.look(*outcomes([hour], 0.0)) for hour in range(72, 130)]
    assert [kind for kinds in told for kind in kinds] == ["labels_stale"]


def test_labels_that_came_back_and_stay_away_again_are_told_again(world: World) -> None:
    world.look(*outcomes(range(60), 0.9))
    told = [world.look(*outcomes([h], 0.0 if 60 <= h < 100 or h >= 200 else 0.9)) for h in range(60, 250)]
    assert [kind for kinds in told for kind in kinds] == ["labels_stale", "labels_stale"]


def test_no_restart_tells_of_the_same_missing_labels_again(world: World) -> None:
    world.look(*outcomes(range(72), 0.9))
    told = []
    for hour in range(72, 120):
        told += world.look(*outcomes([hour], 0.0))
        if hour % 5 == 0:
            world.restart()
    assert told == ["labels_stale"]


@pytest.mark.parametrize("point", ["read", "handled", "published", "committed"])
def test_a_crash_anywhere_loses_no_alert_and_makes_none_twice(world: World, point: str) -> None:
    def crash(_: str, at: str) -> None:
        if at == point:
            raise CrashError

    world.restart(crash)
    with pytest.raises(CrashError):
        world.look(promotion(Action.START), world.report(DRIFTED))
    world.restart()
    world.look()
    assert sorted(alert.kind for alert in world.sink.inner.alerts) == ["canary_started", "drift_began"]


def test_a_sink_that_is_down_stops_nothing_and_gets_the_alert_later(world: World) -> None:
    world.sink.up = False
    assert world.look(promotion(Action.START)) == []
    assert world.log.committed("alert", topic_name("toys", "promotions")) == 1
    world.sink.up = True
    assert world.look() == ["canary_started"]
    assert world.telemetry.value(ALERTS, product="toys", kind="canary_started", fate="sent") == 1


def test_a_sink_that_is_down_is_asked_once_a_round_and_ever_less_often(world: World) -> None:
    world.sink.up = False
    world.look(*(promotion(Action.START, request=f"case {i}") for i in range(5)))
    assert world.sink.calls == 2  # by handle for the first, by tick for the next
    for _ in range(60):
        world.look(after=timedelta(seconds=1))
    assert world.sink.calls <= 2 + 3 + 5


def test_an_alert_nobody_takes_is_given_up_counted_and_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.sink.up = False
    world.look(promotion(Action.ROLLBACK))
    for _ in range(30):
        world.look(after=2 * HOUR)
    assert world.sink.calls == 10
    assert world.telemetry.value(ALERTS, product="toys", kind="rolled_back", fate="given_up") == 1
    assert "given up after 10 tries" in caplog.text
    world.sink.up = True
    assert world.look() == []


def test_a_flood_for_a_dead_sink_does_not_fill_the_memory(world: World) -> None:
    world.sink.up = False
    world.look(*(promotion(Action.START, request=f"case {i}") for i in range(1_200)))
    assert world.telemetry.value(ALERTS, product="toys", kind="canary_started", fate="given_up") == 200
