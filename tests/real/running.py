"""`homeostat up` as a user runs it, and how to talk to it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

HOMEOSTAT = str(Path(sys.executable).with_name("homeostat"))
START_S = 240  # Feast and MLflow in four processes, on a machine that is busy with other tests


def around() -> dict[str, str]:
    """The environment that a process of a test gets, without the folder of metrics that Feast names at its import.

    A service would share it with all that other tests started, and count theirs as its own.
    """
    return {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}


def homeostat(*words: str | Path, seconds: float = START_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([HOMEOSTAT, *map(str, words)], capture_output=True, text=True, check=False, timeout=seconds)


def until(true: Callable[[], object], seconds: float = START_S, why: Callable[[], object] = str) -> None:
    """Wait for a state, at most some seconds."""
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline, why()
        sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def commandline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Up:
    """One `homeostat up`, started and ready."""

    def __init__(self, home: Path, *options: str | Path, contract: Path | None = None) -> None:
        self.home = home
        self._screen = home.with_suffix(".screen")
        words = ["up", "--home", home, "--port", "0", "--mlflow-port", "0", *options]
        words += ["--contract", contract] if contract else []
        with self._screen.open("w") as screen:
            self.process = subprocess.Popen([HOMEOSTAT, *map(str, words)], stdout=screen, stderr=screen)
        try:
            until(self._is_ready, why=self.screen)
        except BaseException:
            self.process.kill()  # its children end with it
            self.process.wait()
            raise
        self.instance: dict[str, Any] = json.loads((home / "instance.json").read_text())
        self.url = f"http://127.0.0.1:{self.instance['port']}"
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def screen(self) -> str:
        """What it has written so far."""
        return self._screen.read_text()

    def pid(self, process: str) -> int | None:
        """The pid of a child, from its command line: it may be far from its first heartbeat."""
        module = f"homeostat.processes.{process}".encode()
        return next((pid for pid in self.children() if module in commandline(pid)), None)

    def children(self) -> list[int]:
        """The pids of all processes it has started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self, process: str) -> None:
        """End a child by kill -9, once it is there."""
        until(lambda: self.pid(process), why=self.screen)
        pid = self.pid(process)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.http.close()
        self.process.send_signal(how)
        return self.process.wait(START_S)

    def kill_supervisor(self) -> None:
        """End the supervisor by kill -9 and wait until all of its children have ended by themselves."""
        children = self.children()
        self.http.close()
        self.process.kill()
        self.process.wait()
        until(lambda: not any(is_running(pid) for pid in children))

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.screen()
        said = self.screen()
        return "\nstop " in said and said.endswith("\n")


def started(up: Up) -> Iterator[Up]:
    """Give it, and end it if it still runs."""
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.kill_supervisor()
