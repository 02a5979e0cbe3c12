"""What becomes of work in hand when a store fails for a while, when the front dies, and when its process is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from homeostat.adapters.memory import MemoryRegistry
from homeostat.adapters.memory_features import MemoryOnlineFeatures
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.bootstrap import Stack
from homeostat.errors import HomeostatError, OverloadedError, TransientError
from homeostat.features.query import Query
from homeostat.ports import Aliases, NewMessage
from homeostat.records import FeatureRow, Prediction
from homeostat.serving import build_front
from tests.homeostat.serving.conftest import CONTRACT, T0, MakeFront, event, label, serve
from tests.homeostat.serving.test_front import SOON_S, read, until

ROOT = Path(__file__).parents[3]
SECOND = timedelta(seconds=1)
POINTS = [(step, point) for step in ("ingest", "predict") for point in ("read", "handled", "published", "committed")]
dies = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Crash(BaseException):
    """Stands for a kill: nothing may catch it."""


class Shaky:
    """Fails the first calls, as a store does that is locked or starts again."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def shake(self) -> None:
        if self.left > 0:
            self.left -= 1
            raise TransientError("locked by a test", retry_after_s=0.01)


class ShakyOnline(MemoryOnlineFeatures, Shaky):
    def __init__(self, failures: int) -> None:
        MemoryOnlineFeatures.__init__(self)
        Shaky.__init__(self, failures)

    def write(self, rows: Sequence[FeatureRow]) -> None:
        self.shake()
        super().write(rows)


class ShakyRegistry(MemoryRegistry, Shaky):
    def __init__(self, failures: int) -> None:
        MemoryRegistry.__init__(self)
        Shaky.__init__(self, failures)

    def aliases(self) -> Aliases:
        self.shake()
        return super().aliases()


class ShakyLog(SqliteLog, Shaky):
    def __init__(self, path: Path, failures: int) -> None:
        SqliteLog.__init__(self, path)
        Shaky.__init__(self, failures)

    def append(self, messages: Sequence[NewMessage], at: object) -> None:
        self.shake()
        super().append(messages, at)  # type: ignore[arg-type]


def once(at_step: str, at_point: str):
    """A hook that crashes at one point, the first time that there is something to handle."""

    def hook(step: str, point: str) -> None:
        if (step, point) == (at_step, at_point):
            raise Crash(f"{step}:{point}")

    return hook


@pytest.mark.parametrize("part", ["log", "online", "registry"])
def test_a_store_that_fails_for_a_while_costs_time_and_no_row(
    stack: Stack, make_front: MakeFront, tmp_path: Path, part: str
) -> None:
    shaky: dict[str, object] = {
        "log": ShakyLog(tmp_path / "log.db", 3),
        "online": ShakyOnline(3),
        "registry": ShakyRegistry(3),
    }
    stack = replace(stack, **{part: shaky[part]})
    front = make_front(stack, start=False)
    sent = front.send([event(1)], [label(1)])
    asked = front.predict([event(2), Query("q1", "k1", T0)])
    front.start()
    sent.result(SOON_S)
    assert [a.event_id for a in asked.result(SOON_S) if isinstance(a, Prediction)] == ["e2", "q1"]
    assert shaky[part].left == 0  # type: ignore[attr-defined]
    until(lambda: not front.waits, "it is told that the front works")
    assert stack.log.end("p.raw_events.v1") == 2
    assert stack.log.end("p.raw_labels.v1") == 1
    assert sorted({p.event_id for p in read(stack, "predictions")}) == ["e1", "e2", "q1"]  # type: ignore[attr-defined]


def test_a_store_that_never_comes_back_does_not_keep_the_front_from_stopping(
    stack: Stack, make_front: MakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.serving.front._STOP_WITHIN_S", 0.1)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    front = make_front(replace(stack, online=ShakyOnline(10**9)))
    sent, asked = front.send([event(1)], []), front.predict([event(2)])
    sent.result(SOON_S)
    until(lambda: front.waits, "it is told that the front waits")
    front.stop()
    with pytest.raises(TransientError, match="locked by a test"):
        asked.result(0)


@dies
def test_an_error_that_no_waiting_heals_reaches_all_who_wait_and_ends_the_front(
    stack: Stack, make_front: MakeFront
) -> None:
    front = make_front(start=False, hook=once("predict", "read"), batch_rows=1)
    sent = front.send([event(0)], [])
    asked = [front.predict([event(i)]) for i in range(1, 4)]
    front.start()
    sent.result(SOON_S)
    for future in asked:
        with pytest.raises(Crash):
            future.result(SOON_S)
    until(lambda: front.failure is not None, "the failure shows")
    assert "failed" in str(front.ready())
    with pytest.raises(OverloadedError, match="failed"):
        front.send([event(9)], [])
    front.stop()


@dies
@pytest.mark.parametrize(("step", "point"), POINTS)
def test_what_was_acknowledged_before_a_crash_is_predicted_once_more_alike_after_it(
    stack: Stack, make_front: MakeFront, tmp_path: Path, step: str, point: str
) -> None:
    serve(stack.registry)
    stack = replace(stack, log=SqliteLog(tmp_path / "log.db"))
    before = make_front(stack)
    before.predict([event(1)]).result(SOON_S)
    before.stop()  # else it may handle what the next one shall crash on
    dying = make_front(stack, start=False, hook=once(step, point))
    sent = dying.send([event(2, at=T0 + SECOND), event(3, entity="k2")], [label(1)])
    dying.start()
    until(lambda: dying.failure is not None, "crashed")
    if not sent.done() or sent.exception() is not None:
        pytest.fail("the batch was in the log, so it had to be acknowledged")
    again = replace(stack, log=SqliteLog(tmp_path / "log.db"))
    alive = make_front(again)
    [more] = alive.predict([event(4, at=T0 + 2 * SECOND)]).result(SOON_S)
    assert isinstance(more, Prediction)
    found = {p.event_id: (p.prediction_id, p.values) for p in read(again, "predictions")}  # type: ignore[attr-defined]
    assert {key: values for key, (_, values) in found.items()} == {
        "e1": (0.5, "a", 0.0),
        "e2": (0.5, "a", 1.0),  # the events of its entity before it, whoever has handled them
        "e3": (0.5, "a", 0.0),
        "e4": (0.5, "a", 2.0),
    }
    assert again.log.committed("predict", "p.features.v1") == again.log.end("p.features.v1")


def test_what_a_killed_process_has_acknowledged_is_handled_by_the_next_one(
    stack: Stack, make_front: MakeFront, tmp_path: Path
) -> None:
    """kill -9 in the middle of a stream of requests: whatever was said to be durable has to be predicted."""
    command = [
        sys.executable,
        "-c",
        "from tests.homeostat.serving.killed import main; main()",
        str(tmp_path / "log.db"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(25)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    after = replace(stack, log=SqliteLog(tmp_path / "log.db"))
    front = make_front(after)
    front.predict([event(10**6)]).result(SOON_S)
    predicted = {p.event_id for p in read(after, "predictions")}  # type: ignore[attr-defined]
    assert len(acknowledged) >= 25
    assert set(acknowledged) <= predicted
    raw = after.log.end("p.raw_events.v1")
    assert len(predicted) == raw  # nothing got in that was not handled, whether acknowledged or not


class FullLog(SqliteLog):
    def append(self, messages: Sequence[NewMessage], at: object) -> None:
        raise HomeostatError("the disk is full")


@dies
def test_what_could_not_be_stored_is_not_acknowledged(stack: Stack, make_front: MakeFront, tmp_path: Path) -> None:
    front = make_front(replace(stack, log=FullLog(tmp_path / "log.db")), start=False)
    sent, asked = front.send([event(1)], []), front.predict([event(2)])
    front.start()
    for future in (sent, asked):
        with pytest.raises(HomeostatError, match="the disk is full"):
            future.result(SOON_S)
    until(lambda: isinstance(front.failure, HomeostatError), "the failure shows")


def test_whoever_waits_for_an_event_that_the_log_holds_back_is_told_in_the_end(
    stack: Stack, make_front: MakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.serving.desk._PATIENCE_S", 0.05)
    stack.log.append([NewMessage("p.raw_events.v1", event(1))], T0 + timedelta(hours=3))
    front = make_front()
    with pytest.raises(TransientError, match="ahead of this clock"):
        front.predict([event(2)]).result(SOON_S)
    answered = front.predict([Query("q1", "k1", T0, {"x": 1.0, "c": "a", "n": 0.0})])
    assert isinstance(answered.result(SOON_S)[0], Prediction)


def test_a_clock_that_steps_back_does_not_take_the_front_back(stack: Stack) -> None:
    times = [T0, T0 - timedelta(hours=1)]

    class Stepping:
        def now(self) -> datetime:
            return times.pop(0) if len(times) > 1 else times[0]

    front = build_front(CONTRACT, stack, Stepping())
    front.start()
    assert isinstance(front.predict([event(1)]).result(SOON_S)[0], Prediction)
    front.stop()
    assert front.passed == T0
