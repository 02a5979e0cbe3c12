"""A process of a deployment: the steps that the map gives it, for one product, on the servers in the settings.

Each is watched over HTTP: ``/healthz``, ``/readyz`` and ``/metrics``.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from threading import Thread

import uvicorn
from pydantic import ValidationError

from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.api import WEBHOOK_PATH, Knocks, add_webhook, build_watched
from homeostat.bootstrap import (
    LazyStack,
    build_lane,
    build_workers,
    follow_registry,
    instance_clock,
    process_telemetry,
    product_home,
    share,
)
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.flow import FLOW
from homeostat.ports import Clock
from homeostat.processes.crash import crash_hook
from homeostat.processes.instance import Heartbeat
from homeostat.processes.keeper import BackOff, keep
from homeostat.processes.life import Life, life
from homeostat.processes.one_write import OneWriteProtocol
from homeostat.processes.patience import Patience, WaitGauge
from homeostat.processes.rounds import Rounds
from homeostat.processes.stores import Product, alone_at_stores
from homeostat.settings import Settings
from homeostat.worker import Hook, Runner, Worker

_log = logging.getLogger("homeostat.service")


@dataclass(frozen=True, slots=True)
class Service:
    """What a process of a deployment works with."""

    process: str
    settings: Settings
    product: Product
    telemetry: PrometheusTelemetry
    clock: Clock
    hook: Hook
    life: Life
    patience: Patience = field(default_factory=Patience)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of the map that are this process's."""
        return tuple(row.step for row in FLOW if row.process == self.process)

    def workers(self) -> dict[str, Runner]:
        """Return the workers of its steps with their memory, once the servers that they need answer.

        What several processes offer to run is shared among them by lanes.
        """
        contract, stack, settings = self.product.contract, self.product.stack, self.settings

        def make(step: str) -> Worker:
            return build_workers(contract, stack, settings.seed, (step,), self.hook)[step]

        in_lane = partial(build_lane, contract, stack, self.hook)

        def ready(step: str) -> Runner:
            with self.stores():
                worker = share(step, contract, settings, partial(make, step), in_lane if step == "ingest" else None)
            worker.restore(self.clock.now())
            return worker

        return {step: self.patience.until_done(partial(ready, step)) for step in self.steps}

    @contextmanager
    def stores(self) -> Iterator[None]:
        """Open ports within this block: embedded files are made by one process at a time."""
        with alone_at_stores(self.settings.home) if self.settings.mlflow is None else nullcontext():
            yield

    @property
    def heartbeat(self) -> Heartbeat:
        """Where signs of life go."""
        return Heartbeat(self.settings.home, self.process, os.getpid())


def run(process: str, work: Callable[[Service], int]) -> int:
    """Open the product's stores, do the process's work until SIGTERM, and return the exit code.

    Args:
        process: Its name in the map.
        work: Runs until the service's life is over.
    """
    with life() as mine:
        try:
            return work(_service(process, _settings(), mine))
        except HomeostatError as error:
            _log.error("%s: %s", process, error)
            return 1


def run_rounds(service: Service) -> int:
    """Run the steps of a process in rounds, watched over HTTP."""
    turn = Turn(service)
    with watched(service, turn.missing, turn.wake):
        turn.run()
    return 0


class Turn:
    """The rounds of a process: they begin with its steps' memory and last until its end."""

    def __init__(self, service: Service, look: Callable[[], object] = lambda: None) -> None:
        """Take what the process works with, and what is called before each pass."""
        self._service = service
        self._look = look
        self._back_off: BackOff | None = None

    def missing(self) -> str | None:
        """Return what it waits for, None when it works."""
        return self._service.patience.missing if self._back_off is None else self._back_off.trouble

    def wake(self) -> None:
        """Look at the registry in the next round."""
        if self._back_off is not None:
            self._back_off.rounds.wake()

    def run(self) -> None:
        """Give the steps their memory, then run rounds."""
        service, patiently = self._service, self._service.patience.until_done
        product = service.product
        rounds = patiently(partial(Rounds, product, service.telemetry, service.workers()))
        patiently(partial(follow_registry, product.contract, service.settings, service.process, WEBHOOK_PATH))
        service.life.work()
        self._back_off = BackOff(rounds, service.patience.show, self._look)
        _log.info("%s: %s for %s", service.process, ", ".join(service.steps), product.contract.product)
        keep([self._back_off], service.clock, service.heartbeat, service.life, promptly=False)


@contextmanager
def watched(
    service: Service,
    missing: Callable[[], str | None],
    wake: Callable[[], object] | None = None,
    *,
    will_serve: bool = False,
    part: Callable[[], str] | None = None,
) -> Iterator[None]:
    """Answer ``/healthz``, ``/readyz`` and ``/metrics`` for the length of a ``with`` block.

    Args:
        service: Whose numbers, and where.
        missing: Says what the process waits for, None when it works.
        wake: Called when MLflow's server says that something was edited, where the settings let it say so.
        will_serve: Whether another application answers requests here after the block: they are told to come back.
        part: Says what part the process plays while it waits for nothing.
    """
    product, mlflow = service.product.contract.product, service.settings.mlflow
    app = build_watched({product: missing}, service.telemetry.render, will_serve=will_serve, part=part)
    if wake is not None and mlflow is not None and mlflow.webhook_secret is not None:
        add_webhook(app, Knocks(mlflow.webhook_secret.get_secret_value()), wake, service.telemetry, product)
    server = uvicorn.Server(web_config(app, service.settings))
    thread = Thread(target=server.run, name="watched", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def web_config(app: object, settings: Settings) -> uvicorn.Config:
    """Return how a process's web application is served."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application
        host=settings.host,
        port=settings.port,
        http=OneWriteProtocol,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=10,
    )


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"HOMEOSTAT_{'__'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise HomeostatError("\n".join(wrong)) from None  # the original shows secrets


def _service(process: str, settings: Settings, mine: Life) -> Service:
    contract_file = settings.contract
    if contract_file is None:
        raise HomeostatError("HOMEOSTAT_CONTRACT is not set: it names the contract's YAML file")
    contract = load_contract(contract_file)
    home = product_home(settings.home, contract.product)
    telemetry = process_telemetry()
    return Service(
        process=process,
        settings=settings,
        product=Product(contract, LazyStack(contract, home, settings, telemetry), home),
        telemetry=telemetry,
        clock=instance_clock(None),
        hook=crash_hook(settings.crash_at),
        life=mine,
        patience=Patience(WaitGauge(telemetry, contract.product, process)),
    )
