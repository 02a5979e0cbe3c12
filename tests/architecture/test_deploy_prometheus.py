import os
import subprocess
from pathlib import Path

import pytest

from deploy.servers.program import MissingProgramError, find_program

DEPLOY = Path(__file__).parents[2] / "deploy"
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*_test.yml"))


def tool(name: str, package: str) -> str:
    try:
        return find_program(name, package)
    except MissingProgramError as error:
        if os.environ.get("HOMEOSTAT_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(error))


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules() -> None:
    run(tool("promtool", "prometheus"), "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
def test_the_rules_ring_when_they_should_and_not_before(path: Path) -> None:
    run(tool("promtool", "prometheus"), "test", "rules", path)


def test_alertmanager_takes_its_configuration() -> None:
    run(tool("amtool", "prometheus-alertmanager"), "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")
