"""Answers of a long proof, kept one by one as they come: it may be stopped, and go on where it was."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

Job = tuple[Callable[..., Any], tuple[Any, ...]]
"""What to call, and its arguments; what it returns can be JSON."""


def answers(file: Path, jobs: Mapping[str, Job], workers: int) -> dict[str, Any]:
    """Return the answer of each job by name; what ``file`` has is not asked again, what it has not is added to it."""
    known = read([file])
    file.parent.mkdir(parents=True, exist_ok=True)
    started = monotonic()
    # a fork of a process that has used polars waits for ever for a lock that none of its threads holds
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    with pool, file.open("a") as out:
        coming = {pool.submit(call, *told): name for name, (call, told) in jobs.items() if name not in known}
        for done in as_completed(coming):
            known[coming[done]] = done.result()
            out.write(json.dumps([coming[done], done.result()]) + "\n")
            out.flush()
            sys.stderr.write(f"{monotonic() - started:6.0f} s  {coming[done]}\n")
    return {name: known[name] for name in jobs}


def read(files: Iterable[Path]) -> dict[str, Any]:
    """Return what files hold by name; half a line, from a process that was killed, is cut off."""
    known = {}
    for file in files:
        whole = file.read_text().rpartition("\n") if file.exists() else ("", "", "")
        if whole[2]:
            file.write_text(whole[0] + whole[1])
        known.update(json.loads(line) for line in whole[0].splitlines())
    return known
