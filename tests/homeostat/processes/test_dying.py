"""A process that keeps dying: serving goes on without it, and it is told of wherever somebody may look."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.metric_names import DOWN
from homeostat.processes import child as of_child
from homeostat.processes.child import MAX_DEATHS, Child, Plan
from homeostat.processes.companions import WITHOUT, Companions
from homeostat.processes.supervisor import Interrupts, Supervisor

from .test_supervisor import PATIENT, SICK, has_begun, make

__all__ = ["make"]  # the fixture


class Mortal:
    """A process that ends when it is told to."""

    pid = 42
    stdin = None

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


class Life:
    """A child on a clock of its own, whose processes die when a test says so."""

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.started: list[Mortal] = []
        self.refuses = False  # the system, to start one
        patched.setattr(of_child, "monotonic", lambda: self.now)
        patched.setattr(of_child, "subprocess", SimpleNamespace(Popen=self._popen, PIPE=None, STDOUT=None))
        self.child = Child(Plan("keeper", ("keep",), folder / "keeper.log", {}, 1.0, "healing"))
        self.child.start()

    def die(self) -> str:
        self.started[-1].code = 1
        return str(self.child.watch())

    def pause_s(self) -> float:
        """How long it takes until it is started again, at a look each tenth of a second."""
        began = self.now
        while self.child.pid is None:
            self.now += 0.125
            self.child.watch()
        return self.now - began

    def _popen(self, *_: object, **__: object) -> Mortal:
        if self.refuses:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.started.append(Mortal())
        return self.started[-1]


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return Life(tmp_path, monkeypatch)


def test_pauses_grow_up_to_a_minute_and_a_long_life_begins_anew(life: Life) -> None:
    pauses = []
    for _ in range(10):
        life.die()
        pauses.append(life.pause_s())
        life.now += 7
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    life.now += 601
    assert life.child.watch() == "keeper has run for 10 minutes: it is well again"
    assert life.child.trouble is None
    life.die()
    assert life.pause_s() == 0.25


def test_a_process_may_die_for_weeks(life: Life) -> None:
    for _ in range(1_100):  # 2 to that power is no float
        life.die()
        life.now += 60
        assert "is started again" in str(life.child.watch())
    assert "1100 times in a row" in str(life.child.trouble)


def test_what_the_system_refuses_to_start_is_tried_again_as_if_it_had_died(life: Life) -> None:
    life.die()
    life.refuses = True
    life.now += 1
    assert "keeper can't be started" in str(life.child.watch())
    assert "Resource temporarily unavailable" in str(life.child.trouble)
    life.refuses = False
    life.now += 1
    assert "keeper is started again" in str(life.child.watch())


def test_a_log_that_there_is_no_room_to_put_aside_ends_nothing(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(of_child, "_LOG_BYTES", 10)
    monkeypatch.setattr(of_child.shutil, "copyfile", no_room)
    life.child.plan.log.write_text("more than there is room for")
    life.now += 61
    assert life.child.watch() is None
    assert life.child.plan.log.read_text() == "more than there is room for"


def test_one_death_is_trouble_until_it_is_started_again_several_are_for_longer(life: Life) -> None:
    assert life.child.trouble is None
    assert "is started again in 0.25 s" in life.die()
    assert life.child.trouble == ("ended with exit code 1; it is started again in 0 s; serving goes on without healing")
    life.pause_s()
    assert life.child.trouble is None
    life.die()
    life.pause_s()
    assert life.child.trouble == (
        "ended with exit code 1, 2 times in a row; it runs again; serving goes on without healing"
    )


def test_a_child_that_others_can_do_without_dies_alone_and_is_told_of_with_the_end_of_its_log(
    make: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_child, "WITHIN_S", 600.0)
    monkeypatch.setattr(of_child, "LONGEST_DELAY_S", 0.25)
    sick, well = make("keeper", SICK, without="healing"), make("server", PATIENT)
    said: list[str] = []
    shown: list[Mapping[str, str | None]] = []
    interrupts = Interrupts()

    def enough() -> bool:
        if sick.deaths > MAX_DEATHS and has_begun(well):
            interrupts.interrupt()
        return False

    assert Supervisor([well, sick], interrupts, said.append, shown.append).run(enough, lambda: None) == 0
    assert well.deaths == 0
    (loud,) = [line for line in said if "keeps dying" in line]
    assert "serving goes on without healing" in loud
    assert "the disk is full" in loud
    assert said.index(loud) == 3  # twice dead, once started again
    assert shown[0] == {"server": None, "keeper": None}
    assert "times in a row" in str(shown[-1]["keeper"])


def test_a_server_that_can_not_start_is_given_up_and_takes_the_others_along(make: Callable[..., Child]) -> None:
    sick, beside = make("server", SICK), make("keeper", PATIENT, without="healing")
    said: list[str] = []
    assert Supervisor([sick, beside], Interrupts(), said.append).run(lambda: False, lambda: None) == 1
    assert "server died 2 times before it was ready" in said[-1]
    assert beside.has_ended()


def beat(home: Path, process: str, **more: object) -> None:
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / f"{process}.json").write_text(json.dumps({"pid": os.getpid(), **more}))


def test_the_server_learns_who_is_down_and_who_waits_beside_it(tmp_path: Path) -> None:
    telemetry = MemoryTelemetry()
    companions = Companions(tmp_path, ["turbines"], telemetry)

    def shown() -> dict[str, Any]:
        companions.look()
        return {name: telemetry.value(DOWN, product="turbines", process=name) for name in WITHOUT}

    assert (shown(), companions.troubles) == (dict.fromkeys(WITHOUT, 0), {})
    beat(tmp_path, "server", waits={"turbines": "said by the server itself"})
    beat(tmp_path, "trainer", waits={"turbines": "the database is away"})
    beat(tmp_path, "supervisor", down={"keeper": "ended with exit code 1, 3 times in a row"})
    assert shown() == {"keeper": 1, "trainer": 0, "mlflow_ui": 0}
    assert companions.troubles == {
        "keeper": "ended with exit code 1, 3 times in a row",
        "trainer": "turbines: the database is away",
    }
    beat(tmp_path, "supervisor", down={"keeper": None})
    beat(tmp_path, "trainer", waits={})
    assert (shown(), companions.troubles) == (dict.fromkeys(WITHOUT, 0), {})
