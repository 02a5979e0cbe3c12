"""Opens the stores of an instance for one of its processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homeostat.bootstrap import Ports, open_stack, product_home
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.ports import Telemetry
from homeostat.processes.instance import CONTRACT, Instance, exclusive, run_folder
from homeostat.settings import Settings

_WAIT_S = 120.0  # MLflow makes some 50 tables in a new file


@dataclass(frozen=True, slots=True)
class Product:
    """One product of an instance: its contract and its open stores."""

    contract: Contract
    stack: Ports
    home: Path


@contextmanager
def alone_at_stores(home: Path) -> Iterator[None]:
    """Be the one process that opens stores, for a new file of MLflow's is made by whoever comes first.

    Raises:
        TransientError: Another process was at it for two minutes.
    """
    with exclusive(run_folder(home) / "stores.lock", _WAIT_S) as alone:
        if not alone:
            raise TransientError(f"{home}: another process has been opening the stores for {_WAIT_S:.0f} s")
        yield


def open_products(home: Path, instance: Instance, telemetry: Telemetry) -> Mapping[str, Product]:
    """Return the products of an instance by name, their stores opened."""
    with alone_at_stores(home):
        return {name: _opened(product_home(home, name), telemetry) for name in instance.products}


def _opened(home: Path, telemetry: Telemetry) -> Product:
    contract = load_contract(home / CONTRACT)
    return Product(contract, open_stack(contract, home, Settings(), telemetry), home)
