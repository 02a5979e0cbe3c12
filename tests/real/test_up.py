"""`homeostat up` by its command: what a user sees."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .evidence import PRODUCT
from .running import Up, homeostat, started, until
from .traffic import event, label

CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    yield from started(Up(tmp_path_factory.mktemp("up") / "live", contract=CONTRACT))


def test_it_says_where_each_thing_is_and_each_is_there(up: Up) -> None:
    places = dict(line.rsplit("  ", 1) for line in up.screen().splitlines()[1:])
    places = {name.strip(): place.strip() for name, place in places.items()}
    assert places["API turbines"] == f"{up.url}/v1/turbines"
    assert httpx.get(places["docs"], timeout=60).status_code == 200
    assert httpx.get(f"{places['API turbines']}/status", timeout=60).json()["product"] == PRODUCT
    assert "homeostat_step_cpu_seconds_total" in httpx.get(places["metrics"], timeout=60).text
    assert {path.stem for path in Path(places["logs"]).iterdir()} == {"server", "keeper", "trainer", "mlflow_ui"}
    until(lambda: is_there(places["MLflow UI"]))
    assert str(up.process.pid) in places["stop"]


def is_there(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_events_labels_and_questions_are_answered(up: Up) -> None:
    route = f"/v1/{PRODUCT}"
    assert up.http.post(f"{route}/events", json={"events": [event("one", "t1")]}).json() == {"accepted": 1}
    assert up.http.post(f"{route}/labels", json={"labels": [label("one", fails=True)]}).status_code == 202
    answer = up.http.post(f"{route}/predict", json={"rows": [{"event": event("two", "t2")}, {"entity": "t1"}]})
    assert [p["entity"] for p in answer.json()["predictions"]] == ["t2", "t1"]
    assert all(p["arm"] == "none" and p["reason"] for p in answer.json()["predictions"])


def test_the_clock_is_the_machine_s_and_nobody_else_s(up: Up) -> None:
    assert up.http.get("/v1/clock").json()["mode"] == "system"
    answer = up.http.put("/v1/clock", json={"now": "2030-01-01T00:00:00Z"})
    assert answer.status_code == 409
    assert "--clock stream" in answer.json()["detail"]


def test_a_second_up_on_the_folder_is_refused(up: Up) -> None:
    done = homeostat("up", "--home", up.home, "--contract", CONTRACT)
    assert done.returncode == 1
    assert f"pid {up.process.pid}" in done.stderr
    assert "--home" in done.stderr


def test_a_taken_port_is_refused_before_anything_starts(up: Up, tmp_path: Path) -> None:
    port = up.instance["port"]
    done = homeostat("up", "--home", tmp_path, "--contract", CONTRACT, "--port", port, "--mlflow-port", "0")
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert not (tmp_path / "logs").exists()


def test_a_contract_that_changes_features_is_refused(up: Up, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(CONTRACT.read_text().replace("load * wind", "load + wind"))
    done = homeostat("up", "--home", up.home, "--contract", changed)
    assert done.returncode == 3
    assert "features.gust.expression" in done.stderr


def test_a_folder_without_a_product_asks_for_a_contract(tmp_path: Path) -> None:
    done = homeostat("up", "--home", tmp_path)
    assert done.returncode == 1
    assert "--contract FILE" in done.stderr
