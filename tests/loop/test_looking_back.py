"""Looking back at a product on real files: a rehearsal of a file and of a log, and the pages of its drift."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import pytest
from typer.testing import CliRunner

from homeostat.bootstrap import embedded_stack, ledger_of
from homeostat.cli.main import app
from homeostat.codec import encode
from homeostat.contract.load import load_contract
from homeostat.flow import topic_name
from homeostat.inspection.drift_page import FILE
from homeostat.ports import NewMessage
from homeostat.processes.drift_pages import DriftPages, put_page
from homeostat.records import TrainingRun
from homeostat.tail import Tail
from tests.real.running import until
from tests.real.streams import TURBINES, turbines, written

START, END = datetime(2030, 1, 7, tzinfo=UTC), datetime(2030, 2, 7, tzinfo=UTC)
TURNS = "2030-01-15"

pytestmark = pytest.mark.timeout(1200)


def homeostat(*words: str | Path) -> str:
    """Run a command in this process, which then imports Feast, MLflow and Evidently once."""
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the rehearsal of a recorded file leaves behind when it is kept."""
    folder = tmp_path_factory.mktemp("back")
    recorded = written(turbines(14, 300, START, turns_every=8), folder / "turbines.csv")
    kept = folder / "kept"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOMEOSTAT_ALERTS__FILE", str(folder / "people"))
        said = homeostat("rehearse", recorded, "--contract", TURBINES, "--output", kept, "--seed", "1")
    assert "healed minus doing nothing" in said
    assert "data incidents: 0" in said
    assert re.search(r"candidate, promote 2030-01-.* USD: drift in 1", said)
    return kept


def test_the_alerts_of_a_rehearsal_reach_nobody(home: Path) -> None:
    assert (home / "alerts.jsonl").exists()
    assert not (home.parent / "people").exists()


def outside(page: str) -> list[str]:
    """Whatever a browser would fetch for a page."""
    return re.findall(r"<(?:script|img|iframe)[^>]* src=[\"']?https?:|<link[^>]* href=[\"']?https?:|@import url", page)


def test_the_log_of_what_was_rehearsed_makes_the_same_decisions_and_is_only_read(home: Path) -> None:
    before = blake2b((home / "log.db").read_bytes()).digest()
    told = json.loads(homeostat("rehearse", "--home", home, "--seed", "1", "--json").splitlines()[-1])
    assert blake2b((home / "log.db").read_bytes()).digest() == before
    entries = ledger_of(load_contract(home / "contract.yaml"), home).entries()
    opened = [entry.at.isoformat() for entry in entries if entry.kind == "case_opened"]
    assert [told["first_champion"]["at"], *(case["at"] for case in told["retrainings"])] == opened
    promoted = [entry.at.isoformat() for entry in entries if entry.kind == "promote"]
    decided = [case["decided_at"] for case in told["retrainings"] if case["decision"] == "promote"]
    assert [told["first_champion"]["at"], *decided] == promoted
    assert told["alarms"][0]["since"] > TURNS
    assert not list(Path(home).glob("homeostat-rehearsal-*"))


def test_the_last_look_is_a_page_that_stands_alone(home: Path, tmp_path: Path) -> None:
    homeostat("drift", "--home", home, "--html", tmp_path / "look.html")
    page = (tmp_path / "look.html").read_text()
    look = json.loads(homeostat("drift", "--home", home, "--json", "--last", "50").splitlines()[0])
    assert look["report_id"]
    assert outside(page) == []
    for told in (
        "limits by thresholds",
        "what the champion learned from",
        "may differ",
        "<td>load</td>",
        "root_metric",
    ):
        assert told in page


def test_any_window_is_a_page_judged_by_the_champion_of_then(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "window.html"
    homeostat("drift", "--home", home, "--html", file, "--from", "2030-01-14", "--to", "2030-01-15T12:00")
    page = file.read_text()
    assert "Drift of version 1" in page
    assert "2030-01-14 00:0" in page
    homeostat("drift", "--home", home, "--html", file, "--window", "2030-01-16")
    assert "2030-01-13 00:00" in file.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2031-01-01", "--to", "2031-01-02"), "keeps no row that a champion served"),
        (("--from", "2030-01-16"), "expected both"),
        (("--from", "2030-01-16", "--to", "2030-01-15"), "expected a time before --to"),
    ],
)
def test_a_window_that_can_not_be_shown_says_why(
    home: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        homeostat("drift", "--home", home, "--html", tmp_path / "none.html", *options)


def drifted_versions(home: Path) -> Iterator[TrainingRun]:
    contract = load_contract(home / "contract.yaml")
    for _, run in Tail(embedded_stack(contract, home).log, contract.product).after("training_runs"):
        if isinstance(run, TrainingRun) and run.version and run.receipt["report_id"]:
            yield run


def test_the_drift_that_led_to_a_version_is_a_page_among_its_artifacts(home: Path) -> None:
    run = next(drifted_versions(home))
    put_page(home / "contract.yaml", home, str(run.version))
    pages = list(home.rglob(FILE))
    assert len(pages) == 1
    assert (pages[0].parent / "model" / "drift_report.json").exists()
    assert "Drift of version 1: drifted" in pages[0].read_text()
    assert pages[0].stat().st_size < 10 << 20


def test_a_process_of_its_own_makes_a_page_that_waited_when_the_trainer_ended(home: Path) -> None:
    contract = load_contract(home / "contract.yaml")
    log = embedded_stack(contract, home).log
    dies = DriftPages(home, home / "contract.yaml", home, contract.product, log)
    log.append([NewMessage(topic_name(contract.product, "training_runs"), *encode(next(drifted_versions(home))))], END)
    for made_before in home.rglob(FILE):
        made_before.unlink()
    dies.follow()  # and no more: the page waits when its process ends
    pages = DriftPages(home, home / "contract.yaml", home, contract.product, log)
    until(lambda: not pages.go_on(), 600)
    assert len(list(home.rglob(FILE))) == 1
