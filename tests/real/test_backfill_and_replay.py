"""From a file to a served model by the commands alone: backfill, up, replay."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import polars as pl
import pytest

from homeostat.processes.instance import exclusive, run_folder

CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"
START = datetime(2024, 1, 1, tzinfo=UTC)
DEADLINE_S = 240.0
LIVE_DAY = 8

pytestmark = pytest.mark.timeout(1200)


def homeostat(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("homeostat")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


def said(*words: str | Path) -> dict[str, Any]:
    done = homeostat(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data.csv, the days before the last one, and live.csv: as people keep such files."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    rows = 200 * (LIVE_DAY + 1)
    at = [START + timedelta(days=day) for day in np.sort(rng.uniform(0, LIVE_DAY + 1, rows))]
    load = rng.normal(0, 1, rows)
    table = pl.DataFrame(
        {
            "Turbine": [f"t{i % 40}" for i in range(rows)],
            "Maker": rng.choice(["acme", "bolt"], rows),
            "Load": load.round(3),
            "Wind": rng.normal(0, 1, rows).round(3),
            "Event time": [f"{time:%d.%m.%Y %H:%M:%S}" for time in at],
            "Fails": np.where(rng.uniform(size=rows) < 1 / (1 + np.exp(-1.5 * load)), "yes", "no"),
        }
    )
    live = pl.Series([time >= START + timedelta(days=LIVE_DAY) for time in at])
    table.filter(~live).write_csv(folder / "data.csv", separator=";")
    table.filter(live).write_csv(folder / "live.csv", separator=";")
    return folder


@pytest.fixture(scope="module")
def home(folder: Path) -> Path:
    return folder / "home"


@pytest.fixture(scope="module")
def loaded(folder: Path, home: Path) -> dict[str, Any]:
    return said("backfill", folder / "data.csv", "--contract", CONTRACT, "--home", home)


@pytest.fixture
def running(loaded: dict[str, Any], home: Path) -> Iterator[None]:
    command = [str(Path(sys.executable).with_name("homeostat")), "up", "--home", str(home)]
    with (home / "up.txt").open("w") as output:
        process = subprocess.Popen(
            [*command, "--clock", "stream", "--port", "0", "--mlflow-port", "0"], stdout=output, stderr=output
        )
    try:
        deadline = monotonic() + DEADLINE_S
        while "\nstop " not in (home / "up.txt").read_text():
            assert process.poll() is None, (home / "up.txt").read_text()
            assert monotonic() < deadline
            sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_a_file_becomes_a_champion_that_serves_at_once(
    loaded: dict[str, Any], folder: Path, home: Path, running: None
) -> None:
    assert loaded["champion"] == "1"
    assert (loaded["events"], loaded["labels"], loaded["refused"]) == (loaded["file_rows"], loaded["file_rows"], 0)
    assert json.loads((home / "clock.json").read_text())["now"] == loaded["ended"]
    sent = said("replay", folder / "live.csv", "--home", home, "--predict")
    assert sent["events"] == sent["predictions"] == sent["file_rows"]
    assert (sent["unscored"], sent["refused"], sent["too_early"]) == (0, 0, 0)
    assert sent["p99_ms"] > 0

    refused = homeostat("backfill", folder / "data.csv", "--home", home)
    assert refused.returncode == 1
    assert "an instance runs on" in refused.stderr


def test_a_backfill_waits_for_nobody_who_holds_the_folder(folder: Path, tmp_path: Path) -> None:
    with exclusive(run_folder(tmp_path) / "up.lock") as held:
        assert held
        done = homeostat("backfill", folder / "data.csv", "--contract", CONTRACT, "--home", tmp_path)
    assert done.returncode == 1
    assert "an instance runs on" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--speed", "fast"), "--speed fast: expected a number like 1000x, or max"),
        (("--batch", "soon"), "--batch soon: expected a whole number"),
        (("--from", "soon"), "--from soon: expected a time like 2024-05-01"),
    ],
)
def test_an_option_that_is_wrong_is_told(folder: Path, words: tuple[str, str], text: str) -> None:
    done = homeostat("replay", folder / "live.csv", "--contract", CONTRACT, "--url", "http://127.0.0.1:9", *words)
    assert done.returncode == 1
    assert text in done.stderr
