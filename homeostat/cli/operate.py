"""``homeostat approve``, ``reject``, ``hold``, ``rollback``, ``retrain``: what an operator decides.

A decision is a tag in the model registry, as a person may set it on a version's page in the MLflow UI as well. The
healer sees it, carries it out and answers.
"""

import getpass
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homeostat.cli.shared import FAILED, Home, Json, Product, err, existing, fail, out, print_json

if TYPE_CHECKING:
    from homeostat.contract.model import Contract
    from homeostat.ports import DecisionDesk, OperatorDecision

ANSWER_WAIT_S = 15.0  # the healer looks for decisions every few seconds
_POLL_S = 0.2
_MOST_CHARACTERS = 1_000

Reason = Annotated[str | None, typer.Option(help="Why; it goes into the ledger.")]
By = Annotated[str | None, typer.Option(help="Who decides.", show_default="the login name")]


def approve(
    home: Home = None, product: Product = None, reason: Reason = None, by: By = None, as_json: Json = False
) -> None:
    """Promote the challenger now, whatever its evidence so far."""
    _decide("approve", existing(home, product), reason, by, as_json=as_json)


def reject(
    home: Home = None, product: Product = None, reason: Reason = None, by: By = None, as_json: Json = False
) -> None:
    """Take the challenger away; the champion goes on serving."""
    _decide("reject", existing(home, product), reason, by, as_json=as_json)


def hold(
    home: Home = None, product: Product = None, reason: Reason = None, by: By = None, as_json: Json = False
) -> None:
    """Keep the challenger in its canary until it is approved or rejected."""
    _decide("hold", existing(home, product), reason, by, as_json=as_json)


def rollback(
    home: Home = None, product: Product = None, reason: Reason = None, by: By = None, as_json: Json = False
) -> None:
    """Give the traffic back to the version that the champion replaced; an open case ends."""
    _decide("rollback", existing(home, product), reason, by, as_json=as_json)


def retrain(
    home: Home = None, product: Product = None, reason: Reason = None, by: By = None, as_json: Json = False
) -> None:
    """Look for a better model now, without waiting for drift or the end of a cooldown."""
    _decide("retrain", existing(home, product), reason, by, as_json=as_json)


def _decide(wish: str, folder: Path, reason: str | None, by: str | None, *, as_json: bool) -> None:
    """Set the tag, wait for the answer while an instance runs, and say what became of it."""
    from homeostat.contract.load import load_contract
    from homeostat.healing.operator import REFUSED

    if reason is not None and len(reason) > _MOST_CHARACTERS:
        fail(f"--reason: {len(reason)} characters, expected at most {_MOST_CHARACTERS}")
    contract = load_contract(folder / "contract.yaml")
    decision, impossible = _draft(wish, folder, contract, reason=reason, by=by or _login())
    answer = f"{REFUSED}{impossible}" if impossible else _asked(decision, folder, contract)
    state = "open" if answer is None else answer.partition(":")[0]
    if as_json:
        print_json({
            "product": contract.product, "decision": wish, "version": decision.version, "by": decision.by,
            "reason": reason, "state": state, "answer": answer,
        })  # fmt: skip
    else:
        screen = err if state == "refused" else out
        on = f"version {decision.version}" if decision.version else "the model"
        told = answer or f"asked: {wish} on {on} of {contract.product}; {_not_yet(folder)}"
        screen.print(told, markup=False, highlight=False, soft_wrap=True)
    if state == "refused":
        raise typer.Exit(FAILED)


def _draft(
    wish: str, folder: Path, contract: "Contract", *, reason: str | None, by: str | None
) -> "tuple[OperatorDecision, str | None]":
    """Return the decision on the version it concerns, and why it can't be had where that is plain already."""
    from homeostat.bootstrap import sight_of
    from homeostat.healing.operator import refusal
    from homeostat.ports import OperatorDecision

    sight = sight_of(contract, folder)
    case, aliases = sight.cases.load(), sight.registry.aliases()
    version = aliases.champion if wish in {"rollback", "retrain"} else aliases.challenger
    decision = OperatorDecision(version, wish, by, reason)
    return decision, refusal(decision, case, aliases)


def _asked(decision: "OperatorDecision", folder: Path, contract: "Contract") -> str | None:
    """Open the decision and return the answer, None when there is none in time."""
    runs = _runs(folder)
    desk = _desk(folder, contract, runs=runs)
    desk.decide(decision)
    return _polled(lambda: desk.answered(decision.version)) if runs else None


def _desk(folder: Path, contract: "Contract", *, runs: bool) -> "DecisionDesk":
    """Return the instance's MLflow server, or MLflow's store, which takes seconds to import."""
    from homeostat.bootstrap import instance_of, mlflow_page, registry_of
    from homeostat.processes.instance import Instance

    home = instance_of(folder)
    if runs and (home / "instance.json").exists():
        page = mlflow_page(contract, Instance.load(home).mlflow_url)
        if page.is_there():
            return page
    return registry_of(contract, folder)


def _polled(answered: Callable[[], str | None]) -> str | None:
    deadline = time.monotonic() + ANSWER_WAIT_S
    while (answer := answered()) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return answer


def _runs(folder: Path) -> bool:
    from homeostat.inspection.instance import heartbeats

    return any(beat.process == "keeper" and beat.alive for beat in heartbeats(folder))


def _not_yet(folder: Path) -> str:
    if _runs(folder):
        return f"no answer within {ANSWER_WAIT_S:.0f} s: `homeostat log` shows it when it is carried out"
    return "nothing runs there now: it is carried out when `homeostat up` does"


def _login() -> str | None:
    """Return who is logged in, None where the machine does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
