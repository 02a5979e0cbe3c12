"""``homeostat approve``, ``reject``, ``hold``, ``rollback``, ``retrain``: what an operator decides.

A decision is a tag in the model registry, as a person may set it on a version's page in the MLflow UI as well. The
healer sees it, carries it out and answers.
"""

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli.shared import FAILED, Home, Json, Product, Url, err, existing, fail, out, print_json

if TYPE_CHECKING:
    from homeostat.contract.model import Contract
    from homeostat.ports import DecisionDesk

ANSWER_WAIT_S = 15.0  # the healer looks for decisions every few seconds
_MOST_CHARACTERS = 1_000
_LATER = "no answer yet: `homeostat log` there shows it when it is carried out"
_LATER_HERE = f"no answer within {ANSWER_WAIT_S:.0f} s: `homeostat log` shows it when it is carried out"
_NOBODY = "nothing runs there now: it is carried out when `homeostat up` does"

Reason = Annotated[str | None, typer.Option(help="Why; it goes into the ledger.")]
By = Annotated[str | None, typer.Option(help="Who decides.", show_default="the login name")]


def approve(
    home: Home = None,
    product: Product = None,
    reason: Reason = None,
    by: By = None,
    *,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Promote the challenger now, whatever its evidence so far."""
    _decide(_Wish("approve", reason, by), home, product, url, as_json=as_json)


def reject(
    home: Home = None,
    product: Product = None,
    reason: Reason = None,
    by: By = None,
    *,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take the challenger away; the champion goes on serving."""
    _decide(_Wish("reject", reason, by), home, product, url, as_json=as_json)


def hold(
    home: Home = None,
    product: Product = None,
    reason: Reason = None,
    by: By = None,
    *,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Keep the challenger in its canary until it is approved or rejected."""
    _decide(_Wish("hold", reason, by), home, product, url, as_json=as_json)


def rollback(
    home: Home = None,
    product: Product = None,
    reason: Reason = None,
    by: By = None,
    *,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give the traffic back to the version that the champion replaced; an open case ends."""
    _decide(_Wish("rollback", reason, by), home, product, url, as_json=as_json)


def retrain(
    home: Home = None,
    product: Product = None,
    reason: Reason = None,
    by: By = None,
    *,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Look for a better model now, without waiting for drift or the end of a cooldown."""
    _decide(_Wish("retrain", reason, by), home, product, url, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is decided, why, and by whom."""

    word: str
    reason: str | None
    by: str | None


def _decide(wish: _Wish, home: Path | None, product: str | None, url: str | None, *, as_json: bool) -> None:
    """Hand a decision in, wait for the answer while an instance runs, and say what became of it."""
    if wish.reason is not None and len(wish.reason) > _MOST_CHARACTERS:
        fail(f"--reason: {len(wish.reason)} characters, expected at most {_MOST_CHARACTERS}")
    if url is None:
        told, later = _decided_here(wish, existing(home, product))
    else:
        if product is None or wish.by is not None:
            fail("--url: expected with --product, and without --by: HOMEOSTAT_TOKEN says who decides")
        from homeostat.cli.remote import decide

        told, later = {"product": product, **decide(url, product, wish.word, wish.reason)}, _LATER
    answer = told["answer"]
    state = "open" if answer is None else str(answer).partition(":")[0]
    if as_json:
        print_json({**told, "reason": wish.reason, "state": state})
    else:
        screen = err if state == "refused" else out
        on = f"version {told['version']}" if told["version"] else "the model"
        text = answer or f"asked: {wish.word} on {on} of {told['product']}; {later}"
        screen.print(text, markup=False, highlight=False, soft_wrap=True)
    if state == "refused":
        raise typer.Exit(FAILED)


def _decided_here(wish: _Wish, folder: Path) -> tuple[dict[str, Any], str]:
    """Set the tag in the registry of an instance on this machine; return what came of it, and when something will."""
    from homeostat.bootstrap import sight_of
    from homeostat.contract.load import load_contract
    from homeostat.healing.asking import ask
    from homeostat.healing.operator import REFUSED, Wish, concerned, refusal
    from homeostat.ports import OperatorDecision

    contract, runs = load_contract(folder / "contract.yaml"), _runs(folder)
    sight = sight_of(contract, folder)
    case, aliases = sight.cases.load(), sight.registry.aliases()
    decision = OperatorDecision(concerned(Wish(wish.word), aliases), wish.word, wish.by or _login(), wish.reason)
    if (impossible := refusal(decision, case, aliases)) is not None:
        answer: str | None = f"{REFUSED}{impossible}"
    else:
        answer = ask(_desk(folder, contract, runs=runs), decision, ANSWER_WAIT_S if runs else 0)
    told = {"product": contract.product, "decision": wish.word, "version": decision.version, "by": decision.by}
    return {**told, "answer": answer}, _LATER_HERE if runs else _NOBODY


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


def _runs(folder: Path) -> bool:
    from homeostat.inspection.instance import heartbeats

    return any(beat.process == "keeper" and beat.alive for beat in heartbeats(folder))


def _login() -> str | None:
    """Return who is logged in, None where the machine does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
