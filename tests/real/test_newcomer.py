"""What a newcomer does with a file of their own: each line that `homeostat init` prints, as it stands."""

import os
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

from .running import HOMEOSTAT, START_S, Up, started

pytestmark = pytest.mark.timeout(1200)


def typed(line: str, folder: Path) -> str:
    """Run a line in a folder, where `homeostat` is on the path, and return what it wrote."""
    path = f"{Path(HOMEOSTAT).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S602 - a shell is what a newcomer has
        line,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of events, and nothing else."""
    folder = tmp_path_factory.mktemp("newcomer")
    typed("homeostat example abrupt --output made && mv made/data.csv orders.csv && rm -r made", folder)
    return folder


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[str]:
    """What `init` says is to be typed next."""
    said = typed("homeostat init orders.csv --yes", folder).partition("read it, then\n")[2]
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def line_of(lines: list[str], start: str, *, nth: int = 0) -> str:
    return [line for line in lines if line.startswith(start)][nth]


def up_as(line: str, folder: Path) -> Up:
    """Start what an `up` line starts, on free ports."""
    program, command, *options = shlex.split(line)
    assert (program, command) == ("homeostat", "up")
    named = dict(zip(options[::2], options[1::2], strict=True))
    home, contract = folder / named.pop("--home", ".homeostat/live"), named.pop("--contract", None)
    more = [word for pair in named.items() for word in pair]
    return Up(home, *more, contract=folder / contract if contract else None)


def test_a_file_becomes_a_served_prediction(folder: Path, lines: list[str]) -> None:
    assert "sound" in typed(line_of(lines, "homeostat check"), folder)
    assert "champion: version 1" in typed(line_of(lines, "homeostat backfill"), folder)
    for up in started(up_as(line_of(lines, "homeostat up"), folder)):
        answers = []
        for nth in range(2):
            _, _, address, *_, body = shlex.split(line_of(lines, "curl", nth=nth))
            route, kind = address.removeprefix("localhost:8000"), {"content-type": "application/json"}
            answers.append(httpx.post(f"{up.url}{route}", content=body, headers=kind, timeout=60))
        assert [answer.is_success for answer in answers] == [True, True], answers[-1].text
        assert 0 < answers[0].json()["predictions"][0]["score"] < 1


def test_the_rest_of_the_file_becomes_a_first_drift_report(folder: Path, lines: list[str]) -> None:
    typed(line_of(lines, "homeostat backfill", nth=1), folder)
    for _ in started(up_as(line_of(lines, "homeostat up", nth=1), folder)):
        typed(line_of(lines, "homeostat replay"), folder)
        report = typed(line_of(lines, "homeostat drift"), folder)
    assert "congestion" in report, report
