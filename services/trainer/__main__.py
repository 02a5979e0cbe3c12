"""The trainer: looks for a better model when one is asked for.

``python -m services.trainer``, told by ``HOMEOSTAT_...`` variables what to work on. It may be ended at any moment:
the next one goes on in the same study.
"""

import sys

from homeostat.bootstrap import build_workers
from homeostat.processes.service import Service, run, watched
from homeostat.processes.trainer import run_trainings


def train(service: Service) -> int:
    """Answer retrain requests until the end."""
    contract, stack = service.product.contract, service.product.stack
    with service.stores():
        workers = build_workers(contract, stack, service.settings.seed, service.steps, service.hook)
    with watched(service, lambda: None):
        run_trainings({contract.product: workers["train"]}, service.clock, pass_s=0.5)
    return 0


if __name__ == "__main__":
    sys.exit(run("trainer", train))
