"""Looks at an installation from outside, without running it."""

from pathlib import Path
from typing import Any

from homeostat.bootstrap import embedded_ledger, embedded_stack
from homeostat.contract.load import load_contract
from homeostat.ports import Ledger
from homeostat.tail import Tail, words


def ledger_of(home: Path) -> Ledger:
    """Return the ledger of the product that lives below ``home``."""
    return embedded_ledger(load_contract(home / "contract.yaml"), home)


def status_of(home: Path) -> dict[str, Any]:
    """Return who serves, the case, the last drift report and the last decision, ready for JSON."""
    contract = load_contract(home / "contract.yaml")
    stack = embedded_stack(contract, home)
    tail = Tail(stack.log, contract.product)
    tail.follow()
    aliases, case = stack.registry.aliases(), stack.cases.load()
    last = tail.reports[-1] if tail.reports else None
    return {
        "product": contract.product,
        "champion": aliases.champion,
        "challenger": aliases.challenger,
        "previous": aliases.previous,
        "case": case.state.value,
        "case_reason": case.reason or None,
        "cooldown_until": case.cooldown_until.isoformat() if case.cooldown_until else None,
        "drift": last.status.value if last else None,
        "drift_at": last.at.isoformat() if last else None,
        "drift_rows": last.rows if last else None,
        "drift_reasons": list(last.reasons) if last else [],
        "last_decision": words(tail.story[-1]) if tail.story else None,
        "quarantined_rows": tail.quarantined(),
    }
