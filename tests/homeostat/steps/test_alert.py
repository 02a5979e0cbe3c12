from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.memory import MemoryCases, MemoryLog, MemoryTelemetry
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.codec import TOPIC_OF, encode
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.flow import FLOW, memory_span, topic_name
from homeostat.metric_names import ALERTS
from homeostat.ports import Alert, NewMessage
from homeostat.records import (
    Action,
    Arm,
    Case,
    CaseState,
    DriftReport,
    DriftStatus,
    Outcome,
    Promotion,
    Record,
    TrainingRun,
    TrainingStatus,
)
from homeostat.steps.alert import AlertStep
from homeostat.worker import Hook, Worker, no_hook

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
HEALTHY, DRIFTED, UNKNOWN = DriftStatus.HEALTHY, DriftStatus.DRIFTED, DriftStatus.UNKNOWN
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
        "drift": {"every": "1h", "window": "2d", "min_rows": 50},
    }
)
ROW = next(row for row in FLOW if row.step == "alert")


class Down:
    """A sink that can be switched off."""

    def __init__(self) -> None:
        self.inner, self.up, self.calls = MemoryAlerts(), True, 0

    def send(self, alert: Alert) -> None:
        self.calls += 1
        if not self.up:
            raise TransientError("nobody there")
        self.inner.send(alert)


class CrashError(Exception):
    """The process died."""


class World:
    """The alert step over a real log; ``look`` is one pass of its worker, ``restart`` a new process."""

    def __init__(self) -> None:
        self.log, self.cases, self.telemetry = MemoryLog(), MemoryCases(), MemoryTelemetry()
        self.sink = Down()
        self.now = START
        self.restart()

    def restart(self, hook: Hook = no_hook) -> None:
        step = AlertStep(CONTRACT, self.cases, self.sink, self.telemetry)
        self.worker = Worker(
            ROW, step, self.log, self.telemetry,
            product="toys", memory=memory_span("alert", CONTRACT), hook=hook,
        )  # fmt: skip
        self.worker.restore(self.now)

    def write(self, *records: Record) -> None:
        messages = []
        for record in records:
            value, headers = encode(record)
            messages.append(NewMessage(topic_name("toys", TOPIC_OF[type(record)]), value, headers))
        self.log.append(messages, self.now)

    def look(self, *records: Record, after: timedelta = HOUR) -> list[str]:
        """Let the step see records and return the kinds of the alerts that are new."""
        self.now += after
        if records:
            self.write(*records)
        before = len(self.sink.inner.alerts)
        self.worker.run_once(self.now)
        return [alert.kind for alert in self.sink.inner.alerts[before:]]

    def report(self, status: DriftStatus, version: str = "1") -> DriftReport:
        at = self.now + HOUR
        return DriftReport(f"report {at}", at, at - DAY, at, 900, status, version, reasons=("price: PSI 0.4",))


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


def wait_for_approval(world: World, since: datetime = START) -> None:
    case = world.cases.load()
    world.cases.save(Case(CaseState.WAITING, case.revision, "case", challenger="2", since=since, reason="drift"))


def test_approval_is_asked_for_at_once_and_again_each_day(world: World) -> None:
    wait_for_approval(world, START - 4.9 * DAY)
    assert [world.look(after=8 * HOUR) for _ in range(7)] == [
        ["approval_wanted"], [], [], ["approval_wanted"], [], [], ["approval_wanted"],
    ]  # fmt: skip
    assert "version 2" in world.sink.inner.alerts[-1].what
    assert "homeostat approve --product toys" in world.sink.inner.alerts[-1].todo


def test_an_approval_that_was_given_is_not_asked_for_any_more(world: World) -> None:
    wait_for_approval(world)
    world.look()
    world.cases.save(Case(CaseState.COOLDOWN, world.cases.load().revision))
    assert world.look(after=2 * DAY) == []


def test_a_restart_does_not_ask_for_the_same_approval_again(world: World) -> None:
    wait_for_approval(world)
    world.look()
    world.restart()
    assert world.look() == []


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
