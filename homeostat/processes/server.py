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
from homeostat.processes.companions import Companions
from homeostat.processes.crash import crash_hook
from homeostat.processes.instance import CLOCK, Heartbeat, Instance
from homeostat.processes.life import Life, life
from homeostat.processes.one_write import OneWriteProtocol
from homeostat.processes.patience import Waits
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


class Watch(Thread):
    """Gives signs of life, and ends the server when a front has failed: the next process starts anew from the log."""

    def __init__(
        self,
        server: uvicorn.Server,
        fronts: Mapping[str, Front],
        heartbeat: Heartbeat,
        waits: Waits,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        """Take server and fronts, who is told that they live and wait, and what else is looked at now and then."""
        super().__init__(name="watch", daemon=True)
        self.server = server
        self.fronts = fronts
        self.failed = False
        self._heartbeat = heartbeat
        self._waits = waits
        self._look = look
        self._over = Event()

    def run(self) -> None:
        """Watch until the end."""
        while not self._over.wait(_BEAT_S):
            for name, front in self.fronts.items():
                self._waits(name, front.waits)
            passed = [front.passed for front in self.fronts.values()]
            known = [time for time in passed if time is not None]
            at = min(known) if len(known) == len(passed) else None
            self._heartbeat.beat(datetime.now(UTC), at, waits=self._waits.troubles)
            if not self.failed and any(front.failure for front in self.fronts.values()):
                self.failed = True
                self.end()
            self._look()

    def end(self) -> None:
        """Let the server answer the requests in hand and end."""
        self.server.should_exit = True

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
        work = FrontLimits(waiting_s=settings.most_wait_ms / 1000)
        front = partial(build_front, clock=clock, limits=work, hook=crash_hook(settings.crash_at))
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
        companions = Companions(home, products, telemetry)
        limits = Limits(gate=gate)
        app = build_app(served, desk, telemetry.render, limits, degraded=lambda: companions.troubles)
        config = uvicorn.Config(
            Measured(app, {name: product.contract for name, product in products.items()}, telemetry),
            host=instance.host,
            port=instance.port,
            http=OneWriteProtocol,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        heartbeat, waits = Heartbeat(home, "server", os.getpid()), Waits(telemetry, products, "server")
        return serve(Watch(uvicorn.Server(config), fronts, heartbeat, waits, companions.look), mine)


def serve(watch: Watch, mine: Life) -> int:
    """Run fronts and web server; requests in hand are answered, then what the fronts have taken is finished."""
    fronts = watch.fronts
    for front in fronts.values():
        front.start()
    watch.start()
    mine.work(watch.end)
    _log.info("serving %s", ", ".join(fronts))
    watch.server.run()
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
