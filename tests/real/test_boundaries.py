"""kill -9 at the boundaries of every step, in real processes on real stores."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from homeostat.adapters.stream_clock import StreamClock
from homeostat.flow import FLOW, topic_name
from homeostat.ports import NewMessage
from homeostat.processes.instance import CLOCK, Instance, run_folder
from homeostat.processes.prerequisites import store_contracts
from homeostat.processes.rounds import SERVED, TRAINED
from homeostat.settings import child_environment

from .evidence import PRODUCT, Evidence, Sent
from .nursery import Nursery

CONTRACT = (Path(__file__).parents[1] / "loop" / "turbines.yaml").read_text()
SOONER = (("cold_start_after: 5d, min_rows: 500, trials: 3", "cold_start_after: 2d, min_rows: 200, trials: 1"),)
START = datetime(2030, 1, 7, tzinfo=UTC)
DAY = timedelta(days=1)
POINTS = ("read", "handled", "published", "committed")
ALL = [f"{row.step}:{point}" for row, point in product(FLOW, POINTS)]
IN_CI = [b for b in ALL if b.startswith(("ingest", "predict", "train")) or b.endswith("published")]
BOUNDARIES = ALL if os.environ.get("HOMEOSTAT_CRASHES") else IN_CI
ROWS = 90
DAYS = 5  # a first training is asked for on the fourth
ONCE_A_DAY = "detect"
DEADLINE_S = 240


def owner(boundary: str) -> str:
    step = boundary.split(":", maxsplit=1)[0]
    return "server" if step in SERVED else "trainer" if step in TRAINED else "keeper"


class Play:
    """A stream of days, each with crashes in the processes that work on it."""

    def __init__(self, home: Path, nursery: Nursery, trainings: list[str]) -> None:
        self.home = home
        self.nursery = nursery
        self.trainings = trainings  # crashes for the day on which a training is asked for
        self.evidence = Evidence(home)
        self.clock = StreamClock(home / CLOCK)
        self.now = START
        self.sent = Sent()
        self.running: dict[str, int] = {}
        self.crashed: list[str] = []

    def day(self, crashes: list[str], rows: int = ROWS) -> None:
        """Append a day, let it be worked on with crashes, and wait until all is done."""
        self.now += DAY
        self.clock.advance_to(self.now)
        self.evidence.log.append(self.messages(rows), self.now)
        queues = {name: [b for b in crashes if owner(b) == name] for name in ("server", "keeper")}
        queues["trainer"] = self.trainings
        deadline = monotonic() + DEADLINE_S
        while queues["server"] or queues["keeper"] or self.is_crashing("trainer") or not self.is_settled():
            assert monotonic() < deadline, (queues, self.running, self.evidence.unread())
            for name, queue in queues.items():
                self.look_after(name, queue)
            sleep(0.02)
        for pid in self.running.values():
            os.kill(pid, 9)
            assert self.nursery.wait(pid, 60) == -9
        self.running.clear()

    def look_after(self, name: str, queue: list[str]) -> None:
        """Start a process with its next crash, or note that it crashed as it should."""
        pid = self.running.get(name)
        if pid is None:
            if name != "trainer" or self.is_training_wanted():
                self.running[name] = self.nursery.start(name, queue[0] if queue else None)
            return
        code = self.nursery.wait(pid, 0.01)
        if code is not None:
            assert queue, f"{name} ended with {code}:\n{(self.home / 'logs' / f'{name}.log').read_text()[-3000:]}"
            assert code == -9
            self.crashed.append(queue.pop(0))
            del self.running[name]

    def is_crashing(self, name: str) -> bool:
        """Whether a process is running towards a crash: one behind the commit comes when all is read."""
        return name in self.running and bool(self.trainings)

    def is_training_wanted(self) -> bool:
        return any(what.startswith("train ") for what in self.evidence.unread())

    def is_settled(self) -> bool:
        try:
            said = json.loads((run_folder(self.home) / "keeper.json").read_text())
        except OSError:
            return False
        passed = said["pid"] == self.running.get("keeper") and said["passed"] == self.now.isoformat()
        return passed and not self.evidence.unread(ONCE_A_DAY)

    def messages(self, rows: int) -> list[NewMessage]:
        """The events of the day that ends now, and the labels of the day before."""
        rng = np.random.default_rng(self.now.day)
        made = []
        for i in range(rows):
            event_id, entity = f"{self.now:%d}-{i}", f"t{i % 20}"
            load, at = float(rng.normal()), self.now - DAY * (1 - (i + 1) / (rows + 1))
            fails = bool(rng.uniform() < 1 / (1 + np.exp(-2 * load)))
            event = {"event_id": event_id, "event_time": at.isoformat(), "turbine": entity, "maker": "acme"}
            label = {"event_id": event_id, "label_time": self.now.isoformat(), "fails": fails}
            made.append(self.message("raw_events", event | {"load": load, "wind": 0.5}))
            made.append(self.message("raw_labels", label))
            self.sent.events[event_id], self.sent.labels[event_id] = entity, float(fails)
        return made

    @staticmethod
    def message(topic: str, value: dict[str, object]) -> NewMessage:
        return NewMessage(topic_name(PRODUCT, topic), json.dumps(value).encode())


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    home = tmp_path / "live"
    (home / "logs").mkdir(parents=True)
    (run_folder(home) / "metrics").mkdir(parents=True)
    text = CONTRACT
    for old, new in SOONER:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "contract.yaml").write_text(text)
    store_contracts({PRODUCT: tmp_path / "contract.yaml"}, home)
    Instance("127.0.0.1", 0, 0, "stream", 1, (PRODUCT,), os.getpid(), "").save(home)
    with Nursery(home, child_environment(run_folder(home), threads=1)) as nursery:
        yield Play(home, nursery, [b for b in BOUNDARIES if owner(b) == "trainer"])


def by_day(boundaries: list[str]) -> list[list[str]]:
    """Deal the boundaries to days; a day has one look, so it goes first."""
    others = [b for b in boundaries if not b.startswith(ONCE_A_DAY) and owner(b) != "trainer"]
    looks = [b for b in boundaries if b.startswith(ONCE_A_DAY)]
    return [looks[i : i + 1] + others[i::DAYS] for i in range(DAYS)]


@pytest.mark.timeout(1800)
def test_a_crash_at_any_boundary_loses_nothing_and_does_nothing_twice(play: Play) -> None:
    for crashes in by_day(BOUNDARIES):
        play.day(crashes)
    play.day([], rows=0)
    play.day([], rows=0)
    assert sorted(play.crashed) == sorted(BOUNDARIES)
    play.evidence.check(play.sent)
    play.evidence.check_outcomes(play.sent.labels)
    assert play.evidence.ledger_entries() > 0
