"""Answers the retrain requests that wait, and ends: a training as a job, on a machine that may be taken away.

``python -m pipelines.retrain``, told by ``HOMEOSTAT_...`` variables what to work on. A job that was killed half-way
is done again by the next one, which goes on in the same study where both have the same ``HOMEOSTAT_HOME``.
"""

import logging
import sys

from homeostat.bootstrap import build_workers
from homeostat.processes.service import Service, run

_log = logging.getLogger("homeostat.retrain")


def retrain(service: Service) -> int:
    """Train until no request waits."""
    with service.stores():
        worker = build_workers(
            service.product.contract, service.product.stack, service.settings.seed, service.steps, service.hook
        )["train"]
    while answered := worker.run_once(service.clock.now()):
        _log.info("answered %d requests", answered)
    return 0


if __name__ == "__main__":
    sys.exit(run("trainer", retrain))
