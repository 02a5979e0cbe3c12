"""The offline store's folder is away when a process starts: it waits for what was there, and begins nothing anew."""

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat.adapters.feast_features.parts import FOUNDED
from homeostat.bootstrap import LazyStack, build_workers
from homeostat.codec import encode
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.processes.keeper import BackOff
from homeostat.records import Arm, FeatureRow, Outcome
from homeostat.settings import KafkaSettings, Settings
from homeostat.worker import Worker

from .process import CONTRACT, SOON_S, running
from .running import until

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
NOW = MONDAY + timedelta(days=2)
VALUES = ("acme", 1.0, 2.0, 2.0, None)
FOLDERS = ("features", "outcomes")


@pytest.fixture
def contract() -> Contract:
    made = load_contract(CONTRACT)
    return made.model_copy(update={"product": f"turbines_{secrets.token_hex(4)}"})


class Archived:
    """A product whose rows and outcomes are archived by one process after the other."""

    def __init__(self, contract: Contract, home: Path, settings: Settings) -> None:
        self._start = lambda: LazyStack(contract, home, settings)
        self._contract = contract
        self._sent = 0
        self.store = home / "feast"
        self.restart()

    def restart(self) -> None:
        self.stack = self._start()
        self.archive: BackOff | None = None

    def send(self) -> None:
        """One more row, and its outcome."""
        event, at = f"e{self._sent}", MONDAY + timedelta(minutes=self._sent)
        row = FeatureRow(event, "t1", at, VALUES)
        outcome = Outcome(event, "t1", at, at + timedelta(hours=10), 1.0, Arm.NONE, None, None)
        for topic, record in (("features", row), ("outcomes", outcome)):
            value, headers = encode(record)
            self.stack.log.append([NewMessage(topic_name(self._contract.product, topic), value, headers)], NOW)
        self._sent += 1

    def work(self) -> str | None:
        """What ``/readyz`` says after a round."""
        if self.archive is None:
            workers = build_workers(self._contract, self.stack, 7, ["archive"])
            self.archive = BackOff(Driven(workers["archive"]))  # type: ignore[arg-type]
        self.archive._until = 0.0  # what it would wait for is over
        self.archive.run(NOW)
        return self.archive.trouble

    def assert_whole(self) -> None:
        frame = self.stack.offline.training_frame(NOW)
        assert frame["event_id"].to_list() == [f"e{number}" for number in range(self._sent)]
        assert frame["load"].to_list() == [1.0] * self._sent


class Driven:
    """One worker as a process's rounds, without their pauses."""

    def __init__(self, driven: Worker) -> None:
        self.product = driven.row.step
        self.run = driven.run_once


@pytest.fixture
def archived(contract: Contract, tmp_path: Path) -> Archived:
    return begun(Archived(contract, tmp_path, Settings().without_servers()))


@pytest.fixture(params=["sqlite", "kafka"])
def logged(request: pytest.FixtureRequest, contract: Contract, tmp_path: Path) -> Iterator[Archived]:
    """On the embedded log, and on a broker, which knows of the rows when everything else of the home is gone."""
    settings = Settings().without_servers()
    if request.param == "kafka":
        brokers = request.getfixturevalue("kafka").brokers
        settings = settings.model_copy(update={"kafka": KafkaSettings(brokers=brokers, timeout_s=60)})
    made = begun(Archived(contract, tmp_path, settings))
    yield made
    if request.param == "kafka":
        made.stack.log.close()  # type: ignore[attr-defined]


def begun(made: Archived) -> Archived:
    for _ in range(2):
        made.send()
        assert made.work() is None
    return made


def renamed(folder: Path) -> Callable[[], object]:
    away = folder.with_name("away")
    folder.rename(away)
    return lambda: away.replace(folder)


def unmounted(folder: Path) -> Callable[[], object]:
    """Its disk is away: the empty folder that it was mounted on is there."""
    back = renamed(folder)
    folder.mkdir()
    return back


@pytest.mark.parametrize("fault", [renamed, unmounted])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_process_that_starts_without_the_folder_waits_for_it_and_loses_nothing(
    logged: Archived, name: str, fault: Callable[[Path], Callable[[], object]]
) -> None:
    folder = logged.store / name
    back = fault(folder)
    logged.send()
    for _ in range(2):
        logged.restart()
        said = logged.work()
        assert said is not None
        assert f"the offline store at {folder} is lost" in said
        assert "it goes on once the folder is back" in said
    assert not folder.exists() or not list(folder.iterdir())
    back()
    assert logged.work() is None
    logged.assert_whole()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_training_that_starts_without_the_folder_waits_too(archived: Archived, name: str) -> None:
    back = renamed(archived.store / name)
    archived.restart()
    with pytest.raises(TransientError, match=f"{name} is lost"):
        archived.stack.offline.training_frame(NOW)
    back()
    archived.assert_whole()


@pytest.mark.parametrize("name", FOLDERS)
def test_who_wants_to_begin_anew_does_as_the_message_says(archived: Archived, name: str) -> None:
    shutil.rmtree(archived.store / name)
    archived.restart()
    archived.send()
    said = archived.work()
    assert said is not None
    _, _, command = said.partition("without what was there: ")
    subprocess.run(["sh", "-c", command], check=True)
    assert archived.work() is None
    assert (archived.store / name / "2024-03-04").is_dir()


def test_a_store_that_retention_has_emptied_is_none_that_was_lost(archived: Archived) -> None:
    assert archived.stack.offline.forget(NOW + timedelta(weeks=9)) == 2
    assert [path.name for name in FOLDERS for path in (archived.store / name).iterdir()] == [FOUNDED, FOUNDED]
    archived.restart()
    archived.send()
    assert archived.work() is None
    frame = archived.stack.offline.training_frame(NOW)
    assert frame["event_id"].to_list() == ["e2"]


def test_a_store_of_an_older_release_is_known_by_its_rows(archived: Archived) -> None:
    for name in FOLDERS:
        (archived.store / name / FOUNDED).unlink()
    archived.restart()
    archived.send()
    assert archived.work() is None
    archived.assert_whole()
    assert archived.stack.offline.forget(NOW + timedelta(weeks=9)) == 2
    archived.restart()
    archived.send()
    assert archived.work() is None


def test_rows_that_came_with_their_outcomes_alone_are_missed_as_well(contract: Contract, tmp_path: Path) -> None:
    asked = Archived(contract, tmp_path, Settings().without_servers())
    outcome = Outcome("e0", "t1", MONDAY, MONDAY, 1.0, Arm.NONE, None, None, values=VALUES)
    value, headers = encode(outcome)
    asked.stack.log.append([NewMessage(topic_name(contract.product, "outcomes"), value, headers)], NOW)
    assert asked.work() is None
    renamed(asked.store / "features")
    asked.restart()
    assert asked.work() is None  # nothing has come, so nothing is looked for
    with pytest.raises(TransientError, match="features is lost"):
        asked.stack.offline.training_frame(NOW)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_joiner_says_at_readyz_which_folder_it_waits_for_and_goes_on_by_itself(tmp_path: Path, name: str) -> None:
    made = begun(Archived(load_contract(CONTRACT), tmp_path / "home/products/turbines", Settings().without_servers()))
    back = renamed(made.store / name)
    made.send()
    with running("joiner", tmp_path, {}) as service:
        until(lambda: "is lost" in service.asked("/readyz")[1], SOON_S, service.said)
        status, why = service.asked("/readyz")
        assert status == 503
        assert str(made.store / name) in why
        assert service.asked("/healthz")[0] == 200
        assert not (made.store / name).exists()
        back()
        until(lambda: service.asked("/readyz")[0] == 200, SOON_S, service.said)
