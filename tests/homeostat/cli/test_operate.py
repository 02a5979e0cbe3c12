"""An operator's commands against a real MLflow file, with the healer in a thread where an instance is to run."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.bootstrap import registry_of, sight_of
from homeostat.cli.main import app
from homeostat.contract.load import load_contract
from homeostat.ports import Aliases, ModelPackage, ModelRegistry
from homeostat.records import Case, CaseState
from homeostat.steps.decide import DecideStep
from homeostat.steps.judge import JudgeStep
from homeostat.steps.promote import PromoteStep

NOW = datetime(2030, 3, 1, tzinfo=UTC)
CONTRACT = {
    "product": "toys",
    "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
    "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
    "features": {"price": {"field": "price"}},
    "budget": {"max_trainings": 1, "per": "30d"},
}


def home_with_a_canary(home: Path) -> ModelRegistry:
    home.mkdir()
    (home / "contract.yaml").write_text(yaml.safe_dump(CONTRACT))
    contract = load_contract(home / "contract.yaml")
    registry = registry_of(contract, home)
    for request in ("first", "second"):
        registry.register(ModelPackage({"model.txt": b"tree"}), request)
    registry.set_alias("champion", "1")
    registry.set_alias("challenger", "2")
    sight = sight_of(contract, home)
    sight.cases.save(Case(CaseState.CANARY, request_id="second", challenger="2", since=NOW, trained_at=(NOW,)))
    return registry


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "toys"


@pytest.fixture
def registry(home: Path) -> ModelRegistry:
    return home_with_a_canary(home)


def heal(home: Path, over: Event) -> None:
    contract, telemetry = load_contract(home / "contract.yaml"), MemoryTelemetry()
    registry, sight = registry_of(contract, home), sight_of(contract, home)
    decide = DecideStep(contract, registry, sight.cases, sight.ledger, telemetry)
    judge = JudgeStep(contract, registry, sight.cases, telemetry)
    promote = PromoteStep(contract, registry, sight.cases, sight.ledger, telemetry)
    now = NOW
    while not over.wait(0.05):
        now += timedelta(seconds=1)
        decide.tick(now)
        promote.handle(judge.tick(now), now)
        promote.tick(now)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeostat.cli.operate.ANSWER_WAIT_S", 120.0)  # a machine that is busy with other tests


@contextmanager
def running(home: Path) -> Iterator[None]:
    """Let the healer run, and its process give a sign of life."""
    (home / "run").mkdir()
    beat = {"pid": os.getpid(), "at": datetime.now(UTC).isoformat(), "passed": None}
    (home / "run" / "keeper.json").write_text(json.dumps(beat))
    over = Event()
    healer = Thread(target=heal, args=(home, over))
    healer.start()
    try:
        yield
    finally:
        over.set()
        healer.join()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)


def last(home: Path) -> Any:
    entries = sight_of(load_contract(home / "contract.yaml"), home).ledger.entries()
    return [entry for entry in entries if entry.kind != "left_alone"][-1]


def test_an_approval_is_carried_out_while_the_operator_waits(home: Path, registry: ModelRegistry) -> None:
    with running(home):
        result = run("approve", "--home", home, "--by", "ann", "--reason", "the old one must go")
    assert (result.exit_code, result.stdout.strip()) == (0, "done: version 2 was promoted and serves now")
    assert registry.aliases() == Aliases("2", None, "1")
    assert (last(home).kind, last(home).actor) == ("promote", "operator:ann")
    assert last(home).payload["reason"].startswith("approved by ann: the old one must go")


@pytest.mark.parametrize(
    ("words", "states"),
    [(("hold", "reject"), ["done", "done"]), (("approve", "rollback", "retrain"), ["done", "done", "refused"])],
)
def test_a_script_reads_what_became_of_each_decision(
    home: Path, registry: ModelRegistry, words: Sequence[str], states: list[str]
) -> None:
    with running(home):
        results = [run(word, "--home", home, "--by", "ann", "--json") for word in words]
    assert [said(result)["state"] for result in results] == states
    assert [result.exit_code for result in results] == [int(state == "refused") for state in states]
    assert registry.aliases().champion == "1"
    assert registry.decisions() == []
    if "refused" in states:
        assert said(results[-1])["answer"].startswith("refused: 1 trainings within")


def test_a_decision_without_a_running_instance_waits_for_it(
    home: Path, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    result = run("hold", "--home", home, "--json")
    assert result.exit_code == 0
    assert said(result) == {
        "product": "toys", "decision": "hold", "version": "2", "by": "bob", "reason": None, "state": "open",
        "answer": None,
    }  # fmt: skip
    (decision,) = registry.decisions()
    assert (decision.version, decision.action, decision.by) == ("2", "hold", "bob")
    assert "it is carried out when `homeostat up` does" in run("hold", "--home", home).stdout
    with running(home):
        assert run("reject", "--home", home).stdout.startswith("done: ")


@pytest.mark.parametrize(
    ("word", "why"), [("rollback", "version 1 replaced nobody"), ("retrain", "approve or reject version 2")]
)
def test_what_is_plainly_impossible_is_refused_at_once(
    home: Path, registry: ModelRegistry, word: str, why: str
) -> None:
    result = run(word, "--home", home)
    assert result.exit_code == 1
    assert result.stderr.startswith("refused: ")
    assert why in result.stderr
    assert registry.decisions() == []


def test_without_a_challenger_there_is_nothing_to_approve(home: Path, registry: ModelRegistry) -> None:
    registry.set_alias("challenger", None)
    result = run("approve", "--home", home, "--json")
    assert result.exit_code == 1
    assert said(result)["answer"].startswith("refused: there is no canary")


def test_a_reason_that_is_too_long_is_refused(home: Path, registry: ModelRegistry) -> None:
    result = run("approve", "--home", home, "--reason", "x" * 1001)
    assert result.exit_code == 1
    assert "--reason: 1001 characters, expected at most 1000" in result.stderr


def test_a_home_that_holds_nothing_is_named(tmp_path: Path) -> None:
    result = run("approve", "--home", tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr
