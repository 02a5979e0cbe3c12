"""Plays a stream with a known truth by the commands that a user types, every process of `homeostat up` among them."""

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import process_time
from unittest.mock import patch

from homeostat.bootstrap import product_home, scratch_stack
from homeostat.contract.load import load_contract
from homeostat.examples.streams.kinds import Kind
from homeostat.examples.streams.stream import make_stream
from homeostat.tail import Tail
from tests.real.running import Up, homeostat, started
from tests.statistics.known_truth import Run, judged

NO_PAGES = {"HOMEOSTAT_DRIFT_PAGES": "false"}  # they decide nothing and take a fifth of the time
MOST_S = 3600.0  # for the longest of them, on a busy machine


def run_by_commands(kind: Kind, seed: int) -> Run:
    """Type `example`, `backfill`, `up` and `replay`, stop, and judge what is in the folder then."""
    began = process_time()
    with tempfile.TemporaryDirectory(prefix="homeostat-truth-") as folder:
        files, home = Path(folder) / "files", Path(folder) / "home"
        file = files / "contract.yaml"
        typed("example", kind.value, "--seed", str(seed), "--output", files)
        typed("backfill", files / "data.csv", "--contract", file, "--home", home)
        with patch.dict(os.environ, NO_PAGES), contextmanager(started)(Up(home, "--clock", "stream")) as up:
            typed("replay", files / "live.csv", "--home", home, "--to-maturity")
            assert up.stop() == 0, up.screen()
        contract = load_contract(file)
        stack = scratch_stack(contract, product_home(home, contract.product))
        tail = Tail(stack.log, contract.product)
        tail.follow()
        made = judged(contract, make_stream(kind, seed), stack, tail)
    return replace(made, seed=seed, cpu_s=process_time() - began)


def typed(*words: str | Path) -> None:
    """Run a command, which must not fail."""
    done = homeostat(*words, seconds=MOST_S)
    assert done.returncode == 0, done.stdout + done.stderr
