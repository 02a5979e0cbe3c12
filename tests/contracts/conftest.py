"""What all contract suites share: a time, a small contract, and a process to kill."""

import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import homeostat
from deploy.servers import Mlflow
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


@pytest.fixture(scope="module")
def mlflow_login(mlflow_server: Mlflow) -> Iterator[Mlflow]:
    """The server, with its user in MLflow's own variables."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_USERNAME", mlflow_server.username)
        patched.setenv("MLFLOW_TRACKING_PASSWORD", mlflow_server.password)
        yield mlflow_server


@pytest.fixture
def fresh_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """The URL of a new database of a kind, ``sqlite`` or ``postgres``."""

    def make(kind: str) -> str:
        name = f"contracts_{secrets.token_hex(6)}"
        if kind == "postgres":
            return str(request.getfixturevalue("postgres").make_database(name))
        return f"sqlite:///{tmp_path / name}.db"

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def sql_url(request: pytest.FixtureRequest, fresh_database: Callable[[str], str]) -> str:
    return fresh_database(request.param)


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
        assert [process.wait(timeout=240) for process in processes] == [0] * len(scripts)

    return run
