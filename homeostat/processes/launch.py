"""`homeostat up`: from what was asked for to running processes."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from homeostat.api import guarded_gate
from homeostat.bootstrap import mlflow_uri, oidc_tokens, product_home
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.inspection.instance import read_json
from homeostat.processes import mlflow_ui
from homeostat.processes.child import Child, Plan
from homeostat.processes.companions import WITHOUT
from homeostat.processes.instance import ClockMode, Heartbeat, Instance, exclusive, log_file, run_folder
from homeostat.processes.life import ORPHANED_WAIT_S, after_orphans
from homeostat.processes.prerequisites import choose_ports, left_alone, read_contracts, store_contracts
from homeostat.processes.supervisor import Interrupts, Supervisor
from homeostat.settings import Settings, child_environment

_ASK_S = 0.5
_GRACE_S = {"server": 30.0, "keeper": 30.0, "trainer": 5.0, "mlflow_ui": 5.0}
"""The processes in the order in which they end, and how long each may take."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `homeostat up` was asked for."""

    contracts: Sequence[Path]
    host: str
    port: int
    mlflow_port: int
    clock: ClockMode
    seed: int


def up(wanted: Wanted, home: Path, say: Callable[[str], object], on_ready: Callable[[Instance], object]) -> int:
    """Run an instance until it is interrupted, and return the exit code.

    Args:
        wanted: What to run and where.
        home: Folder of the instance.
        say: Takes what happens meanwhile, in words.
        on_ready: Called once the API answers and the keeper works, or keeps dying: serving needs no keeper.

    Raises:
        ContractError: A contract is unsound, or changes what stored rows were made by.
        HomeostatError: Another `up` runs on this folder, a port is taken, or the API would be open to other machines.
    """
    settings = Settings()
    guarded_gate(settings, oidc_tokens(settings), wanted.host, "--host")  # said here, not in the server's log
    contracts = read_contracts(wanted.contracts, home)
    if left := left_alone(home, contracts):
        say(f"not started: {', '.join(left)}, also in this folder; name its contract too, or none to start them all")
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        ports = choose_ports(
            [("--port", wanted.host, wanted.port), ("--mlflow-port", mlflow_ui.HOST, wanted.mlflow_port)]
        )
        store_contracts(contracts, home)
        instance = Instance(
            host=wanted.host,
            port=ports[0],
            mlflow_port=ports[1],
            clock=wanted.clock,
            seed=wanted.seed,
            products=tuple(contracts),
            pid=os.getpid(),
            started_at=datetime.now(UTC).isoformat(),
        )
        instance.save(home)
        interrupts = Interrupts()
        interrupts.install()
        children = {plan.name: Child(plan) for plan in plans(home, contracts)}
        heartbeat = Heartbeat(home, "supervisor", os.getpid())
        supervisor = Supervisor(
            tuple(children.values()), interrupts, say, lambda down: heartbeat.beat(datetime.now(UTC), None, down=down)
        )
        return supervisor.run(lambda: _is_ready(home, instance, children), lambda: on_ready(instance))


def plans(home: Path, contracts: Mapping[str, Path]) -> list[Plan]:
    """Return how each process is run, in the order in which they end."""
    run = run_folder(home)
    (run / "metrics").mkdir(parents=True, exist_ok=True)
    for path in (run / "metrics").glob("*.db"):  # of processes that are no more
        path.unlink()
    threads = max(load_contract(file).training.threads for file in contracts.values())
    store = mlflow_uri(product_home(home, next(iter(contracts))))
    artifacts = (home / "artifacts").resolve().as_uri()
    more = {
        "mlflow_ui": {
            "_MLFLOW_SERVER_FILE_STORE": store,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": artifacts,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts,
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
    }
    return [
        Plan(
            name=name,
            command=(sys.executable, "-m", f"homeostat.processes.{name}", str(home.resolve())),
            log=log_file(home, name),
            environment=child_environment(
                run.resolve(), threads=threads if name == "trainer" else 1, more=more.get(name)
            ),
            grace_s=grace_s,
            without=WITHOUT.get(name),
        )
        for name, grace_s in _GRACE_S.items()
    ]


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the instance's folder, once nobody works on it any more."""
    with exclusive(run_folder(home) / "up.lock") as first:
        if not first:
            raise HomeostatError(f"{_running(home)}: stop it first, or name another folder with --home")
        with after_orphans(home) as alone:
            if not alone:
                raise HomeostatError(
                    f"processes of an earlier `homeostat up` on {home} have not ended within {ORPHANED_WAIT_S:.0f} s: "
                    f"end those whose pids are in {run_folder(home)}/*.json"
                )
        yield


def _running(home: Path) -> str:
    try:
        there = Instance.load(home)
    except HomeostatError:  # it is only now starting
        return f"another `homeostat up` runs on {home}"
    return f"`homeostat up` runs on {home} already (pid {there.pid}, {there.url})"


def _is_ready(home: Path, instance: Instance, children: Mapping[str, Child]) -> bool:
    """Return whether the API answers and the keeper has given its first sign of life, or won't give any soon."""
    keeper = children["keeper"]
    if not keeper.keeps_dying and read_json(run_folder(home) / "keeper.json").get("pid") != keeper.pid:
        return False
    try:
        with urlopen(f"{instance.url}/healthz", timeout=_ASK_S) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except (URLError, OSError, HTTPException):
        return False
