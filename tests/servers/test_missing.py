"""Tests of a server whose program is missing: skipped by name, or failed where servers are demanded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = "tests/servers/test_servers.py::test_prometheus_scrapes_who_it_is_told_to"


@pytest.mark.parametrize(("demanded", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_missing_server_is_named(demanded: str, outcome: str, tmp_path: Path) -> None:
    nothing_here = {
        "PATH": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "HOMEOSTAT_REQUIRE_SERVERS": demanded,
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-r", "sE", "-p", "no:cacheprovider", TEST],
        cwd=ROOT,
        env={**os.environ, **nothing_here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout
    assert "prometheus is not installed; on Debian and Ubuntu: apt-get install prometheus" in done.stdout
