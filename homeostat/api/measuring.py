"""Counts requests and times them, held against what the contracts promise."""

from collections.abc import Mapping
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeostat.contract.model import Contract
from homeostat.metric_names import (
    BUDGET_PER_1K,
    CANARY_LIMIT,
    CPU_PRICE,
    REQUEST_LATENCY,
    REQUESTS,
    SLA_FRESHNESS,
    SLA_LATENCY,
    SLA_TARGET,
    SLOW_REQUESTS,
)
from homeostat.ports import Telemetry

PREDICT = "predict"
_ROUTES = ("events", "labels", PREDICT, "status")
_NO_ANSWER = 499  # the caller hung up before there was one


class Measured:
    """An ASGI application whose requests of products are counted."""

    def __init__(self, app: ASGIApp, contracts: Mapping[str, Contract], telemetry: Telemetry) -> None:
        """Take the application, the contracts by product, and publish what they promise."""
        self._app = app
        self._contracts = contracts
        self._telemetry = telemetry
        for contract in contracts.values():
            show_promises(contract, telemetry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it ended."""
        asked = self._asked(scope)
        if asked is None:
            await self._app(scope, receive, send)
            return
        status, started = _NO_ANSWER, perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._note(*asked, status, perf_counter() - started)

    def _asked(self, scope: Scope) -> tuple[str, str] | None:
        """Return product and route; what else a caller may ask for must not make a series of its own."""
        parts: list[str] = scope["path"].split("/") if scope["type"] == "http" else []
        known = len(parts) == 4 and parts[1] == "v1" and parts[2] in self._contracts and parts[3] in _ROUTES
        return (parts[2], parts[3]) if known else None

    def _note(self, product: str, route: str, status: int, seconds: float) -> None:
        self._telemetry.count(REQUESTS, product=product, route=route, status=str(status))
        self._telemetry.observe(REQUEST_LATENCY, seconds, product=product, route=route)
        late = status < 300 and seconds * 1000 > self._contracts[product].sla.latency_ms
        if late and route == PREDICT:
            self._telemetry.count(SLOW_REQUESTS, product=product, route=route)


def show_promises(contract: Contract, telemetry: Telemetry) -> None:
    """Publish the limits of a contract, so that alerts and dashboards have them from nowhere else."""
    product, sla = contract.product, contract.sla
    for status in ("200", "429", "503"):  # a counter that springs up at 1 has no rate: the first would be missed
        telemetry.count(REQUESTS, 0, product=product, route=PREDICT, status=status)
    telemetry.count(SLOW_REQUESTS, 0, product=product, route=PREDICT)
    telemetry.gauge(SLA_TARGET, sla.target_ratio, product=product)
    telemetry.gauge(SLA_LATENCY, sla.latency_ms / 1000, product=product)
    telemetry.gauge(SLA_FRESHNESS, sla.freshness.total_seconds(), product=product)
    telemetry.gauge(CANARY_LIMIT, contract.canary.max_duration.total_seconds(), product=product)
    telemetry.gauge(CPU_PRICE, contract.prices.usd_per_cpu_hour, product=product)
    if contract.budget.usd_per_1k_predictions is not None:
        telemetry.gauge(BUDGET_PER_1K, contract.budget.usd_per_1k_predictions, product=product)
