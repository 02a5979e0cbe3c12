"""An alert on its whole way: a metric that Prometheus scrapes, a rule as deployed, Alertmanager, somebody's webhook."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from deploy.servers import Alertmanager, Prometheus

DEPLOY = Path(__file__).parents[2] / "deploy"
DEADLINE_S = 120.0
BROKEN = b'homeostat_data_incident_ratio{product="calls",kind="unit_change"} 1\n'


class World(ThreadingHTTPServer):
    """A process that is scraped, and who is told of alerts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, Any]] = []
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: World

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(BROKEN)

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made
        made.shutdown()


@pytest.fixture
def alertmanager(world: World, own_server: Callable[..., Alertmanager]) -> Alertmanager:
    config = DEPLOY / "alertmanager" / "alertmanager.yml"
    return own_server("alertmanager", config=config, webhook=f"http://{world.address}/")


def test_an_alert_of_a_deployed_rule_reaches_the_webhook(
    world: World, alertmanager: Alertmanager, own_server: Callable[..., Prometheus]
) -> None:
    rules = [DEPLOY / "prometheus" / "rules" / "*.yml"]
    server = own_server("prometheus", rules=rules, alertmanager=alertmanager.address)
    server.scrape({"detector": world.address})
    deadline = monotonic() + DEADLINE_S
    while not world.told:
        assert monotonic() < deadline, server.last_lines() + alertmanager.last_lines()
        sleep(0.1)
    (message,) = world.told[:1]
    assert (message["receiver"], message["status"]) == ("webhook", "firing")
    (alert,) = message["alerts"]
    labels = {"alertname": "DataBroken", "severity": "critical", "product": "calls", "kind": "unit_change"}
    assert alert["labels"] == labels
    assert alert["annotations"]["summary"] == "calls: the newest rows are broken: unit_change"


def test_the_fastest_burn_silences_the_slower_ones_of_its_product_alone(alertmanager: Alertmanager) -> None:
    now = datetime.now(UTC)
    names = [
        ("SlaBudgetBurnsFast", "calls"),
        ("SlaBudgetBurns", "calls"),
        ("SlaBudgetBurnsSlowly", "calls"),
        ("SlaBudgetBurns", "flights"),
        ("FeaturesStale", "calls"),
    ]
    alerts = [
        {
            "labels": {"alertname": name, "product": product, "severity": "critical"},
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
        }
        for name, product in names
    ]
    api = f"{alertmanager.url}/api/v2/alerts"
    assert httpx.post(api, json=alerts, timeout=60).is_success
    deadline, silenced = monotonic() + DEADLINE_S, set()
    while silenced != {("SlaBudgetBurns", "calls"), ("SlaBudgetBurnsSlowly", "calls")}:
        assert monotonic() < deadline, silenced
        sleep(0.1)
        found = httpx.get(api, timeout=60).json()
        silenced = {
            (one["labels"]["alertname"], one["labels"]["product"]) for one in found if one["status"]["inhibitedBy"]
        }
