"""The services by their commands, on embedded stores that they share: what a deployment does, and survives."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .deployment import PROCESSES, Deployment
from .evidence import PRODUCT, Evidence
from .running import until
from .traffic import Traffic

CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("deployed"), CONTRACT)
    try:
        deployment.wait_until_ready()
        yield deployment
    finally:
        codes = deployment.stop()
    assert set(codes.values()) == {0}, deployment.logs()


def test_every_process_of_the_map_has_its_service() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert folders == set(PROCESSES)


def test_each_process_shows_its_health_and_its_numbers(deployed: Deployment) -> None:
    for name, port in deployed.ports.items():
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").json() == {"status": "alive"}, name
        waits = f'homeostat_waiting_ratio{{process="{name}",product="{PRODUCT}"}} 0.0'
        assert waits in httpx.get(f"http://127.0.0.1:{port}/metrics").text, name


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_kill_of_each_process_under_traffic_loses_nothing_that_was_acknowledged(deployed: Deployment) -> None:
    traffic = Traffic(deployed.url)
    traffic.start()
    try:
        for process in PROCESSES:
            before = len(traffic.acknowledged.labels)
            deployed.kill(process)
            until(lambda: len(traffic.acknowledged.labels) > before, why=deployed.logs)  # noqa: B023 - used at once
        deployed.wait_until_ready()
    finally:
        traffic.stop()
    assert deployed.deaths == dict.fromkeys(PROCESSES, 1)
    assert not traffic.refused
    evidence = Evidence(deployed.home)
    until(
        lambda: not evidence.unread("detect", "decide", "judge", "alert"),
        why=lambda: (evidence.unread(), deployed.logs()),
    )
    evidence.check(traffic.acknowledged, traffic.tried)
    assert httpx.get(f"{deployed.url}/v1/{PRODUCT}/status").status_code == 200
