"""Telemetry of several processes: any of them shows the numbers of all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEAK = """
import sys
from prometheus_client import Counter
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.metric_names import DRIFT_PSI, PREDICTIONS, LATENCY
Counter("library_calls", "of a library that this process uses").inc()
telemetry = PrometheusTelemetry()
value = float(sys.argv[1])
arm = {"product": "parcels", "version": "3", "arm": "champion"}
telemetry.count(PREDICTIONS, value, **arm)
telemetry.gauge(DRIFT_PSI, value, product="parcels", feature="weight")
telemetry.observe(LATENCY, value, **arm)
"""
SHOW = """
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.metric_names import PREDICTIONS
telemetry = PrometheusTelemetry()
print(telemetry.render().decode())
print(telemetry.totals(PREDICTIONS, "arm", product="parcels"), telemetry.totals(PREDICTIONS, "arm", product="other"))
"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for words in (["5"], ["2"]):
        subprocess.run([sys.executable, "-c", SPEAK, *words], env=environment, check=True)
    (tmp_path / "counter_1.db").touch()  # what a process leaves that is killed as it makes its file
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_counts_of_processes_that_are_no_more_stay_and_add_up(page: str) -> None:
    assert 'homeostat_predictions_total{arm="champion",product="parcels",version="3"} 7.0' in page
    assert 'homeostat_prediction_latency_seconds_sum{arm="champion",product="parcels",version="3"} 7.0' in page
    assert page.splitlines()[-1] == "{'champion': 7.0} {}"


def test_of_a_gauge_the_last_word_counts(page: str) -> None:
    assert 'homeostat_drift_psi_ratio{feature="weight",product="parcels"} 2.0' in page


def test_what_libraries_count_is_not_ours_to_show(page: str) -> None:
    assert "library" not in page
    assert "# HELP homeostat_predictions_total Predictions served" in page
