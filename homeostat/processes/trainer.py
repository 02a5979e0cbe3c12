"""The trainer: looks for a better model when one is asked for, with low priority and bounded threads.

``python -m homeostat.processes.trainer HOME``
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from homeostat.bootstrap import build_workers, instance_clock, process_telemetry
from homeostat.errors import TransientError
from homeostat.ports import Clock
from homeostat.processes.crash import crash_hook
from homeostat.processes.drift_pages import DriftPages
from homeostat.processes.instance import CLOCK, CONTRACT, Heartbeat, Instance
from homeostat.processes.life import life
from homeostat.processes.patience import Waits
from homeostat.processes.rounds import TRAINED
from homeostat.processes.stores import open_products
from homeostat.settings import Settings
from homeostat.worker import Runner

NICE = 10  # serving goes first wherever both want the same core
_PASS_S = 0.5
_STREAM_PASS_S = 0.05
_BEAT_S = 1.0

_log = logging.getLogger("homeostat.trainer")


def run_trainings(
    workers: Mapping[str, Runner],
    clock: Clock,
    pass_s: float,
    *,
    pages: Mapping[str, DriftPages] | None = None,
    show: Callable[[str, str | None], object] = lambda *_: None,
) -> None:
    """Answer retrain requests for ever: the process may be ended at any moment, its study goes on in the next one.

    Args:
        workers: By product.
        clock: Of the instance.
        pass_s: How long to wait between two looks for requests.
        pages: By product, what has the page of a drift made once its training has been answered.
        show: Told of each product what it waits for, None when nothing.
    """
    pause = Event()  # never set
    while True:
        wait_s = pass_s
        for product, worker in workers.items():
            page = pages[product] if pages else None
            try:
                if worker.run_once(clock.now()):
                    _log.info("%s: answered what was asked", product)
                    if page:
                        page.follow()
                if page:
                    page.go_on()
                show(product, None)
            except TransientError as error:
                _log.warning("%s: trying again: %s", product, error)
                show(product, str(error))
                wait_s = max(wait_s, error.retry_after_s)
        pause.wait(wait_s)


def main(home: Path) -> None:
    """Run the trainer of an instance until it is ended."""
    os.nice(NICE)
    with life(home):
        instance = Instance.load(home)
        stream = instance.clock == "stream"
        telemetry = process_telemetry()
        products = open_products(home, instance, telemetry)
        settings = Settings()
        hook = crash_hook(settings.crash_at)
        workers = {
            name: build_workers(p.contract, p.stack, instance.seed, TRAINED, hook)[TRAINED[0]]
            for name, p in products.items()
        }
        pages = {
            name: DriftPages(home, p.home / CONTRACT, p.home, name, p.stack.log)
            for name, p in products.items()
            if settings.drift_pages
        }
        _log.info("training for %s", ", ".join(workers))
        waits = Waits(telemetry, products, "trainer")
        Thread(target=_beat, args=(Heartbeat(home, "trainer", os.getpid()), waits), daemon=True).start()
        clock, pass_s = instance_clock(home / CLOCK if stream else None), _STREAM_PASS_S if stream else _PASS_S
        run_trainings(workers, clock, pass_s, pages=pages, show=waits)


def _beat(heartbeat: Heartbeat, waits: Waits) -> None:
    """Give signs of life beside a training of minutes."""
    pause = Event()  # never set
    while True:
        heartbeat.beat(datetime.now(UTC), None, waits=waits.troubles)
        pause.wait(_BEAT_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
