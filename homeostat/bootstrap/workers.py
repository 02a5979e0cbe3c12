"""Puts workers under the steps."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from homeostat.bootstrap.stack import LazyStack, Ports
from homeostat.bootstrap.steps import build_step
from homeostat.contract.model import Contract
from homeostat.flow import FLOW, memory_span
from homeostat.ports import EventLog
from homeostat.settings import Settings
from homeostat.worker import Hook, Step, Worker, no_hook


class Lane(EventLog, Protocol):
    """The event log with one lane of the raw topics."""

    def holds(self, key: str) -> bool:
        """Return whether the events of an entity come by this lane."""


def build_workers(
    contract: Contract, stack: Ports, seed: int, steps: Collection[str], hook: Hook = no_hook
) -> dict[str, Worker]:
    """Return the workers of some steps in flow order, for a process that runs only these."""
    names = [row.step for row in FLOW if row.step in steps]
    return {name: build_worker(name, build_step(name, contract, stack, seed), contract, stack, hook) for name in names}


def build_worker(name: str, step: Step, contract: Contract, stack: Ports, hook: Hook = no_hook) -> Worker:
    """Return the worker of one step of the flow, around a step that the caller made."""
    row = next(row for row in FLOW if row.step == name)
    memory = memory_span(name, contract)
    return Worker(row, step, stack.log, stack.telemetry, product=contract.product, memory=memory, hook=hook)


def build_lane(contract: Contract, stack: Ports, hook: Hook, number: int, lane: Lane) -> Worker:
    """Return the worker of ingestion in one lane of the raw topics."""
    from homeostat.steps.ingest import IngestStep

    row = next(row for row in FLOW if row.step == "ingest")
    step = IngestStep(contract, stack.online, stack.telemetry, lane.holds, lane=number)
    memory = memory_span(row.step, contract)
    return Worker(row, step, lane, stack.telemetry, product=contract.product, memory=memory, hook=hook, lane=number)


def embedded_ingestor(contract: Contract, home: Path) -> Worker:
    """Return the ingest worker alone on the embedded stores below ``home``."""
    stack = LazyStack(contract, home, Settings().without_servers())
    return build_workers(contract, stack, 0, ("ingest",))["ingest"]
