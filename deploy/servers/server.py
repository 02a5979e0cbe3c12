"""A server from start to stop, whatever its program is."""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

import psutil

from deploy.servers.program import find_program, free_port

_START_S = 240.0  # MLflow takes ten seconds on an idle machine, minutes on a busy one
_STOP_S = 60.0
_GONE_S = 10.0
# Linux ends a server with the thread that started it (see launch): this one lives as long as the process.
_LAUNCHER = ThreadPoolExecutor(1, thread_name_prefix="servers")


class ServerError(Exception):
    """A server could not be started; the text ends with what it logged last."""


class Server(ABC):
    """A program on loopback with a port, a data folder and a log file of its own.

    Stopped or killed, it can be started again with the same port and data. It ends with the process that started it,
    however that one ends.

    Args:
        folder: Of its data, made where it is missing.
        port: Where it listens; a free one if none is given.
    """

    name: str
    stop_signal = signal.SIGTERM  # ends it in order; also sent when the process that started it is gone
    user: str | None = None  # who it runs as; None for whoever starts it

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port or free_port()
        self._process: subprocess.Popen[Any] | None = None

    @abstractmethod
    def find(self) -> None:
        """Look for the programs that it needs itself.

        Raises:
            MissingProgramError: One is not on this machine.
        """

    @staticmethod
    def find_guard() -> str:
        """Return the path of the program that ends a server together with who started it.

        Raises:
            MissingProgramError: It is not on this machine.
        """
        return find_program("setpriv", "util-linux")

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line of the server itself."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers."""

    def prepare(self) -> None:  # noqa: B027 - few servers need it
        """Make the data folder ready; called before each start."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables it gets beside those of this process."""
        return {}

    @property
    def log(self) -> Path:
        """The file that holds what it printed."""
        return self.folder / "server.log"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            MissingProgramError: A program is not on this machine.
            ServerError: It ended, or it doesn't answer in time.
        """
        self.find()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self.launch()
        deadline = monotonic() + _START_S
        while not self.is_ready():
            if not self.is_running() or monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not start; it said last:\n{self.last_lines()}")
            sleep(0.05)
        return self

    def launch(self) -> None:
        """Start its process."""
        guard = [self.find_guard(), "--pdeathsig", self.stop_signal.name.removeprefix("SIG"), "--"]
        with self.log.open("ab") as log:
            started = partial(
                subprocess.Popen,
                [*guard, *self.command()],
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal reaches us alone: we end them in order
                **as_user(self.user),
            )
            self._process = _LAUNCHER.submit(started).result()

    @property
    def pid(self) -> int | None:
        """The id of its process, None while it has none."""
        return self._process.pid if self._process is not None else None

    def is_running(self) -> bool:
        """Return whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it in order; one that takes too long is killed."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """End it and its children at once, as kill -9 or a power cut would."""
        process, self._process = self._process, None
        if process is None:
            return
        family = _children(process.pid)
        process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()
        deadline = monotonic() + _GONE_S
        while any(_lives(child) for child in family) and monotonic() < deadline:
            sleep(0.01)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process may know: where the server is, but not its process, so it can't end it."""
        return {**self.__dict__, "_process": None}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def last_lines(self) -> str:
        """Return the end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


def as_user(name: str | None) -> dict[str, Any]:
    """Return what makes ``subprocess`` run a program as a user; nothing for None."""
    return {} if name is None else {"user": name, "group": name, "extra_groups": []}


def run(command: Sequence[str], *, user: str | None = None) -> None:
    """Run a program to its end, as a user.

    Raises:
        ServerError: It failed; the text ends with what it printed.
    """
    done = subprocess.run(  # noqa: S603 - commands of our own
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, cwd="/", **as_user(user)
    )
    if done.returncode:
        raise ServerError(f"{Path(command[0]).name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _children(pid: int) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
