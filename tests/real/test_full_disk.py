"""A disk that is full or away: work stops, says why, loses nothing, and goes on by itself."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from homeostat import worker
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.bootstrap import LazyStack, build_workers
from homeostat.contract.load import load_contract
from homeostat.errors import TransientError
from homeostat.flow import topic_name
from homeostat.metric_names import CONSUMER_LAG, WAITING
from homeostat.ports import NewMessage
from homeostat.processes.instance import Heartbeat, run_folder
from homeostat.processes.keeper import BackOff
from homeostat.processes.patience import WaitGauge
from homeostat.records import Case
from homeostat.settings import Settings
from homeostat.tabular import json_rows
from homeostat.worker import Worker

from .disks import fill

CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"
BEGIN = datetime(2030, 1, 7, tzinfo=UTC)
ROWS = 300
DISK_MIB = 24


@pytest.fixture
def disk(make_disk: Callable[[int], Path]) -> Path:
    """A small disk of its own."""
    return make_disk(DISK_MIB)


@pytest.fixture(autouse=True)
def prompt_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lag is looked at each time, not now and then."""
    monkeypatch.setattr(worker, "_LAG_S", 0.0)


class Driven:
    """One worker as a process's rounds, without their pauses."""

    def __init__(self, driven: Worker) -> None:
        self.product = driven.row.step
        self.run = driven.run_once


class Site:
    """A product's ingestor and joiner, the offline store on one disk, event log and online store perhaps on another."""

    def __init__(self, folder: Path, others: Path) -> None:
        contract = load_contract(CONTRACT)
        self._folders = (folder, others)
        self.product = contract.product
        self.telemetry = PrometheusTelemetry()
        self.stack = LazyStack(contract, folder / "home", Settings().without_servers(), self.telemetry)
        servers = LazyStack(contract, others, Settings().without_servers())
        self.stack.__dict__.update(log=servers.log, online=servers.online)
        self._now = BEGIN + timedelta(days=1)
        self._sent = 0
        workers = build_workers(contract, self.stack, 7, ("ingest", "archive"))
        self.steps = {
            name: BackOff(Driven(made), WaitGauge(self.telemetry, self.product, name))  # type: ignore[arg-type]
            for name, made in workers.items()
        }

    def restarted(self) -> "Site":
        """The same with processes that begin now."""
        again = Site(*self._folders)
        again._sent = self._sent
        return again

    def send(self, rows: int = ROWS) -> None:
        """Put events into the log."""
        number = pl.Series(range(self._sent, self._sent + rows))
        events = pl.DataFrame(
            {
                "event_id": "e" + number.cast(pl.String),
                "event_time": number.cast(pl.Duration("ms")) + BEGIN,
                "turbine": "t" + (number % 40).cast(pl.String),
                "maker": ["acme"] * rows,
                "load": number / 7,
                "wind": number / 3,
            }
        )
        topic = topic_name(self.product, "raw_events")
        self.stack.log.append([NewMessage(topic, value) for value in json_rows(events)], self._now)
        self._sent += rows

    def work(self) -> None:
        for step in self.steps.values():
            step._until = 0.0  # what it would wait for is over
            step.run(self._now)

    @property
    def troubles(self) -> dict[str, str]:
        """What ``/readyz`` says of each process that does not work."""
        return {name: step.trouble for name, step in self.steps.items() if step.trouble}

    def lag(self, step: str, topic: str) -> float:
        return self._shown(CONSUMER_LAG, f'step="{step}"', f'topic="{topic}"')

    def waits(self, step: str) -> bool:
        """What rings in the end."""
        return bool(self._shown(WAITING, f'process="{step}"'))

    def _shown(self, name: str, *labels: str) -> float:
        text = self.telemetry.render().decode()
        (line,) = [line for line in text.splitlines() if line.startswith(name) and all(part in line for part in labels)]
        return float(line.rsplit(" ", 1)[1])

    def assert_whole(self) -> None:
        """Each event sent is in the offline store, once."""
        paths = list((self.stack._home / "feast" / "features").rglob("*.parquet"))
        stored = pl.concat([pl.read_parquet(path, columns=["event_id"]) for path in paths])["event_id"]
        assert set(stored) == {f"e{i}" for i in range(self._sent)}
        assert stored.n_unique() == len(stored)


def full(disk: Path) -> Callable[[], object]:
    ballast = fill(disk)
    return ballast.unlink


def lost(disk: Path) -> Callable[[], object]:
    features, away = disk / "home" / "feast" / "features", disk / "away"
    features.rename(away)
    return lambda: away.replace(features)


@pytest.mark.parametrize(
    ("fault", "said", "began"),
    [
        (full, "No space left on device", "before"),
        (full, "No space left on device", "meanwhile"),
        (lost, "features is lost", "before"),
        (lost, "features is lost", "meanwhile"),
    ],
)
def test_a_store_that_cannot_be_written_stops_work_until_it_can(
    disk: Path, tmp_path: Path, fault: Callable[[Path], Callable[[], object]], said: str, began: str
) -> None:
    site = Site(disk, tmp_path / "servers")
    site.send()
    site.work()
    assert site.troubles == {}
    mend = fault(disk)
    site.send()
    if began == "meanwhile":
        site = site.restarted()
    for _ in range(3):
        site.work()
    assert said in site.troubles["archive"]
    assert "it goes on once" in site.troubles["archive"]
    assert site.lag("archive", "features") > 0
    assert site.waits("archive")
    mend()
    site.work()
    assert site.troubles == {}
    assert not site.waits("archive")
    site.assert_whole()


def test_a_full_disk_under_the_embedded_event_log_takes_nothing_in_and_goes_on(disk: Path) -> None:
    site = Site(disk, disk / "home")
    site.send()
    site.work()
    ballast = fill(disk)
    with pytest.raises(TransientError, match="the disk is full; nothing of this call was stored"):
        site.send(20_000)
    site.work()
    ballast.unlink()
    site.send()
    site.work()
    assert site.troubles == {}
    site.assert_whole()


def test_on_a_full_disk_case_and_ledger_ask_for_patience_and_hold_what_was_acknowledged(disk: Path) -> None:
    url = f"sqlite:///{disk}/decisions.db"
    cases, ledger = SqlCases(url, "turbines"), SqlLedger(url, "turbines")
    saved = cases.save(Case(reason="kept"))
    kept = ledger.append("kept", BEGIN, "open", {})
    ballast = fill(disk)
    for use in (
        lambda: cases.save(saved),
        lambda: ledger.append("new", BEGIN, "open", {}),
        lambda: SqlCases(f"sqlite:///{disk}/more.db", "turbines"),
    ):
        with pytest.raises(TransientError, match="the disk is full; nothing of this call was stored"):
            use()
    assert cases.load() == saved
    assert ledger.entries() == [kept]
    ballast.unlink()
    assert cases.save(saved).revision == 2
    assert ledger.append("new", BEGIN, "open", {}).seq == ledger.verify() == 2


def test_a_process_without_room_for_a_sign_of_life_goes_on_and_gives_the_next_one(disk: Path) -> None:
    run_folder(disk).mkdir()
    heartbeat = Heartbeat(disk, "keeper", 42)
    heartbeat.beat(BEGIN, None)
    ballast = fill(disk)
    heartbeat.beat(BEGIN, BEGIN)
    said = run_folder(disk) / "keeper.json"
    assert json.loads(said.read_text())["passed"] is None
    ballast.unlink()
    heartbeat.beat(BEGIN, BEGIN)
    assert json.loads(said.read_text())["passed"] == BEGIN.isoformat()
