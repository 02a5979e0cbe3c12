"""The folder of a running instance: what is where, and whose it is."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, Self

from homeostat.errors import HomeostatError

ClockMode = Literal["system", "stream"]
CLOCK = "clock.json"
CONTRACT = "contract.yaml"
_FILE = "instance.json"
_LOCK_POLL_S = 0.05

_log = logging.getLogger("homeostat.instance")


def run_folder(home: Path) -> Path:
    """Return the folder of what lives as long as the processes: heartbeats, locks, metrics."""
    return home / "run"


def log_file(home: Path, process: str) -> Path:
    """Return where a process writes what it has to say."""
    return home / "logs" / f"{process}.log"


def write_json(path: Path, value: object) -> None:
    """Write a file that is there whole or not at all, whoever else writes it."""
    draft = path.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps(value))
    draft.replace(path)


@dataclass(frozen=True, slots=True)
class Instance:
    """What `homeostat up` was asked to run, for its processes and for whoever looks for it."""

    host: str
    port: int
    mlflow_port: int
    clock: ClockMode
    seed: int
    products: tuple[str, ...]
    pid: int  # of the supervisor
    started_at: str  # ISO, the machine's time

    @classmethod
    def load(cls, home: Path) -> Self:
        """Return what the instance in a folder was last started with.

        Raises:
            HomeostatError: There is none, or its file can't be read.
        """
        path = home / _FILE
        try:
            said = json.loads(path.read_bytes())
            return cls(**{**said, "products": tuple(said["products"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HomeostatError(
                f"{path}: no instance ({error}): start one with `homeostat up --contract FILE`"
            ) from error

    def save(self, home: Path) -> None:
        """Write it down for the processes."""
        write_json(home / _FILE, asdict(self))

    @property
    def url(self) -> str:
        """Where this machine reaches the API."""
        return f"http://{reachable(self.host)}:{self.port}"

    @property
    def mlflow_url(self) -> str:
        """Where this machine reaches the MLflow UI."""
        return f"http://127.0.0.1:{self.mlflow_port}"


def reachable(host: str) -> str:
    """Return how this machine reaches a server that listens on ``host``.

    >>> reachable("0.0.0.0"), reachable("::1")
    ('127.0.0.1', '[::1]')
    """
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class Heartbeat:
    """A sign of life of one process: ``run/<process>.json``, read by status, doctor and whoever waits."""

    def __init__(self, home: Path, process: str, pid: int) -> None:
        """Take whose it is."""
        self._path = run_folder(home) / f"{process}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)  # on servers alone nothing else has made it
        self._pid = pid

    def beat(self, at: datetime, passed: datetime | None, **more: object) -> None:
        """Say that the process is alive; on a disk without room nothing is said, and the work goes on.

        Args:
            at: The machine's time.
            passed: The clock's time up to which everything that was due is done.
            more: What else it has to say, as JSON.
        """
        said = {"pid": self._pid, "at": at.isoformat(), "passed": passed.isoformat() if passed else None, **more}
        try:
            write_json(self._path, said)
        except OSError as error:
            _log.warning("no sign of life can be given: %s", error)


@contextmanager
def exclusive(path: Path, wait_s: float = 0.0, *, shared: bool = False) -> Iterator[bool]:
    """Hold a lock file for the length of a ``with`` block and give whether it was had within ``wait_s``.

    The lock belongs to the open file: it ends with the process, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = monotonic() + wait_s
    with path.open("a") as file:
        while not (held := _locked(file.fileno(), kind)) and monotonic() < deadline:
            sleep(_LOCK_POLL_S)
        yield held


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
