"""How far back each step's memory reaches: it follows from the contract alone."""

from datetime import timedelta

from homeostat.contract.document import Document
from homeostat.contract.model import Contract


def memory_spans(contract: Contract) -> dict[str, timedelta]:
    """Return by step how far back it folds its input after a restart; a step not named has no memory."""
    windows = [f.over for f in contract.features.values() if hasattr(f, "over")]
    slack = contract.event.allowed_lateness
    return {
        "ingest": max([contract.label.maturity, *windows]) + contract.label.maturity + slack,
        "join": 2 * contract.label.maturity + slack,  # a label that came just now may be of an event as old
        "detect": contract.drift.window + contract.label.maturity + contract.drift.every,
        "decide": contract.healing.cooldown + 2 * contract.healing.confirm * contract.drift.every,
        "judge": contract.canary.max_duration + contract.canary.watch + contract.label.maturity,
        "alert": 2 * contract.drift.window + contract.label.maturity,
    }


def log_span(contract: Contract) -> timedelta:
    """Return how long messages are kept: as the contract says, never less than a restarted step reads again."""
    return max(contract.retention.log, *memory_spans(contract).values())


def check_retention(document: Document, contract: Contract) -> None:
    """Report a written ``retention.log`` that is shorter than some step's memory; a default gives way silently."""
    path = ("retention", "log")
    if document.get(path) is None:
        return
    step, span = max(memory_spans(contract).items(), key=lambda item: item[1])
    if contract.retention.log < span:
        hours = -(-span // timedelta(hours=1))
        document.report(path, f"shorter than what the step '{step}' reads again after a restart - expected {hours}h")
