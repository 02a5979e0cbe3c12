"""Load on an HTTP server from a process of its own: connections that ask again as soon as they are answered.

Bare sockets and no HTTP library, so that the one who measures takes little of the machine; what it took, it says.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

ROOT = Path(__file__).parents[2]
_HEAD = b"POST %s HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class Load:
    """What is asked, by how many at once, and for how long."""

    port: int
    path: str
    bodies: Sequence[str]
    connections: int = 8
    seconds: float = 5.0


@dataclass
class Figures:
    """What came of it; latencies are those of the requests that were answered 200."""

    rate: float = 0.0  # such requests a second
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    without_retry_after: int = 0  # among the answers 429
    cpu_share: float = 0.0  # of one core, that asking took


class _Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            self._run.note(head, perf_counter() - self._asked_at)
            self._answer = b""
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._run.statuses["cut off"] += not self._run.over

    def _ask(self) -> None:
        if not self._run.over:
            self._asked_at = perf_counter()
            self._transport.write(next(self._run.requests))


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        bodies = [body.encode() for body in load.bodies]
        self.requests = cycle([_HEAD % (load.path.encode(), len(body), body) for body in bodies])
        self.took_s: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.without_retry_after = 0
        self.over = False

    def note(self, head: bytes, took_s: float) -> None:
        status = head[9:12].decode()
        self.statuses[status] += 1
        if status == "200":
            self.took_s.append(took_s)
        self.without_retry_after += status == "429" and b"retry-after:" not in head.lower()

    async def figures(self) -> Figures:
        loop = asyncio.get_running_loop()
        began, cpu_began = perf_counter(), process_time()
        for _ in range(self._load.connections):
            await loop.create_connection(lambda: _Caller(self), "127.0.0.1", self._load.port)
        await asyncio.sleep(self._load.seconds)
        self.over = True
        seconds, cpu_s = perf_counter() - began, process_time() - cpu_began
        p50, p99 = np.quantile(self.took_s or [np.nan], [0.5, 0.99]) * 1e3
        rate = len(self.took_s) / seconds
        return Figures(rate, p50, p99, dict(self.statuses), self.without_retry_after, cpu_s / seconds)


def put_on(load: Load) -> Figures:
    """Run a load to its end."""
    command = [sys.executable, "-m", "tests.benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), cwd=ROOT, capture_output=True, text=True, check=True)
    return Figures(**json.loads(done.stdout))


if __name__ == "__main__":
    import uvloop

    sys.stdout.write(json.dumps(asdict(uvloop.run(_Run(Load(**json.load(sys.stdin))).figures()))))
