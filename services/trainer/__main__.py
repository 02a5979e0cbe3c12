"""The trainer: looks for a better model when one is asked for.

``python -m services.trainer``, told by ``HOMEOSTAT_...`` variables what to work on. It may be ended at any moment:
the next one goes on in the same study.
"""

import sys

from homeostat.bootstrap import build_workers
from homeostat.processes.drift_pages import DriftPages
from homeostat.processes.service import Service, run, watched
from homeostat.processes.trainer import run_trainings


def train(service: Service) -> int:
    """Answer retrain requests until the end."""
    product, settings = service.product, service.settings
    name, stack = product.contract.product, product.stack
    with service.stores():
        workers = build_workers(product.contract, stack, settings.seed, service.steps, service.hook)
    pages = None
    if settings.drift_pages and settings.contract is not None:
        pages = {name: DriftPages(settings.home, settings.contract, product.home, name, stack.log)}
    with watched(service, lambda: None):
        run_trainings({name: workers["train"]}, service.clock, pass_s=0.5, pages=pages)
    return 0


if __name__ == "__main__":
    sys.exit(run("trainer", train))
