"""Processes of an instance, started in a moment: Feast and MLflow are imported once, and each process forks from there.

Run as a script, it reads orders from its standard input, one JSON object a line, and answers with the pid of the new
process. What it forks runs the real ``main`` of a process of `homeostat up`, is killed like one, and ends when its own
standard input closes, as under the supervisor.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from types import TracebackType
from typing import Self

PROCESSES = ("server", "keeper", "trainer")
CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"


class Nursery:
    """Forks processes of one instance."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self._home = home
        self._mother = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mother.kill()  # the pipes to its children close with it
        self._mother.communicate()

    def start(self, process: str, crash_at: str | None = None) -> int:
        """Return the pid of a new process."""
        self._order(act="start", process=process, home=str(self._home), crash_at=crash_at)
        return int(self._answer())

    def wait(self, pid: int, seconds: float) -> int | None:
        """Return how a process ended (as ``subprocess`` has it), None if it did not in time."""
        self._order(act="wait", pid=pid, seconds=seconds)
        answer = self._answer()
        return None if answer == "none" else int(answer)

    def _order(self, **order: object) -> None:
        assert self._mother.stdin is not None
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()

    def _answer(self) -> str:
        assert self._mother.stdout is not None
        line = self._mother.stdout.readline().strip()
        assert line, "the nursery died"
        return line


def fork(process: str, home: str, crash_at: str | None) -> int:
    read, write = os.pipe()  # the mother never closes the write end: it closes with her
    pid = os.fork()
    if pid:
        os.close(read)
        return pid
    os.close(write)
    os.dup2(read, 0)
    log = os.open(f"{home}/logs/{process}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdin = open(0)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.pop("HOMEOSTAT_CRASH_AT", None)
    if crash_at:
        os.environ["HOMEOSTAT_CRASH_AT"] = crash_at
    code = 1
    try:
        code = import_module(f"homeostat.processes.{process}").main(Path(home)) or 0
    except Exception:  # noqa: BLE001 - it would be printed, and the process end with 1
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float) -> str:
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return str(os.waitstatus_to_exitcode(status))
        sleep(0.01)
    return "none"


ACTS = {"start": fork, "wait": wait}


def import_all() -> None:
    """Import what the processes do, which is only known once stores were opened and steps made: here, of no use."""
    for process in PROCESSES:
        import_module(f"homeostat.processes.{process}")
    bootstrap, load = import_module("homeostat.bootstrap"), import_module("homeostat.contract.load")
    contract = load.load_contract(CONTRACT)
    steps = [row.step for row in import_module("homeostat.flow").FLOW]
    with TemporaryDirectory() as folder:
        stack = bootstrap.embedded_stack(contract, Path(folder), bootstrap.process_telemetry())
        bootstrap.build_workers(contract, stack, 0, steps)


def serve_orders() -> None:
    import_all()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        act = order.pop("act")
        sys.stdout.write(f"{ACTS[act](**order)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve_orders()
