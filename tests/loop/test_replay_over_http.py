"""A recording through the real API and the real front into the whole loop, on memory stores and a stream clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import pytest
from fastapi.testclient import TestClient

from homeostat.adapters.memory import MemoryLedger
from homeostat.api import Served, build_app
from homeostat.bootstrap import Stack, build_workers
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW, topic_name
from homeostat.records import FeatureRow, Prediction
from homeostat.replay.client import InstanceClient
from homeostat.replay.history import Backfill
from homeostat.replay.recording import Recording
from homeostat.replay.sender import UNSET, Sender, SendOptions
from homeostat.replay.sending import cut, usual_batch
from homeostat.serving import Front, build_front
from homeostat.tail import Tail

MakeStream = Callable[..., Recording]
KEPT = tuple(row.step for row in FLOW if row.step not in {"ingest", "predict"})
DEADLINE_S = 60.0


class Desk:
    """A stream clock, and a keeper that works when it is asked whether all is done."""

    mode = "stream"

    def __init__(self, contract: Contract, stack: Stack, now: datetime) -> None:
        self.front: Front | None = None
        self._now = now
        self._contract = contract
        self._log = stack.log
        self._workers = build_workers(contract, stack, 1, KEPT)
        self._looked_at = now
        self.looks: list[datetime] = []
        for worker in self._workers.values():
            worker.restore(now)

    def now(self) -> datetime:
        return self._now

    def advance_to(self, time: datetime) -> None:
        if time < self._now:
            raise HomeostatError("the clock can't go back")
        self._now = time
        if self.front:
            self.front.wake()

    def settled(self) -> bool:
        now = self._now
        if self.front is None or self.front.waiting_rows or self.front.passed is None or self.front.passed < now:
            return False
        if any(self._unread(row.step, topic) for row in FLOW[:2] for topic in row.consumes):
            return False
        every = self._contract.drift.every
        look = (now - UNSET) // every > (self._looked_at - UNSET) // every
        if look:
            self._looked_at = now
            self.looks.append(now)
        for step, worker in self._workers.items():
            if look or step != "detect":
                worker.run_once(now)
        return True

    def _unread(self, step: str, topic: str) -> bool:
        name = topic_name(self._contract.product, topic)
        return self._log.end(name) > self._log.committed(step, name)


@contextmanager
def instance(contract: Contract, stack: Stack, now: datetime = UNSET) -> Iterator[tuple[InstanceClient, Desk]]:
    desk = Desk(contract, stack, now)
    front = desk.front = build_front(contract, stack, desk)
    front.start()
    app = build_app({contract.product: Served(front, dict, MemoryLedger)}, desk, lambda: b"")
    try:
        with TestClient(app) as http:
            yield InstanceClient(http, contract.product, patience_s=DEADLINE_S), desk
    finally:
        front.stop()


def options(contract: Contract, **more: object) -> SendOptions:
    return SendOptions(**{"batch": usual_batch(contract), "settle_s": DEADLINE_S, **more})  # type: ignore[arg-type]


def records(stack: Stack, contract: Contract, topic: str) -> list[object]:
    return [record for _, record in Tail(stack.log, contract.product).after(topic)]


def features(stack: Stack, contract: Contract) -> dict[str, FeatureRow]:
    return {row.event_id: row for row in records(stack, contract, "features") if isinstance(row, FeatureRow)}


@pytest.fixture(scope="module")
def stream(make_stream: MakeStream) -> Recording:
    return make_stream(days=3, rows_a_day=100)


def test_a_row_has_the_same_features_sent_live_as_loaded_as_history(
    contract: Contract, make_stack: Callable[[str], Stack], stream: Recording
) -> None:
    live, loaded = make_stack("live"), make_stack("loaded")
    with instance(contract, live) as (client, _):
        sent = Sender(contract, stream, client, options(contract)).run()
    Backfill(contract, stream, loaded).run()
    assert (sent.events, sent.labels, sent.refused.rows) == (len(stream.events), len(stream.labels), 0)
    assert features(live, contract) == features(loaded, contract)


def test_every_event_is_predicted_within_its_batch_and_before_its_label_came(
    contract: Contract, stack: Stack, stream: Recording
) -> None:
    batch = usual_batch(contract)
    with instance(contract, stack) as (client, _):
        Sender(contract, stream, client, options(contract)).run()
    predicted = {p.event_id: p for p in records(stack, contract, "predictions") if isinstance(p, Prediction)}
    assert len(predicted) == len(stream.events)
    assert all(p.event_time <= p.predicted_at < p.event_time + batch for p in predicted.values())
    assert not records(stack, contract, "ingest_dead_letters")


def test_looks_fall_on_their_beats_and_see_all_that_was_known(
    contract: Contract, stack: Stack, stream: Recording
) -> None:
    with instance(contract, stack) as (client, desk):
        Sender(contract, stream, client, options(contract, batch=timedelta(hours=5))).run()
    every = contract.drift.every
    assert [look for look in desk.looks if (look - UNSET) % every] == []
    assert len(desk.looks) >= 3


def test_time_runs_on_until_every_label_is_mature_where_that_is_asked_for(
    contract: Contract, stack: Stack, stream: Recording
) -> None:
    with instance(contract, stack) as (client, _):
        sent = Sender(contract, stream, client, options(contract, to_maturity=True)).run()
    outcomes = {outcome.event_id: outcome.label for outcome in Tail(stack.log, contract.product).outcomes()}
    assert len(outcomes) == len(stream.events)
    assert None not in outcomes.values()
    assert sent.clock is not None
    assert sent.clock >= stream.last + contract.label.maturity


def test_a_replay_that_was_cut_off_goes_on_at_the_clock(
    contract: Contract, make_stack: Callable[[str], Stack], stream: Recording
) -> None:
    stack, whole = make_stack("cut"), make_stack("whole")
    half = stream.first + timedelta(days=1, hours=7, minutes=11)
    with instance(contract, stack) as (client, _):
        first = Sender(contract, stream, client, options(contract, until=half)).run()
        rest = Sender(contract, stream, client, options(contract))
        assert rest.too_early == first.rows - 1  # what became known at that very moment is sent again
        rest.run()
    with instance(contract, whole) as (client, _):
        Sender(contract, stream, client, options(contract)).run()
    assert features(stack, contract) == features(whole, contract)
    assert not records(stack, contract, "ingest_dead_letters")


def test_live_traffic_goes_on_where_a_backfill_ended(contract: Contract, stack: Stack, make_stream: MakeStream) -> None:
    stream = make_stream(days=9, rows_a_day=300)
    done = Backfill(contract, stream, stack, until=stream.first + timedelta(days=8), seed=1).run()
    assert done.made.champion == "1"
    with instance(contract, stack, done.ended) as (client, _):
        sent = Sender(contract, stream, client, options(contract, predict=True)).run()
    assert done.events + sent.events == len(stream.events)
    assert done.labels + sent.labels == len(stream.labels)
    assert (sent.predictions, sent.unscored) == (sent.events, 0)
    assert sent.latency_ms(0.99) is not None


def test_nothing_new_is_said_so(contract: Contract, stack: Stack, stream: Recording) -> None:
    with instance(contract, stack, stream.last + timedelta(days=1)) as (client, _):
        with pytest.raises(HomeostatError, match="everything was known before the instance's clock"):
            Sender(contract, stream, client, options(contract))
        Sender(contract, stream, client, options(contract, since=stream.first, limit=5)).run()
    assert len(features(stack, contract)) == 5


def test_bad_rows_are_refused_with_their_reason_and_hold_nothing_up(
    contract: Contract, stack: Stack, stream: Recording
) -> None:
    few = cut(stream, None, stream.first + timedelta(hours=6))
    bad = few.events.values.scatter([3], [few.events.values[3].replace(b'"load":', b'"lost":')])
    recording = Recording(type(few.events)(few.events.times, bad), few.labels)
    with instance(contract, stack) as (client, _):
        sent = Sender(contract, recording, client, options(contract)).run()
    assert sent.events == len(few.events) - 1
    assert [kind.first for kind in sent.refused.kinds] == ["event e3: field 'load' is missing, expected a number"]


def test_a_stream_keeps_to_the_speed(contract: Contract, stack: Stack, stream: Recording) -> None:
    few, waits = cut(stream, None, stream.first + timedelta(hours=10)), []
    with instance(contract, stack) as (client, _):
        Sender(contract, few, client, options(contract, speed=3600.0), pause=waits.append).run()
    assert max(waits) == pytest.approx((few.last - few.first).total_seconds() / 3600, abs=3)


def test_on_the_machines_clock_times_move_to_now_and_gaps_shrink(
    contract: Contract, stack: Stack, stream: Recording
) -> None:
    few = cut(stream, None, stream.first + timedelta(hours=30))
    before = datetime.now(UTC)
    with instance(contract, stack) as (client, desk):
        desk.mode = "system"
        desk.now = lambda: datetime.now(UTC)  # type: ignore[method-assign]
        for _ in range(2):  # a second replay is another stream, not the same events again
            sent = Sender(contract, few, client, options(contract, speed=180_000.0)).run()
            assert (sent.events, sent.labels, sent.refused.rows) == (len(few.events), len(few.labels), 0)
        deadline = monotonic() + DEADLINE_S
        while len(features(stack, contract)) < 2 * len(few.events) and monotonic() < deadline:
            sleep(0.02)
    rows = list(features(stack, contract).values())
    assert len(rows) == 2 * len(few.events)
    assert not records(stack, contract, "ingest_dead_letters")
    times = sorted(row.event_time for row in rows)[: len(few.events)]
    span_s = (times[-1] - times[0]).total_seconds()
    recorded_s = (few.events.times[-1] - few.events.times[0]) / 1e6
    assert before <= times[0]
    assert span_s == pytest.approx(recorded_s / 180_000, abs=0.01)


def test_the_machines_clock_needs_a_speed(contract: Contract, stack: Stack, stream: Recording) -> None:
    with instance(contract, stack) as (client, desk):
        desk.mode = "system"
        with pytest.raises(HomeostatError, match="--speed"):
            Sender(contract, stream, client, options(contract))


def test_the_usual_batch_is_short_beside_the_time_to_a_label(contract: Contract) -> None:
    assert usual_batch(contract) == timedelta(hours=2)
    label = contract.label.model_copy(update={"delay": timedelta(minutes=30)})
    assert usual_batch(contract.model_copy(update={"label": label})) == timedelta(minutes=5)
    label = contract.label.model_copy(update={"delay": timedelta(seconds=8)})
    assert usual_batch(contract.model_copy(update={"label": label})) == timedelta(seconds=2)
