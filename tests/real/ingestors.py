"""``services.ingestor`` as a deployment runs it, several at a time."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.servers import free_port
from homeostat.metric_names import EVENTS

ROOT = Path(__file__).parents[2]


class Ingestor:
    """One ``python -m services.ingestor``."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        home.mkdir()
        self.said, self.port = home / "said.txt", free_port()
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.ingestor"],
                cwd=ROOT,
                env={**environment, "HOMEOSTAT_HOME": str(home), "HOMEOSTAT_PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    @property
    def lanes(self) -> int:
        """How many lanes it works in, 0 before it answers."""
        return len({lane.group() for lane in re.finditer(r'lane="\d+"', self._page())})

    @property
    def handled(self) -> float:
        """Events it has taken so far, 0 before it answers."""
        return sum(float(x.split()[-1]) for x in self._page().splitlines() if x.startswith(f"{EVENTS}{{"))

    def _page(self) -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        except httpx.TransportError:
            return ""


@contextmanager
def ingestor(home: Path, environment: Mapping[str, str]) -> Iterator[Ingestor]:
    started = Ingestor(home, environment)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
