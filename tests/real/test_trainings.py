"""Trainings of a running instance: one that is killed goes on, and of two products one leaves the other alone."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from homeostat.flow import FLOW, topic_name
from homeostat.records import TrainingRun

from .evidence import Evidence
from .running import Up, homeostat, started, until
from .streams import contract_with, turbines, written

ONE, OTHER = "turbines", "windmills"
TRIALS = 300  # a search of some 20 s: long enough to be killed in the middle, twice
MORE_BYTES = 2_000  # several trials in the journal of a study
WAIT_S = 300
TRAINED = [topic for row in FLOW if row.step in {"decide", "train", "judge", "promote"} for topic in row.produces]

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of two products that have a champion and history; the first one searches long from now on."""
    folder = tmp_path_factory.mktemp("trained")
    file = written(turbines(12, 150, datetime.now(UTC) - timedelta(days=13)), folder / "history.csv")
    quick = {"trials": 1, "min_rows": 300, "cold_start_after": "5d"}
    calm = {"confirm": 9}  # no alarm begins a training that the test didn't ask for
    for product in (ONE, OTHER):
        contract = contract_with(folder, product, training=quick, healing=calm)
        done = homeostat("backfill", file, "--contract", contract, "--home", folder / "live")
        assert done.returncode == 0, done.stdout + done.stderr
    return [contract_with(folder, ONE, training={**quick, "trials": TRIALS}, healing=calm), folder / f"{OTHER}.yaml"]


@pytest.fixture(scope="module")
def up(contracts: list[Path]) -> Iterator[Up]:
    one, other = contracts
    yield from started(Up(one.parent / "live", "--contract", other, contract=one))


@dataclass(frozen=True)
class State:
    """What a product has come to: who serves, its case, what was decided and trained."""

    status: object
    ledger: int
    ends: dict[str, int]
    work: set[str]


def state_of(up: Up, product: str) -> State:
    evidence = Evidence(up.home, product)
    said = up.http.get(f"/v1/{product}/status").json()
    return State(
        {key: said[key] for key in ("champion", "champion_since", "challenger", "previous", "case", "decisions")},
        evidence.ledger_entries(),
        {topic: len(set(map(repr, evidence.records(topic)))) for topic in TRAINED},  # a new process says its last again
        {path.name for path in (evidence.home / "work").iterdir()},
    )


def answer(up: Up, product: str, event_id: str) -> dict[str, object]:
    event = {"event_id": event_id, "event_time": datetime.now(UTC).isoformat(), "turbine": "t1", "maker": "acme"}
    rows = [{"event": event | {"load": 0.3, "wind": -0.2}}]
    said = up.http.post(f"/v1/{product}/predict", json={"rows": rows})
    assert said.status_code == 200, said.text
    return dict(said.json()["predictions"][0])


def test_two_products_are_served_side_by_side(up: Up) -> None:
    assert set(up.instance["products"]) == {ONE, OTHER}
    for product in (ONE, OTHER):
        assert answer(up, product, "first")["score"] is not None
    assert {path.name for path in (up.home / "artifacts").iterdir()} == {ONE, OTHER}
    for product in (ONE, OTHER):
        rows = {record.event_id for record in Evidence(up.home, product).records("features")}
        assert "first" in rows


class Journal(Thread):
    """Follows the study of a training from its first line to its last: a study that begins anew loses lines."""

    def __init__(self, work: Path) -> None:
        super().__init__(daemon=True)
        self.content = b""
        self.began_anew = False
        self._work = work
        self._over = Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            with suppress(OSError):  # none yet, or none any more
                found = b"".join(study.read_bytes() for study in self._work.glob("*.study"))
                whole = found[: found.rfind(b"\n") + 1]
                self.began_anew |= bool(whole) and not whole.startswith(self.content)
                self.content = whole or self.content

    def goes_on(self) -> None:
        """Wait until some more trials are in it."""
        there = len(self.content)
        until(lambda: len(self.content) > there + MORE_BYTES, WAIT_S)

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_a_training_that_is_killed_goes_on_in_its_study_and_the_other_product_does_not_notice(up: Up) -> None:
    before = state_of(up, OTHER)
    evidence = Evidence(up.home, ONE)
    topic = topic_name(ONE, "training_runs")
    runs = evidence.log.end(topic)
    journal = Journal(evidence.home / "work")
    journal.start()
    asked = Thread(target=homeostat, args=("retrain", "--home", up.home, "--product", ONE, "--by", "a test"))
    asked.start()  # a command takes seconds of imports, in which the training would go far
    try:
        journal.goes_on()
        up.kill("trainer")
        journal.goes_on()
        up.kill_supervisor()
        assert evidence.log.end(topic) == runs, "it was killed too late to show anything"
        up = Up(up.home)  # the folder knows its products
        assert answer(up, ONE, "meanwhile")["score"] is not None
        until(lambda: evidence.log.end(topic) > runs, WAIT_S, up.screen)
        run = evidence.records("training_runs")[-1]
        assert isinstance(run, TrainingRun)
        assert len(json.loads(json.dumps(run.receipt))["trials"]) == TRIALS
        assert not journal.began_anew
        assert answer(up, OTHER, "after")["score"] is not None
        assert state_of(up, OTHER) == before
    finally:
        journal.stop()
        asked.join()
        if up.process.poll() is None:
            up.kill_supervisor()
