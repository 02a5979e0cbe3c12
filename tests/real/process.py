"""One service as a deployment runs it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.servers import free_port
from tests.real.running import around

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "tests" / "loop" / "turbines.yaml"
SOON_S = 120  # imports of Feast and MLflow, on a busy machine


class Process:
    """A service by its command, which nobody starts again."""

    def __init__(self, name: str, home: Path, environment: Mapping[str, str], log: str = "") -> None:
        """Start it; ``log`` is what its file is called where several of a name run."""
        self.port = free_port()
        self._log = home / f"{log or name}.log"
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **around(),
                    "HOMEOSTAT_HOME": str(home / "home"),
                    "HOMEOSTAT_CONTRACT": str(CONTRACT),
                    "HOMEOSTAT_PORT": str(self.port),
                    "OMP_NUM_THREADS": "1",
                    "OMP_WAIT_POLICY": "PASSIVE",
                    **environment,
                },
            )

    def said(self) -> str:
        return self._log.read_text()

    def asked(self, path: str) -> tuple[int, str]:
        """What it answers, 0 while it does not."""
        assert self.process.poll() is None, self.said()
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)
        except httpx.TransportError as error:
            return 0, repr(error)
        return answer.status_code, answer.text


@contextmanager
def running(name: str, home: Path, environment: Mapping[str, str], log: str = "") -> Iterator[Process]:
    process = Process(name, home, environment, log)
    try:
        yield process
    finally:
        process.process.kill()
        process.process.wait()
