"""Runs a service in which somebody dies by kill -9 right before or right after a planned call to a store.

``python -m tests.real.dying healer``; the environment names the plan's file and the file that the calls are noted in.
"""

import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.adapters.sql import SqlCases, SqlLedger

PLAN, NOTES = "DYING_PLAN", "DYING_NOTES"
NAMES: tuple[tuple[type, str, Callable[..., str]], ...] = (
    (SqlLedger, "append", lambda entry_id, at, kind, *_: f"ledger {kind}"),
    (SqlCases, "save", lambda case: f"case {case.state}"),
    (MlflowRegistry, "set_alias", lambda alias, *_, **__: f"alias {alias}"),
    (MlflowRegistry, "tag", lambda version, tags: f"tag {min(tags)}"),
    (MlflowRegistry, "answer", lambda *_: "answer"),
    (KafkaLog, "append", lambda messages, at: f"publish {messages[0].topic.split('.')[1]}"),
    (KafkaLog, "commit", lambda group, offsets: f"commit {group}"),
)
"""The calls that change something, and what the plan calls them."""


def main(service: str) -> None:
    """Run the service, with its stores watched."""
    plan, notes = Path(os.environ[PLAN]), Path(os.environ[NOTES])
    for port, method, name_of in NAMES:
        setattr(port, method, watched(getattr(port, method), name_of, plan, notes))
    runpy.run_module(f"services.{service}", run_name="__main__")


def watched(method: Callable[..., Any], name_of: Callable[..., str], plan: Path, notes: Path) -> Callable[..., Any]:
    """Return a method that notes each call, and before or after the planned one kills whom the plan names."""

    def call(port: object, *args: Any, **kwargs: Any) -> Any:
        name = name_of(*args, **kwargs)
        kill_if_due(plan, f"before {name}")
        result = method(port, *args, **kwargs)
        with notes.open("a") as file:
            file.write(f"{name}\n")
        kill_if_due(plan, f"after {name}")
        return result

    return call


def kill_if_due(plan: Path, point: str) -> None:
    """Kill whom the plan names at this point, once: the plan is gone then."""
    if not plan.exists():
        return
    planned = json.loads(plan.read_text())
    if planned["point"] == point:
        plan.unlink()
        os.kill(planned["pid"] or os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
