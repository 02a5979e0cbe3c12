"""The server: the HTTP API, and behind it ingestion and prediction of all products of an instance.

``python -m homeostat.processes.server HOME``
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import uvicorn

from homeostat.api import Limits, Measured, Served, build_app, guarded_gate
from homeostat.bootstrap import instance_clock, mlflow_page, oidc_tokens, process_telemetry, sight_of
from homeostat.inspection import Onlooker
from homeostat.inspection.instance import heartbeats
from homeostat.inspection.numbers import numbers_in
from homeostat.processes.clock_desk import ClockDesk
from homeostat.processes.crash import crash_hook
from homeostat.processes.instance import CLOCK, Heartbeat, Instance
from homeostat.processes.life import Life, life
from homeostat.processes.one_write import OneWriteProtocol
from homeostat.processes.patience import waits_of
from homeostat.processes.stores import Product, open_products
from homeostat.serving import Front, build_front
from homeostat.serving import Limits as FrontLimits
from homeostat.settings import Settings

_BEAT_S = 0.5
_DRAIN_S = 10  # for requests in hand

_log = logging.getLogger("homeostat.server")


class Status:
    """What the status page of one product says; one request at a time looks, as it remembers what it has read."""

    def __init__(self, product: Product, now: Callable[[], datetime], metrics: Callable[[], bytes]) -> None:
        """Take the product, its clock, and where its numbers are."""
        self._product = product
        self._now = now
        self._metrics = metrics
        self._lock = Lock()

    def __call__(self) -> dict[str, Any]:
        """Return it, ready for JSON."""
        with self._lock:
            numbers = numbers_in(self._metrics().decode(), self._product.contract.product)
            return self._onlooker.status(self._now(), numbers, heartbeats(self._product.home))

    @cached_property
    def _onlooker(self) -> Onlooker:
        """Opened when first asked: serving goes on while the database of cases is away."""
        return Onlooker(self._product.contract, sight_of(self._product.contract, self._product.home))


Show = Callable[[str, bool], object]  # of a product, whether it waits for a server or a disk


class Watch(Thread):
    """Gives signs of life, and ends the server when a front has failed: the next process starts anew from the log."""

    def __init__(
        self, fronts: Mapping[str, Front], heartbeat: Heartbeat, end: Callable[[], object], show: Show
    ) -> None:
        """Take what is watched, how to end the server, and who shows of a product whether it waits."""
        super().__init__(name="watch", daemon=True)
        self._show = show
        self._fronts = fronts
        self._heartbeat = heartbeat
        self._end = end
        self._over = Event()
        self.failed = False

    def run(self) -> None:
        """Watch until the end."""
        while not self._over.wait(_BEAT_S):
            for name, front in self._fronts.items():
                self._show(name, front.waits)
            passed = [front.passed for front in self._fronts.values()]
            known = [time for time in passed if time is not None]
            self._heartbeat.beat(datetime.now(UTC), min(known) if len(known) == len(passed) else None)
            if not self.failed and any(front.failure for front in self._fronts.values()):
                self.failed = True
                self._end()

    def stop(self) -> None:
        """End the watch."""
        self._over.set()


def main(home: Path) -> int:
    """Serve an instance until it shall end, and return the exit code."""
    with life(home) as mine:
        instance, settings = Instance.load(home), Settings()
        telemetry = process_telemetry()
        products = open_products(home, instance, telemetry)
        clock = instance_clock(home / CLOCK if instance.clock == "stream" else None)
        limits = FrontLimits(waiting_s=settings.most_wait_ms / 1000)
        front = partial(build_front, clock=clock, limits=limits, hook=crash_hook(settings.crash_at))
        fronts = {name: front(product.contract, product.stack) for name, product in products.items()}
        desk = ClockDesk(home, instance.clock, list(fronts.values()), [p.stack.log for p in products.values()])
        mlflow = settings.mlflow_url or instance.mlflow_url
        served = {
            name: Served(
                fronts[name],
                Status(product, clock.now, telemetry.render),
                partial(getattr, product.stack, "ledger"),
                mlflow_page(product.contract, mlflow),
            )
            for name, product in products.items()
        }
        gate = guarded_gate(settings, oidc_tokens(settings), instance.host, "--host")
        app = build_app(served, desk, telemetry.render, Limits(gate=gate))
        config = uvicorn.Config(
            Measured(app, {name: product.contract for name, product in products.items()}, telemetry),
            host=instance.host,
            port=instance.port,
            http=OneWriteProtocol,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        return serve(
            uvicorn.Server(config),
            fronts,
            Heartbeat(home, "server", os.getpid()),
            mine,
            waits_of(telemetry, products, "server"),
        )


def serve(server: uvicorn.Server, fronts: Mapping[str, Front], heartbeat: Heartbeat, mine: Life, show: Show) -> int:
    """Run fronts and web server; requests in hand are answered, then what the fronts have taken is finished."""

    def end() -> None:
        server.should_exit = True

    for front in fronts.values():
        front.start()
    watch = Watch(fronts, heartbeat, end, show)
    watch.start()
    mine.work(end)
    _log.info("serving %s", ", ".join(fronts))
    server.run()
    for front in fronts.values():
        front.stop()
    watch.stop()
    for name, front in fronts.items():
        if front.failure is not None:
            _log.error("%s: the front failed", name, exc_info=front.failure)
    _log.info("ended")
    return int(watch.failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
