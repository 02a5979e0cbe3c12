"""kill -9 of an instance at random moments, under traffic, while a champion serves and trainings run."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest

from .evidence import Evidence
from .running import Up, homeostat, started, until
from .streams import contract_with, turbines, written
from .traffic import Traffic

CRASHES = int(environ.get("HOMEOSTAT_CRASHES", "6"))
VICTIMS = ("server", "keeper", "trainer", "supervisor")
LONGEST_S = 3.0 if CRASHES <= 6 else 12.0  # between two kills
TRIALS = 300  # a training lasts through several kills

pytestmark = pytest.mark.timeout(600 + 90 * CRASHES)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """An instance with a champion, whose trainings are long from now on."""
    file = written(turbines(12, 150, datetime.now(UTC) - timedelta(days=13)), tmp_path / "history.csv")
    quick = {"trials": 1, "min_rows": 300, "cold_start_after": "5d"}
    asked_for_alone = {"healing": {"confirm": 9}, "budget": {"max_trainings": 1_000}}
    contract = contract_with(tmp_path, training=quick, **asked_for_alone)
    done = homeostat("backfill", file, "--contract", contract, "--home", tmp_path / "live")
    assert done.returncode == 0, done.stdout + done.stderr
    contract = contract_with(tmp_path, training={**quick, "trials": TRIALS}, **asked_for_alone)
    yield from started(Up(tmp_path / "live", contract=contract))


def victims(crashes: int) -> list[str]:
    """Who is killed when: everybody once in each four, in random order, so that nobody dies too often in a minute."""
    rng = np.random.default_rng(7)
    rounds = [rng.permutation(VICTIMS).tolist() for _ in range(-(-crashes // len(VICTIMS)))]
    return [victim for once in rounds for victim in once][:crashes]


class Trainings:
    """Trainings asked for one after the other, by the command."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._asking: Thread | None = None

    @property
    def ended(self) -> int:
        return len({record.run_id for record in self._evidence.records("training_runs")})

    def keep_on(self, home: Path) -> None:
        """Ask for one if none is under way."""
        asking = self._asking is not None and self._asking.is_alive()
        if not asking and not any((self._evidence.home / "work").glob("*.study")):
            words = ("retrain", "--home", home, "--by", "a test")
            self._asking = Thread(target=homeostat, args=words, daemon=True)
            self._asking.start()


def test_kills_at_random_moments_under_traffic_lose_nothing_that_was_acknowledged(
    up: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    home, port = up.home, up.instance["port"]
    evidence = Evidence(home)
    evidence.begin()
    trainings, traffic = Trainings(evidence), Traffic(up.url)
    traffic.start()
    rng = np.random.default_rng(11)

    def goes_on() -> None:
        before = len(traffic.acknowledged.labels)
        until(lambda: len(traffic.acknowledged.labels) > before, why=up.screen)

    try:
        for victim in victims(CRASHES):
            trainings.keep_on(home)
            sleep(rng.uniform(0.2, LONGEST_S))
            if victim == "supervisor":
                up.kill_supervisor()
                up = Up(home, "--port", port)  # the folder knows its products
            else:
                up.kill(victim)
        goes_on()
        assert up.stop() == 0, up.screen()  # under traffic: what was accepted is finished, the rest is turned away
        up = Up(home, "--port", port)
        goes_on()
        traffic.stop()
        until(lambda: not evidence.unread("detect"), why=lambda: (evidence.unread(), up.screen()))
        until(lambda: trainings.ended, why=up.screen)  # one that was killed has gone on
        assert up.stop() == 0, up.screen()
    finally:
        traffic.stop()
        if up.process.poll() is None:
            up.kill_supervisor()
    assert not traffic.refused
    assert traffic.arms.keys() <= {"champion", "challenger"}  # nobody was ever left without a model
    evidence.check(traffic.acknowledged, traffic.tried)
    killed = ", ".join(f"{name} {count}" for name, count in Counter(victims(CRASHES)).items())
    answered = ", ".join(f"{arm} {count}" for arm, count in traffic.arms.items())
    verified = f"ledger: {evidence.ledger_entries()} entries verified; {trainings.ended} trainings ended"
    with capsys.disabled():  # a receipt for whoever looks on
        head = f"killed: {killed}; answered by: {answered}"
        sys.stdout.write("\n".join(["", head, *evidence.counts(traffic.acknowledged), verified, ""]))
