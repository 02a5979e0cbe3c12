"""Ingestion in a process of its own, one batch ahead: what a deployment does, and what uses the second core.

Features depend on events and labels alone, never on who serves, so the ingestor may work on the next batch
while this one is scored. Order and result are the same as in one process: no worker reads a message from
after its own clock, and each batch is waited for before the steps behind it see its time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW
from homeostat.replay.memory import peak_rss_mib

GIVE_UP_S = 300.0  # a batch takes some 50 ms, the import of Feast up to a minute on a busy machine


@dataclass(frozen=True, slots=True)
class _Done:
    """What the ingestor has done so far."""

    moved: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    published: int = 0
    peak_rss_mib: float = 0.0
    error: str = ""


class IngestAhead:
    """Stands in the loop where the ingest worker stands; ``ahead`` feeds the batch after the one just done."""

    def __init__(self, contract: Path, home: Path) -> None:
        """Start the process on the stores below ``home``."""
        context = get_context("spawn")
        self.row = FLOW[0]
        self.ahead: Callable[[], object] = lambda: None
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contract, home), daemon=True)
        self._process.start()
        theirs.close()
        self._begun: datetime | None = None
        self._done = _Done()

    def __enter__(self) -> Self:
        """Give the running process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    @property
    def wall_s(self) -> float:
        """Wall seconds spent on batches, most of them beside the other steps'."""
        return self._done.wall_s

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent on batches."""
        return self._done.cpu_s

    @property
    def published(self) -> int:
        """Messages published."""
        return self._done.published

    @property
    def peak_rss_mib(self) -> float:
        """The most memory the process held."""
        return self._done.peak_rss_mib

    def begin(self, now: datetime) -> None:
        """Let the process ingest what is in the log up to ``now``."""
        self._pipe.send(now)
        self._begun = now

    def run_once(self, now: datetime) -> int:
        """Wait until everything up to ``now`` is ingested, then start what comes after it.

        Raises:
            HomeostatError: The process failed or died.
        """
        if self._begun != now:
            self.begin(now)
        try:
            if not self._pipe.poll(GIVE_UP_S):
                raise HomeostatError(f"the ingestor gave no answer for {GIVE_UP_S:.0f} s")
            self._done = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise HomeostatError("the ingestor died; its own message is above") from error
        if self._done.error:
            raise HomeostatError(f"the ingestor failed: {self._done.error}")
        self.ahead()
        return self._done.moved

    def restore(self, now: datetime) -> None:
        """Need nothing: the process restores itself from the log."""


def _serve(pipe: Connection, contract: Path, home: Path) -> None:
    # Feast takes seconds to import: here, so that the parent can start this process before it imports the same
    from homeostat.bootstrap import embedded_ingestor  # noqa: PLC0415

    worker = embedded_ingestor(load_contract(contract), home)
    while True:
        try:
            now = pipe.recv()
        except (EOFError, ConnectionError):  # the replay has ended
            return
        try:
            moved, error = worker.run_once(now), ""
        except HomeostatError as failure:
            moved, error = 0, str(failure)
        pipe.send(_Done(moved, worker.wall_s, worker.cpu_s, worker.published, peak_rss_mib(), error))
