"""What all contract suites share: a time, a small contract, and a process to kill."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import homeostat
from homeostat.contract.model import Contract

ROOT = Path(homeostat.__file__).parents[1]


MEET = """
import os
from pathlib import Path
def meet(folder, name, others):
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    while len(os.listdir(folder)) < others:
        pass
"""


@pytest.fixture
def at() -> datetime:
    return datetime(2024, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.model_validate_json(
        """{
          "product": "parcels",
          "event": {"entity": "route", "fields": {"route": "string", "weight": "number", "carrier": "string"}},
          "label": {"field": "late", "delay": "1d", "maturity": "3d"},
          "features": {
            "weight": {"field": "weight"},
            "carrier": {"field": "carrier"},
            "late_rate": {"aggregate": "mean", "of": "late", "by": ["carrier"], "over": "7d"}
          }
        }"""
    )


class BusyTwice:
    """A connection and its cursor: fails like SQLite when several processes open a new file at once."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def cursor(self) -> "BusyTwice":
        return self

    def close(self) -> None:
        pass

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        if len(self.statements) < 3:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error


@pytest.fixture
def busy_twice() -> BusyTwice:
    return BusyTwice()


@pytest.fixture
def run_until_killed() -> Callable[[str, int], list[str]]:
    """Run a script that prints a line for each acknowledged write; SIGKILL it in full run after ``lines`` of them."""

    def run(script: str, lines: int) -> list[str]:
        with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            acknowledged = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            acknowledged += process.stdout.readlines()
        assert process.returncode == -signal.SIGKILL
        return [line.decode().strip() for line in acknowledged if line.endswith(b"\n")]

    return run


@pytest.fixture
def run_together() -> Callable[[list[str]], None]:
    """Run scripts as processes; each has to end well. ``meet(folder, name, count)`` brings them to the same moment."""

    def run(scripts: list[str]) -> None:
        processes = [subprocess.Popen([sys.executable, "-c", MEET + script], cwd=ROOT) for script in scripts]
        assert [process.wait(timeout=60) for process in processes] == [0] * len(scripts)

    return run
