"""The trainer: looks for a better model when one is asked for.

``python -m services.trainer``, told by ``HOMEOSTAT_...`` variables what to work on. It may be ended at any moment:
the next one goes on in the same study.
"""

import sys
from functools import partial

from homeostat.processes.drift_pages import DriftPages
from homeostat.processes.patience import Waits
from homeostat.processes.service import Service, run, watched
from homeostat.processes.trainer import run_trainings


def train(service: Service) -> int:
    """Answer retrain requests until the end."""
    product, settings, patience = service.product, service.settings, service.patience
    name, stack = product.contract.product, product.stack
    works, waits = False, Waits(service.telemetry, [name], service.process)
    with watched(service, lambda: waits.troubles.get(name) if works else patience.missing):
        workers, pages = service.workers(), None
        if settings.drift_pages and settings.contract is not None:
            made = partial(DriftPages, settings.home, settings.contract, product.home, name, stack.log)
            pages = {name: patience.until_done(made)}
        works = True
        run_trainings({name: workers["train"]}, service.clock, pass_s=0.5, pages=pages, show=waits)
    return 0


if __name__ == "__main__":
    sys.exit(run("trainer", train))
