"""A stack without servers and files: what tests put under the steps."""

from pathlib import Path

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryLog, MemoryRegistry, MemoryTelemetry
from homeostat.adapters.memory_features import MemoryOfflineFeatures, MemoryOnlineFeatures
from homeostat.bootstrap import Stack
from homeostat.contract.model import Contract
from homeostat.ports import EventLog


def memory_stack(contract: Contract, workdir: Path, log: EventLog | None = None) -> Stack:
    """Return every port in memory, the log too where none is given."""
    return Stack(
        log=MemoryLog() if log is None else log,
        online=MemoryOnlineFeatures(),
        offline=MemoryOfflineFeatures(contract),
        registry=MemoryRegistry(),
        cases=MemoryCases(),
        ledger=MemoryLedger(),
        telemetry=MemoryTelemetry(),
        workdir=workdir,
    )
