from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from queue import Queue
from threading import Event, Thread
from time import monotonic, sleep

import pytest

from homeostat.bootstrap.sharing import SharedWorker, check_keys
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError, TransientError
from homeostat.flow import FLOW

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Turns:
    """A membership whose turns a test hands out, in the membership's own thread."""

    def __init__(self) -> None:
        self.said: Queue[Callable[[], object]] = Queue()

    def follow(self, wait_s: float = 0.0) -> None:
        self.said.get()()


class Counting:
    """A worker that counts what it did, and may be held within a batch."""

    row = FLOW[0]
    wall_s, cpu_s = 1.0, 0.5

    def __init__(self) -> None:
        self.published = 0
        self.restored: list[datetime] = []
        self.hold: Event | None = None
        self.left = False

    def restore(self, now: datetime) -> None:
        self.restored.append(now)

    def leave(self) -> None:
        self.left = True

    def run_once(self, now: datetime) -> int:
        if self.hold is not None:
            self.hold.wait(60)
        self.published += 1
        return 1


def until(true: Callable[[], object]) -> None:
    deadline = monotonic() + 60
    while not true():
        assert monotonic() < deadline
        sleep(0.005)


def shared() -> tuple[SharedWorker, Turns, list[Counting]]:
    made: list[Counting] = []

    def make(_: int) -> Counting:
        made.append(Counting())
        return made[-1]

    worker, turns = SharedWorker(FLOW[0], make), Turns()
    worker.join(turns)
    return worker, turns, made


def test_nothing_is_done_before_its_turn_and_each_turn_begins_anew() -> None:
    worker, turns, made = shared()
    assert worker.run_once(NOW) == 0
    assert not made
    turns.said.put(lambda: worker.gain(0))
    until(lambda: worker.run_once(NOW))
    assert made[0].restored == [NOW]
    turns.said.put(lambda: worker.lose(0))
    until(lambda: not worker.run_once(NOW))
    turns.said.put(lambda: worker.gain(0))
    until(lambda: worker.run_once(NOW))
    assert [worker.left for worker in made] == [True, False]
    assert worker.published == made[0].published + made[1].published
    assert (worker.wall_s, worker.cpu_s) == (2.0, 1.0)


def test_a_turn_does_not_end_within_a_batch() -> None:
    worker, turns, made = shared()
    turns.said.put(lambda: worker.gain(0))
    until(lambda: worker.run_once(NOW))
    made[0].hold = Event()
    batch = Thread(target=worker.run_once, args=(NOW,))
    batch.start()
    lost = Event()
    turns.said.put(lambda: (worker.lose(0), lost.set()))
    assert not lost.wait(0.2)
    made[0].hold.set()
    assert lost.wait(60)
    batch.join()


def test_each_lane_has_a_worker_of_its_own_and_losing_one_leaves_the_others() -> None:
    worker, turns, made = shared()
    for lane in (3, 1):
        turns.said.put(partial(worker.gain, lane))
    until(lambda: worker.run_once(NOW) == 2)
    turns.said.put(lambda: worker.lose(1))
    until(lambda: any(lane.left for lane in made))
    assert (worker.run_once(NOW), sum(lane.left for lane in made)) == (1, 1)
    assert worker.published == sum(lane.published for lane in made)


def contract(by: list[str]) -> Contract:
    return Contract.model_validate(
        {
            "product": "calls",
            "event": {"entity": "line", "fields": {"line": "string", "cell": "string"}},
            "label": {"field": "fault", "delay": "10m", "maturity": "3h"},
            "features": {"calls_2h": {"aggregate": "count", "by": by, "over": "2h"}},
        }
    )


def test_a_feature_that_counts_over_several_lanes_is_refused() -> None:
    check_keys(contract(["line", "cell"]), 4)
    with pytest.raises(HomeostatError, match=r"LANES is 4, and features.calls_2h.by is \['cell'\].*'line'"):
        check_keys(contract(["cell"]), 4)


def test_a_membership_that_fails_for_a_while_is_asked_again() -> None:
    worker, turns, _ = shared()

    def fail() -> None:
        raise TransientError("no broker")

    turns.said.put(fail)
    turns.said.put(lambda: worker.gain(0))
    until(lambda: worker.run_once(NOW))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_that_no_longer_asks_whose_turn_it_is_ends() -> None:
    worker, turns, _ = shared()
    turns.said.put(lambda: {}["a fault of the library"])
    with pytest.raises(HomeostatError, match="has ended"):
        until(lambda: worker.run_once(NOW))
