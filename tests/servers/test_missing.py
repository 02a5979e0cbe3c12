"""Tests of a server whose program is missing: skipped by name, or failed where servers are demanded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRILL = "tests/real/test_drill.py::test_a_few_kills_of_processes_and_servers_lose_nothing"
SCRAPING = "tests/servers/test_servers.py::test_prometheus_scrapes_who_it_is_told_to"
CHECKING = "tests/architecture/test_deploy_prometheus.py::test_alertmanager_takes_its_configuration"


@pytest.mark.parametrize(
    ("test", "missing", "fails"),
    [
        (SCRAPING, ("prometheus", "prometheus"), "1 error"),
        (CHECKING, ("amtool", "prometheus-alertmanager"), "1 failed"),
        (DRILL, ("java", "default-jre-headless"), "1 error"),
    ],
    ids=["fixture", "program", "drill"],
)
@pytest.mark.parametrize("demanded", ["0", "1"])
def test_a_missing_server_is_named(
    test: str, missing: tuple[str, str], fails: str, demanded: str, tmp_path: Path
) -> None:
    nothing_here = {
        "PATH": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "HOMEOSTAT_REQUIRE_SERVERS": demanded,
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-r", "sE", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env={**os.environ, **nothing_here},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (fails if demanded == "1" else "1 skipped") in done.stdout
    assert "{} is not installed; on Debian and Ubuntu: apt-get install {}".format(*missing) in done.stdout
