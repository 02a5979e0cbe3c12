"""One step of the map in a process of its own, driven without a pause until it is told to end.

``python -m tests.benchmarks.one_step STEP``, told by ``HOMEOSTAT_...`` variables what to work on, as services are,
and with their life: what they ask of the garbage collector is a quarter of the work on single events.
"""

import sys
from datetime import UTC, datetime

from homeostat.bootstrap import LazyStack, build_workers
from homeostat.contract.load import load_contract
from homeostat.processes.life import Life, life
from homeostat.settings import Settings

_IDLE_S = 0.02


def main(step: str, mine: Life) -> None:
    mine.work()
    settings = Settings()
    assert settings.contract is not None
    contract = load_contract(settings.contract)
    stack = LazyStack(contract, settings.home, settings)
    worker = build_workers(contract, stack, settings.seed, (step,))[step]
    worker.restore(datetime.now(UTC))
    print("ready", flush=True)
    while not mine.over.is_set():
        if not worker.run_once(datetime.now(UTC)):
            mine.over.wait(_IDLE_S)


if __name__ == "__main__":
    with life() as mine:
        main(sys.argv[1], mine)
