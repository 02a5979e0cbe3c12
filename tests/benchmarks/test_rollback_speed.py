"""How long a bad model still answers after a rollback was decided: a real MLflow server, a healer, a follower."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import pytest

from deploy.servers import Mlflow
from tests.real.operated import House

pytestmark = pytest.mark.bench
ROUNDS = 8
MOST_S = 1.0


@pytest.fixture
def house(mlflow_server: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", mlflow_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", mlflow_server.password)
    with House(mlflow_server.url, tmp_path / "house") as house:
        house.first_champion()
        yield house


def seconds_until(house: House, champion: str, since: float) -> float:
    deadline = monotonic() + 60
    while house.champion() != champion:
        assert monotonic() < deadline, house.story()
        sleep(0.005)
    return monotonic() - since


@pytest.mark.timeout(1200)
def test_a_rolled_back_model_gives_its_last_answer_within_a_second(house: House) -> None:
    good, bad = "1", house.canary()
    house.asked("approve", bad)
    seconds_until(house, bad, 0.0)
    asked_s, decided_s = [], []
    for _ in range(ROUNDS):
        while house.cases.load().on_trial or house.cases.load().champion != bad:
            sleep(0.05)
        sleep(1.0)  # nothing else is under way
        asked = monotonic()
        house.asked("rollback", bad)
        asked_s.append(seconds_until(house, good, asked))
        followed = datetime.now(UTC)
        while house.cases.load().champion != good:
            sleep(0.05)
        decided_s.append((followed - house.last().at).total_seconds())
        house.registry.set_alias("champion", bad)  # a person brings it back
        seconds_until(house, bad, 0.0)
    for what, took in (("the decision", decided_s), ("the operator's request", asked_s)):
        print(f"\nfrom {what} to the last answer by the bad model: median {median(took):.2f} s, most {max(took):.2f} s")
    assert max(decided_s) < MOST_S
