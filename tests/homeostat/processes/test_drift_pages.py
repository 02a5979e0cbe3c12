"""What becomes of a page that waits, or is in the making, when the trainer's process ends."""

from pathlib import Path

import pytest

from homeostat.adapters.memory import MemoryLog
from homeostat.codec import encode
from homeostat.errors import TransientError
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.processes import drift_pages
from homeostat.processes.drift_pages import READER, DriftPages
from homeostat.records import TrainingRun, TrainingStatus

from .conftest import START

TOPIC = topic_name("turbines", "training_runs")


class Maker:
    """A process that makes a page, done when it is told so."""

    made: list[str] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, command: list[str], stdin: int) -> None:
        Maker.made.append(command[-1])
        self.done = False

    def poll(self) -> int | None:
        return 0 if self.done else None


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that a page was begun for."""
    Maker.made = []
    monkeypatch.setattr(drift_pages.subprocess, "Popen", Maker)
    return Maker.made


def trained(log: MemoryLog, *versions: str, drifted: bool = True) -> None:
    for version in versions:
        receipt = {"report_id": "r1" if drifted else None}
        run = TrainingRun(f"t{version}", "q", TrainingStatus.CANDIDATE, version, "won", 1.0, START, receipt)
        log.append([NewMessage(TOPIC, *encode(run))], START)


def pages_of(log: MemoryLog) -> DriftPages:
    """What a trainer begins with."""
    return DriftPages(Path("instance"), Path("contract.yaml"), Path("home"), "turbines", log)


def finish(pages: DriftPages) -> None:
    assert isinstance(pages._maker, Maker)
    pages._maker.done = True


def test_pages_are_made_one_after_the_other_and_committed_as_they_are(made: list[str]) -> None:
    log = MemoryLog()
    pages = pages_of(log)
    trained(log, "1", drifted=False)
    trained(log, "2", "3")
    pages.follow()
    assert pages.go_on()
    assert pages.go_on()
    assert (made, log.committed(READER, TOPIC)) == (["2"], 0)
    finish(pages)
    assert pages.go_on()
    assert (made, log.committed(READER, TOPIC)) == (["2", "3"], 2)
    finish(pages)
    assert not pages.go_on()
    assert log.committed(READER, TOPIC) == 3


def test_a_page_that_waited_and_one_in_the_making_outlive_the_process(made: list[str]) -> None:
    log = MemoryLog()
    trained(log, "1")
    dies = pages_of(log)
    trained(log, "2", "3")
    dies.follow()
    assert dies.go_on()
    after = pages_of(log)
    for _ in range(2):
        assert after.go_on()
        finish(after)
    assert not after.go_on()
    assert made == ["2", "2", "3"]
    assert not pages_of(log).go_on()


def test_a_training_whose_process_died_before_it_was_noted_is_found(made: list[str]) -> None:
    log = MemoryLog()
    trained(log, "1")
    pages_of(log)
    trained(log, "2")
    assert pages_of(log).go_on()
    assert made == ["2"]


def test_a_page_that_takes_its_process_along_twice_is_given_up(made: list[str]) -> None:
    log = MemoryLog()
    trained(log, "1")
    for _ in range(3):
        dies = pages_of(log)
        if not made:
            trained(log, "2")
        dies.follow()
        dies.go_on()
    assert made == ["2", "2"]


def test_where_nobody_ever_made_pages_those_of_the_past_are_left(made: list[str]) -> None:
    log = MemoryLog()
    trained(log, "1", "2")
    assert not pages_of(log).go_on()
    assert made == []


def test_what_is_made_is_committed_once_the_log_can_be_told_again(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MemoryLog()
    trained(log, "1")
    pages = pages_of(log)
    trained(log, "2")
    pages.follow()
    pages.go_on()
    finish(pages)
    with monkeypatch.context() as away:
        away.setattr(log, "commit", _lost)
        with pytest.raises(TransientError):
            pages.go_on()
    assert not pages.go_on()
    assert (made, log.committed(READER, TOPIC)) == (["2"], 2)


def _lost(*_: object) -> None:
    raise TransientError("the log is lost", 0.0)
