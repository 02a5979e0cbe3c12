"""Opens what an onlooker needs of the stores below a product's home."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeostat.bootstrap import LazyStack, Ports, sight_of
from homeostat.bootstrap import ledger_of as product_ledger
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.inspection.instance import base_url, heartbeats, metrics_page, stream_time
from homeostat.inspection.numbers import UNKNOWN, numbers_in
from homeostat.inspection.onlooker import Onlooker
from homeostat.ports import Ledger
from homeostat.settings import Settings


def ledger_of(home: Path) -> Ledger:
    """Return the ledger of the product that lives below ``home``."""
    return product_ledger(load_contract(home / "contract.yaml"), home)


def onlooker_of(home: Path) -> Onlooker:
    """Return an onlooker on the product that lives below ``home``."""
    contract = load_contract(home / "contract.yaml")
    return Onlooker(contract, sight_of(contract, home))


def ports_of(home: Path) -> tuple[Contract, Ports]:
    """Return the contract and all ports of the product below ``home``; those used first take seconds to open."""
    contract = load_contract(home / "contract.yaml")
    return contract, LazyStack(contract, home, Settings())


def status_of(home: Path, onlooker: Onlooker | None = None) -> dict[str, Any]:
    """Return what is, ready for JSON; an onlooker kept between two calls reads only what came meanwhile."""
    onlooker = onlooker or onlooker_of(home)
    page = metrics_page(home)
    numbers = numbers_in(page, onlooker.contract.product) if page else UNKNOWN
    return onlooker.status(clock_of(home, onlooker), numbers, heartbeats(home))


def clock_of(home: Path, onlooker: Onlooker) -> datetime:
    """Return the time that counts for a product: its stream's, the machine's, or where a finished demo ended."""
    shown = stream_time(home)
    if shown is None and base_url(home) is None:
        shown = onlooker.last_time()
    return shown or datetime.now(UTC)
