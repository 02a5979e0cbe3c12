"""What the signs of life of an instance's processes say of their troubles."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from homeostat.inspection.instance import heartbeats

Beats = Callable[..., None]


@pytest.fixture
def beats(tmp_path: Path) -> Beats:
    """Write signs of life as processes do: name, pid, and what else each has to say."""
    run = tmp_path / "run"
    run.mkdir()

    def write(process: str, pid: int, **more: object) -> None:
        at = datetime.now(UTC).isoformat()
        (run / f"{process}.json").write_text(json.dumps({"pid": pid, "at": at, "passed": None, **more}))

    return write


@pytest.fixture
def gone() -> int:
    """The pid of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_process_that_waits_says_what_for(tmp_path: Path, beats: Beats) -> None:
    beats("keeper", os.getpid(), waits={"turbines": "the disk is full", "parcels": 3})
    (beat,) = heartbeats(tmp_path)
    assert (beat.trouble, beat.down) == ("turbines: the disk is full", None)


def test_a_process_that_works_has_no_trouble(tmp_path: Path, beats: Beats) -> None:
    beats("keeper", os.getpid(), waits={})
    beats("supervisor", os.getpid(), down={"keeper": None})
    assert [beat.trouble for beat in heartbeats(tmp_path)] == [None, None]


def test_who_is_down_is_told_by_its_supervisor_though_it_never_gave_a_sign_of_life(
    tmp_path: Path, beats: Beats
) -> None:
    beats("keeper", os.getpid(), waits={"turbines": "the disk is full"})
    beats("supervisor", os.getpid(), down={"keeper": "ended with exit code 1", "mlflow_ui": "killed", "server": None})
    told = {beat.process: (beat.pid, beat.trouble) for beat in heartbeats(tmp_path)}
    assert told == {
        "keeper": (os.getpid(), "ended with exit code 1"),
        "mlflow_ui": (None, "killed"),
        "supervisor": (os.getpid(), None),
    }


def test_what_processes_that_are_no_more_have_said_counts_no_more(tmp_path: Path, beats: Beats, gone: int) -> None:
    beats("supervisor", gone, down={"keeper": "ended with exit code 1"})
    beats("keeper", gone, waits={"turbines": "the disk is full"})
    assert [beat.trouble for beat in heartbeats(tmp_path)] == [None, None]
