import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IN_THE_IMAGE = ("servers", "librdkafka")


def locked(path: Path) -> dict[str, set[str]]:
    """The hashes of each pinned package."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            found[name].add(line.strip(" \\"))
        else:
            name = line.removesuffix("\\").strip()
            found[name] = set()
    return found


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.lower().replace("_", "-") for text in requirements}


LOCK = locked(ROOT / "deploy" / "requirements.lock")
PACKAGES = {re.split(r"[=\[; ]", pin)[0] for pin in LOCK}


def test_the_image_s_packages_are_pinned_as_everywhere_else() -> None:
    everywhere = locked(ROOT / "requirements.lock")
    assert all(LOCK.values()), "a package without a hash"
    assert {pin: hashes for pin, hashes in LOCK.items() if everywhere.get(pin) != hashes} == {}


def test_the_image_has_what_production_needs_and_no_tool_of_development() -> None:
    wanted = names(PROJECT["dependencies"] + [text for extra in IN_THE_IMAGE for text in EXTRAS[extra]])
    assert wanted | {"flask-wtf"} <= PACKAGES  # the latter lets MLflow's server ask for a password
    brought = {"mypy", "psutil"}  # by Feast
    assert (names(EXTRAS["dev"] + EXTRAS["demo"]) - wanted) & PACKAGES <= brought


def test_the_image_runs_as_a_user_without_rights_and_starts_without_a_shell() -> None:
    stages = [part for part in DOCKERFILE.split("\nFROM ") if " AS runtime" in part.splitlines()[0]]
    [runtime] = stages
    assert re.search(r"^USER (\d+):\1$", runtime, re.MULTILINE)
    assert all(
        line.split(maxsplit=1)[1].startswith("[") for line in re.findall(r"^(?:CMD|ENTRYPOINT) .*", runtime, re.M)
    )
    assert DOCKERFILE.rstrip().endswith("FROM runtime")


def test_base_images_have_a_version() -> None:
    stages = set(re.findall(r" AS (\S+)", DOCKERFILE))
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) - stages
    assert bases == {"${PYTHON}"}
    assert re.search(r"^ARG PYTHON=python:\d+\.\d+-slim", DOCKERFILE, re.MULTILINE)


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    let_in = [
        line[1:] for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert {"homeostat", "services", "pipelines", "feature_store", "deploy/requirements.lock"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists()
        assert any(fnmatch(path, pattern) for pattern in let_in)


def test_uv_is_the_one_that_everybody_uses() -> None:
    pinned = re.compile(r"uv==([\d.]+)")
    assert pinned.findall(DOCKERFILE) == pinned.findall((ROOT / "Makefile").read_text())
