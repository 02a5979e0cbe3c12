"""The command `homeostat init` itself, as a script and as a person uses it."""

import json
import os
import pty
import select
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli.main import app
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError

DEADLINE_S = 60.0
HOMEOSTAT = str(Path(sys.executable).with_name("homeostat"))


@pytest.fixture
def folder(tmp_path: Path, clean: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a plain file in it."""
    monkeypatch.chdir(tmp_path)
    clean.write_csv("orders.csv")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def test_it_writes_a_contract_that_check_accepts_and_says_why(folder: Path) -> None:
    done = run("orders.csv")
    assert done.exit_code == 0, done.output
    assert "target:       late  (by its name)" in done.output
    assert CliRunner().invoke(app, ["check", "orders.yaml"]).exit_code == 0


def test_it_names_every_command_up_to_a_prediction_and_a_drift_report(folder: Path) -> None:
    said = run("orders.csv").output
    steps = ["check orders.yaml", "backfill orders.csv --contract orders.yaml", "up --contract orders.yaml",
             "curl -s localhost:8000/v1/orders/predict", "--home .homeostat/try --until 2024-0",
             "up --home .homeostat/try --clock stream", "replay orders.csv --home .homeostat/try",
             "drift --home .homeostat/try"]  # fmt: skip
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


def test_it_refuses_to_overwrite_without_force(folder: Path) -> None:
    (folder / "orders.yaml").write_text("mine")
    refused = run("orders.csv")
    assert refused.exit_code == 1
    assert (folder / "orders.yaml").read_text() == "mine"
    assert "orders.yaml is there already" in refused.stderr
    assert run("orders.csv", "--force").exit_code == 0
    assert run("orders.csv", "--output", "other.yaml").exit_code == 0
    assert load_contract(folder / "other.yaml") == load_contract(folder / "orders.yaml")


def test_a_place_that_cannot_be_written_is_named(folder: Path) -> None:
    refused = run("orders.csv", "--output", "nowhere/orders.yaml")
    assert refused.exit_code == 1
    assert "nowhere/orders.yaml: can't be written: No such file" in refused.stderr


def test_json_is_one_object_for_a_script(folder: Path, clean: pl.DataFrame) -> None:
    clean.with_columns(mail=pl.lit("a@b.org")).write_csv("orders.csv")
    found = json.loads(run("orders.csv", "--json").stdout)
    assert found["contract"] == "orders.yaml"
    assert found["rows"] == clean.height
    assert {g["role"]: g["value"] for g in found["guesses"]}["time"] == "ordered_at"
    assert found["left_out"][0]["kind"] == "personal"
    assert found["replay_options"] == []


def test_a_script_is_never_asked(folder: Path, clean: pl.DataFrame) -> None:
    clean.rename({"late": "a"}).with_columns(b=pl.Series([0, 1] * 1_500)).write_csv("orders.csv")
    refused = run("orders.csv")
    assert isinstance(refused.exception, HomeostatError)
    assert not (folder / "orders.yaml").exists()
    assert run("orders.csv", "--target", "a").exit_code == 0
    assert run("orders.csv", "--yes", "--force").exit_code == 0


def test_a_person_is_asked_until_the_answer_will_do(folder: Path, clean: pl.DataFrame) -> None:
    clean.drop("closed_at").rename({"late": "a"}).with_columns(b=pl.Series([0, 1] * 1_500)).write_csv("orders.csv")
    said = on_a_terminal(folder, [("to be predicted?", "nonsense"), ("to be predicted?", "a"), ("usually known?", ""),
                                  ("never be one?", "3d")])  # fmt: skip
    assert "'nonsense' - expected one of a, b" in said
    contract = load_contract(folder / "orders.yaml")
    assert contract.label.field == "a"
    assert contract.label.maturity.days == 3


def on_a_terminal(folder: Path, answers: list[tuple[str, str]]) -> str:
    """Run the command on a terminal of its own and answer each question as it comes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(HOMEOSTAT, [HOMEOSTAT, "init", "orders.csv"])  # noqa: S606
    said, seen, deadline = "", 0, time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                said += os.read(terminal, 65_536).decode()
            except OSError:  # the terminal closes with the command
                break
            if answers and answers[0][0] in said[seen:]:
                seen = len(said)
                os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert not answers, said
    assert os.waitstatus_to_exitcode(status) == 0, said
    return said


@pytest.fixture(scope="module")
def datasets() -> Path:
    """The CSV files that scikit-learn brings along."""
    return Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data")))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("breast_cancer.csv", "the first line isn't a header: names 4 columns (569, 30, malignant, benign)"),
        ("iris.csv", "has no column that is a time"),
        ("linnerud_exercise.csv", "has no column that is a time"),
        ("diabetes_target.csv.gz", "is compressed by gzip"),
    ],
)
def test_files_that_are_no_stream_are_refused_with_the_reason(
    folder: Path, datasets: Path, name: str, said: str
) -> None:
    refused = run(str(datasets / name))
    assert isinstance(refused.exception, HomeostatError)
    assert said in str(refused.exception)


def test_named_columns_without_a_time_are_refused_with_the_way_out(folder: Path, datasets: Path) -> None:
    lines = (datasets / "breast_cancer.csv").read_text().splitlines()
    header = ",".join([*(f"x{i}" for i in range(30)), "target"])
    Path("cancer.csv").write_text("\n".join([header, *lines[1:]]))
    assert "add a column like event_time" in str(run("cancer.csv").exception)
