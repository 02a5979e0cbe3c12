"""What the image holds and whether it runs, by its own steps in clean roots: read-only, by a user without rights."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import httpx
import pytest
import yaml
from packaging.requirements import Requirement

from deploy.servers import free_port
from homeostat.flow import FLOW

from .image import ROOT, Stage, stages
from .running import until

CONTRACT = ROOT / "homeostat" / "examples" / "flights" / "contract.yaml"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROCESSES = sorted({row.process for row in FLOW})
PACKAGES = "/opt/homeostat/lib"
OURS = ("services", "pipelines", "feature_store")
START_S = 300

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def image() -> Iterator[Stage]:
    """The last stage, with its packages from the cache that is used everywhere."""
    cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="image", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # whom it runs as enters it too
        steps, made = stages(), dict[str, Stage]()
        for stage in ("build", "runtime"):
            made[stage] = Stage(Path(name) / stage, cache)
            made[stage].environment["UV_CACHE_DIR"] = "/cache"
            instructions = [(w, r.replace("UV_NO_CACHE=1", "")) for w, r in steps[stage]]
            made[stage].follow(instructions, made)
        yield made["runtime"]


def kept(*folders: str) -> set[str]:
    """The files of the repository below some folders."""
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def healthy(process: str, port: int) -> list[str]:
    """The health check of a container, for another port."""
    return [word.replace("8080", str(port)) for word in COMPOSE["services"][process]["healthcheck"]["test"][1:]]


def test_only_debian_s_packages_are_taken_on_trust(image: Stage) -> None:
    (undone,) = image.undone
    assert re.search(r"install --yes --no-install-recommends libgomp1 tini\s", undone)
    assert [step for step in stages()["build"] if "apt-get" in step[1]] == []


def test_the_packages_are_those_of_the_lock(image: Stage) -> None:
    script = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = image.run(["python", "-c", script])
    assert done.returncode == 0, done.stderr
    found = {re.sub("[-_.]+", "-", name).lower(): version for name, version in json.loads(done.stdout).items()}
    lines = re.findall(r"(?m)^(\S+==.+?)\s*\\$", (ROOT / "deploy" / "requirements.lock").read_text())
    pins = [pin for pin in map(Requirement, lines) if pin.marker is None or pin.marker.evaluate()]
    assert len(pins) > 100
    assert found.pop("homeostat") == COMPOSE["services"]["predictor"]["image"].split(":")[1]
    assert found == {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}


def test_what_is_ours_is_there_whole_and_nothing_beside_it(image: Stage) -> None:
    assert image.files("/app") == kept(*OURS)
    (installed,) = image.folder.glob(f"{PACKAGES.lstrip('/')}/python*/site-packages")
    below = "/" + str(installed.relative_to(image.folder))
    ours = {path for path in image.files(below) if path.startswith("homeostat/")}
    assert ours == kept("homeostat")
    top = {path.name for path in image.folder.iterdir()} - {"bin", "sbin", "lib", "lib64", "base", "cache"}
    lent = {"usr", "etc", "dev", "proc", Path(sys.base_prefix).parts[1]}
    assert top - lent == {"app", "opt", "tmp", "var"}


def test_nobody_but_root_may_change_what_runs(image: Stage) -> None:
    loose = [path for top in ("app", "opt") for path in (image.folder / top).rglob("*") if others_may_write(path)]
    assert loose == []


def others_may_write(path: Path) -> bool:
    found = path.lstat()
    return not path.is_symlink() and (found.st_uid != 0 or bool(found.st_mode & 0o022))


def test_each_process_and_job_finds_all_it_imports_and_says_what_it_was_not_told(image: Stage, tmp_path: Path) -> None:
    modules = [COMPOSE["services"][process]["command"][-1] for process in PROCESSES]
    names = ", ".join([*(f"{module}.__main__" for module in modules), "pipelines.retrain", "homeostat.cli.main"])
    log = tmp_path / "log"
    assert image.start(["python", "-c", f"import {names}"], log).wait(START_S) == 0, log.read_text()
    assert image.start(COMPOSE["services"]["judge"]["command"], log).wait(START_S) == 1
    assert "HOMEOSTAT_CONTRACT is not set" in log.read_text()


@pytest.mark.parametrize("process", ["predictor", "healer"])
def test_a_process_is_healthy_where_only_its_home_can_be_written(image: Stage, tmp_path: Path, process: str) -> None:
    log, port = tmp_path / "log", free_port()
    contract = image.folder / "opt" / "contract.yaml"
    contract.write_bytes(CONTRACT.read_bytes())
    told = {"HOMEOSTAT_CONTRACT": "/opt/contract.yaml", "HOMEOSTAT_PORT": str(port), "HOMEOSTAT_HOST": "127.0.0.1"}
    started = image.start(COMPOSE["services"][process]["command"], log, **told)
    try:
        until(lambda: works(started, port), START_S, why=log.read_text)
        assert image.run(healthy(process, port)).returncode == 0
    finally:
        started.send_signal(signal.SIGTERM)
    assert started.wait(60) == 0, log.read_text()
    contract.unlink()
    assert {path.stat().st_uid for path in (image.folder / "var/lib/homeostat").iterdir()} == {10001}


def works(started: "subprocess.Popen[str]", port: int) -> bool:
    """Whether a process has come so far that only a champion is missing, if anything is."""
    assert started.poll() is None
    sleep(0.5)
    try:
        said = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)
    except httpx.TransportError:
        return False
    return said.is_success or "no champion" in said.text


def test_mlflow_s_server_and_what_it_asks_passwords_with_are_there(image: Stage) -> None:
    done = image.run(["python", "-c", "import mlflow.server.auth, psycopg; from mlflow.cli import cli"])
    assert done.returncode == 0, done.stderr
