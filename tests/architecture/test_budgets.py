import ast
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [p for top in ("homeostat", "services", "pipelines", "feature_store") for p in (ROOT / top).rglob("*.py")]
EVERYTHING = [*SOURCES, *(p for top in ("tests", "deploy", "dashboards") for p in (ROOT / top).rglob("*.py"))]


def functions() -> list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_no_file_is_longer_than_300_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in EVERYTHING if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_the_median_file_is_near_100_lines() -> None:
    sizes = [len(p.read_text().splitlines()) for p in SOURCES if p.name != "__init__.py"]
    assert median(sizes) <= 150


def test_no_function_body_is_longer_than_40_lines() -> None:
    long = {f"{p.relative_to(ROOT)}:{f.name}": n for p, f in functions() if (n := body_lines(f)) > 40}
    assert not long


def test_no_function_takes_more_than_5_positional_parameters() -> None:
    wide = []
    for path, node in functions():
        names = [a.arg for a in node.args.posonlyargs + node.args.args if a.arg not in ("self", "cls")]
        if len(names) > 5 and node.name != "__init__":
            wide.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert not wide


def test_only_settings_reads_the_environment() -> None:
    readers = [p for p in SOURCES if re.search(r"os\.(environ|getenv)", p.read_text()) and p.name != "settings.py"]
    assert not readers


def test_a_broad_except_stands_at_most_once() -> None:
    broad = [p for p in SOURCES if re.search(r"except( Exception| BaseException)?\s*(as \w+)?:", p.read_text())]
    assert len(broad) <= 1, broad


def test_nothing_is_pickled() -> None:
    unsafe = {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
    importing = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and unsafe & {(name.name if isinstance(node, ast.Import) else node.module or "") for name in node.names}
    ]
    assert not importing


def test_nothing_outside_the_examples_knows_flights() -> None:
    cli = ROOT / "homeostat" / "cli"
    allowed = {cli / "demo.py", cli / "replay.py"}  # they name the example
    knowing = [
        str(p.relative_to(ROOT))
        for p in SOURCES
        if "examples" not in p.parts
        and p not in allowed
        and re.search(r"flight|nycflights|carrier|airport", p.read_text(), re.IGNORECASE)
        and "feature_store" not in p.parts
    ]
    assert not knowing


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "base", "misc"])
def test_no_module_is_a_dumping_ground(word: str) -> None:
    assert not [p for p in SOURCES if p.stem == word]
