"""A product that is no example, through the whole demo on the embedded stack: real files, real MLflow, real Feast."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from homeostat.bootstrap import embedded_stack, serve_metrics
from homeostat.contract.load import load_contract
from homeostat.metric_names import METRICS
from homeostat.replay.ahead import IngestAhead
from homeostat.replay.demo import run_demo
from homeostat.replay.recording import Recording

CONTRACT = Path(__file__).with_name("turbines.yaml")

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_stream: Callable[..., Recording]) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copy(CONTRACT, folder / "contract.yaml")
    stream = make_stream(days=14, rows_a_day=300, change_day=8)
    with IngestAhead(folder / "contract.yaml", folder) as ingestor:
        run_demo(load_contract(folder / "contract.yaml"), stream, folder, ingestor, seed=1, metrics_port=0)
    return folder


def homeostat(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("homeostat")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_figures_are_all_there(home: Path) -> None:
    figures = json.loads((home / "report.json").read_text())
    assert figures["rows"] == 14 * 300
    for model in ("healed", "frozen", "monthly"):
        assert {"log_loss", "auc", "retrains"} <= set(figures[model])
    assert set(figures["windows"]) == {"healthy", "drifted", "unknown"}
    assert {"ingest", "predict", "join", "detect", "train", "judge"} <= set(figures["stage_s"])
    assert figures["promotions"] >= 1
    assert figures["quarantined_rows"] == 0
    assert figures["cost_usd_per_1k_predictions"] > 0
    assert 0 < figures["peak_rss_mib"] < 3000


def test_the_page_stands_alone(home: Path) -> None:
    page = (home / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_status_says_who_serves(home: Path) -> None:
    done = homeostat("status", "--home", home, "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["product"] == "turbines"
    assert status["champion"]


def test_the_log_verifies_until_somebody_edits_it(home: Path, tmp_path: Path) -> None:
    assert homeostat("log", "--home", home, "--verify").returncode == 0
    copy = tmp_path / "edited"
    shutil.copytree(home, copy)
    with sqlite3.connect(copy / "homeostat.db") as database:
        database.execute("DROP TRIGGER ledger_takes_no_update")
        database.execute("UPDATE ledger SET payload = replace(payload, 'champion', 'Champion') WHERE seq = 2")
    done = homeostat("log", "--home", copy, "--verify")
    assert done.returncode == 4
    assert "2" in done.stderr


def test_a_folder_without_a_product_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = homeostat("status", "--home", tmp_path)
    assert done.returncode == 1
    assert "homeostat demo" in done.stderr


def test_the_running_system_serves_its_metrics_on_loopback(home: Path) -> None:
    stack = embedded_stack(load_contract(home / "contract.yaml"), home)
    with serve_metrics(stack, 0) as port, urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert all(f"# HELP {metric.name.removesuffix('_total')}" in text for metric in METRICS)
