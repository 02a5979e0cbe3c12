import asyncio
from typing import Any

import httpx
import pytest

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.api import Measured
from homeostat.api.measuring import show_promises
from homeostat.contract.policies import BudgetPolicy, SlaPolicy
from homeostat.errors import OverloadedError
from homeostat.metric_names import BUDGET_PER_1K, REQUEST_LATENCY, REQUESTS, SLA_TARGET, SLOW_REQUESTS
from tests.homeostat.api.conftest import CONTRACT, Door, event, make_app


@pytest.fixture
def telemetry() -> MemoryTelemetry:
    return MemoryTelemetry()


def posted(telemetry: MemoryTelemetry, door: Any, path: str, *, latency_ms: float = 60_000.0) -> int:
    contract = CONTRACT.model_copy(update={"sla": SlaPolicy(latency_ms=latency_ms)})
    app = Measured(make_app(door), {contract.product: contract}, telemetry)

    async def send() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            return (await client.post(path, json={"rows": [{"event": event(1)}]})).status_code

    return asyncio.run(send())


def test_a_prediction_is_counted_and_timed(telemetry: MemoryTelemetry) -> None:
    assert posted(telemetry, Door(), "/v1/calls/predict") == 200
    assert telemetry.value(REQUESTS, product="calls", route="predict", status="200") == 1
    assert len(telemetry.observations(REQUEST_LATENCY, product="calls", route="predict")) == 1
    assert telemetry.value(SLOW_REQUESTS, product="calls", route="predict") == 0


def test_a_prediction_later_than_promised_is_counted_as_slow(telemetry: MemoryTelemetry) -> None:
    posted(telemetry, Door(), "/v1/calls/predict", latency_ms=1e-6)
    assert telemetry.value(SLOW_REQUESTS, product="calls", route="predict") == 1


def test_a_refusal_is_counted_by_its_status_and_never_as_slow(telemetry: MemoryTelemetry) -> None:
    class Full(Door):
        def predict(self, rows: Any) -> Any:
            raise OverloadedError("full", 1.0)

    assert posted(telemetry, Full(), "/v1/calls/predict", latency_ms=1e-6) == 429
    assert telemetry.value(REQUESTS, product="calls", route="predict", status="429") == 1
    assert telemetry.value(SLOW_REQUESTS, product="calls", route="predict") == 0


@pytest.mark.parametrize("path", ["/v1/nobody/predict", "/v1/calls/nothing", "/v1/calls/predict/more", "/healthz"])
def test_what_is_no_route_of_a_product_makes_no_series(telemetry: MemoryTelemetry, path: str) -> None:
    posted(telemetry, Door(), path)
    assert not [name for name, _ in telemetry._observations if name == REQUEST_LATENCY]


def test_the_promises_of_a_contract_are_published(telemetry: MemoryTelemetry) -> None:
    budget = BudgetPolicy(usd_per_1k_predictions=0.02)
    show_promises(CONTRACT.model_copy(update={"budget": budget}), telemetry)
    assert telemetry.value(SLA_TARGET, product="calls") == CONTRACT.sla.target_ratio
    assert telemetry.value(BUDGET_PER_1K, product="calls") == 0.02


def test_a_product_without_a_budget_publishes_none(telemetry: MemoryTelemetry) -> None:
    show_promises(CONTRACT, telemetry)
    assert telemetry.value(BUDGET_PER_1K, product="calls") is None
