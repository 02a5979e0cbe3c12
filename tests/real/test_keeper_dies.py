"""A keeper that dies at each look at drift: it is started again and again, and the champion serves all through."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat.metric_names import DOWN
from homeostat.processes.companions import WITHOUT

from .evidence import PRODUCT
from .running import Up, homeostat, started, until
from .streams import contract_with, turbines, written
from .traffic import event

DEATHS = 3

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """An instance with a champion, whose next look at drift is due and kills whoever takes it."""
    file = written(turbines(12, 150, datetime.now(UTC) - timedelta(days=13)), tmp_path / "history.csv")
    quick = {"trials": 1, "min_rows": 300, "cold_start_after": "5d"}
    contract = contract_with(tmp_path, training=quick)
    done = homeostat("backfill", file, "--contract", contract, "--home", tmp_path / "live")
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("HOMEOSTAT_CRASH_AT", "detect:read")
    yield from started(Up(tmp_path / "live", contract=contract_with(tmp_path, training=quick, drift={"every": "1m"})))


def test_serving_goes_on_without_its_keeper_and_says_so(up: Up) -> None:
    server = up.pid("server")
    until(lambda: up.screen().count("keeper was killed by SIGKILL") >= DEATHS, why=up.screen)
    assert up.screen().count("keeper keeps dying: serving goes on without") == 1
    until(lambda: "keeper" in readiness(up), why=up.screen)
    assert "times in a row" in readiness(up)["keeper"]
    shown = dict(line.rsplit(" ", 1) for line in up.http.get("/metrics").text.splitlines() if line.startswith(DOWN))
    labels = f'{DOWN}{{{{process="{{}}",product="{PRODUCT}"}}}}'
    assert shown == {labels.format(name): str(float(name == "keeper")) for name in WITHOUT}
    told = {one["process"]: one["down"] for one in up.http.get(f"/v1/{PRODUCT}/status").json()["processes"]}
    assert "times in a row" in told["keeper"]
    answer = up.http.post(f"/v1/{PRODUCT}/predict", json={"rows": [{"event": event("one", "t1")}]}).json()
    assert [found["arm"] for found in answer["predictions"]] == ["champion"]
    assert up.pid("server") == server
    assert up.stop() == 0, up.screen()


def readiness(up: Up) -> dict[str, str]:
    """What ails beside the server, which is ready all the same."""
    answer = up.http.get("/readyz")
    assert answer.status_code == 200, answer.text
    return dict(answer.json().get("degraded", {}))
