"""Every panel and mark of the dashboards, asked of a real Prometheus that scraped a whole healing case."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import yaml

from dashboards.build import documents
from deploy.servers import Prometheus
from tests.real.running import HOMEOSTAT, Up, started, until

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "tests" / "loop" / "turbines.yaml"
START = datetime(2030, 1, 7, tzinfo=UTC)
DAYS, CHANGE_DAY, ROWS_A_DAY = 15.5, 9.5, 400  # the first look after the change sees too little, the second enough
PATIENCE_S = 600.0  # for a replay of half a minute, on a machine that is busy with other tests
HAPPENED_NOT = {"Rollback"}  # marks of what this case does not hold
MACROS = {"$__rate_interval": "30s", "$product": "turbines", "${datasource}": "prometheus"}

pytestmark = pytest.mark.timeout(900)


def series(prometheus: Prometheus, query: str, since: float) -> list[dict[str, Any]]:
    """The series that a panel's query gave at any time since then."""
    for macro, value in MACROS.items():
        query = query.replace(macro, value)
    span = {"start": since, "end": time(), "step": 1}
    answer = httpx.get(f"{prometheus.url}/api/v1/query_range", params={"query": query, **span}, timeout=60)
    assert answer.is_success, f"{query}: {answer.text}"
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return [one for one in found if any(value != "NaN" for _, value in one["values"])]


def recorded(folder: Path) -> Path:
    """A file whose truth turns round after some days: what was safe before fails after."""
    rng = np.random.default_rng(3)
    rows = int(DAYS * ROWS_A_DAY)
    day = np.sort(rng.uniform(0, DAYS, rows))
    changed = day >= CHANGE_DAY
    load, wind = rng.normal(0, 1, rows) + 0.8 * changed, rng.normal(0, 1, rows)
    logit = np.where(changed, -1.6, 1.6) * load + 0.8 * wind - 0.5
    known = day + rng.uniform(1, 20, rows) / 24
    table = {
        "turbine": [f"t{i % 40}" for i in range(rows)],
        "maker": rng.choice(["acme", "bolt"], rows),
        "load": load,
        "wind": wind,
        "sound": [json.dumps(sound) for sound in rng.normal(0, 1, (rows, 4)).round(3).tolist()],
        "fails": np.where(rng.uniform(size=rows) < 1 / (1 + np.exp(-logit)), "yes", "no"),
        "event_time": [(START + timedelta(days=float(at))).isoformat() for at in day],
        "label_time": [(START + timedelta(days=float(at))).isoformat() for at in known],
    }
    pl.DataFrame(table).write_csv(folder / "data.csv")
    return folder / "data.csv"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("panels")
    contract = yaml.safe_load(CONTRACT.read_text()) | {"budget": {"usd_per_1k_predictions": 0.01}}
    contract["event"]["fields"]["sound"] = {"type": "vector", "size": 4}
    contract["features"]["sound"] = {"field": "sound"}
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
    yield from started(Up(folder / "home", "--clock", "stream", contract=folder / "contract.yaml"))


@pytest.fixture(scope="module")
def prometheus(up: Up, module_server: Callable[..., Prometheus]) -> Prometheus:
    server = module_server("prometheus", rules=[ROOT / "deploy" / "prometheus" / "rules" / "*.yml"])
    server.scrape({"all": up.url.removeprefix("http://")})
    return server


@pytest.fixture(scope="module")
def begun(up: Up, prometheus: Prometheus) -> float:
    """When the case that was played began."""
    begun = time()
    until(lambda: series(prometheus, "up == 1", begun))
    data = recorded(up.home.parent)
    command = [HOMEOSTAT, "replay", data, "--home", up.home, "--predict", "--batch", "6h"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: series(prometheus, 'homeostat_decisions_total{action="promote"} >= 2', begun), why=up.screen)
    until(lambda: series(prometheus, "product:homeostat_sla_budget_left:ratio30d", begun))
    return begun


def panels() -> dict[str, str]:
    """The queries of all panels by what they are called."""
    return {
        f"{name}: {panel['title']}: {target['legendFormat']}": target["expr"]
        for name, text in documents().items()
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", ())
    }


def marks() -> dict[str, str]:
    """The queries of all marks of the story, by name."""
    boards = [json.loads(text) for text in documents().values()]
    return {mark["name"]: mark["expr"] for board in boards for mark in board["annotations"].get("list", ())}


def test_every_panel_shows_a_series(prometheus: Prometheus, begun: float) -> None:
    empty = [name for name, query in panels().items() if not series(prometheus, query, begun)]
    assert len(panels()) > 40
    assert empty == []


@pytest.mark.parametrize("title", ["Freshness: age", "In this state for: {{product}}"])
def test_ages_are_those_of_the_stream_though_its_clock_is_years_ahead(
    prometheus: Prometheus, begun: float, title: str
) -> None:
    [query] = [query for name, query in panels().items() if name.endswith(f": {title}")]
    ages = [float(value) for one in series(prometheus, query, begun) for _, value in one["values"]]
    assert ages
    assert all(-5 < age < DAYS * 86_400 for age in ages)


def test_every_mark_is_made_where_it_happened(prometheus: Prometheus, begun: float) -> None:
    assert {name for name, query in marks().items() if not series(prometheus, query, begun)} == HAPPENED_NOT


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus, begun: float) -> None:
    answer = httpx.get(f"{prometheus.url}/api/v1/rules").json()
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert rules
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
