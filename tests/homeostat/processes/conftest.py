"""One product on memory stores, with labels that come a while after their events."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from homeostat.bootstrap import build_workers
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.processes.stores import Product
from tests.stacks import memory_stack

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
TURBINES = Path(__file__).parents[2] / "loop" / "turbines.yaml"


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract(TURBINES)


@pytest.fixture
def product(contract: Contract, tmp_path: Path) -> Product:
    stack = memory_stack(contract, tmp_path)
    return Product(contract, stack, tmp_path)


@pytest.fixture
def send(product: Product) -> Callable[[datetime, int], None]:
    """Append events and their labels of the hour before a time."""

    def append(now: datetime, rows: int) -> None:
        rng = np.random.default_rng(int(now.timestamp()))
        messages = []
        for i in range(rows):
            at = (now - HOUR * rng.uniform(0, 1)).isoformat()
            event_id = f"{now.isoformat()}-{i}"
            event = {"event_id": event_id, "event_time": at, "turbine": f"t{i % 9}", "maker": "acme"}
            event |= {"load": rng.normal(), "wind": rng.normal()}
            label = {"event_id": event_id, "label_time": at, "fails": bool(rng.uniform() < 0.5)}
            messages.append(NewMessage(topic_name("turbines", "raw_events"), json.dumps(event).encode()))
            messages.append(NewMessage(topic_name("turbines", "raw_labels"), json.dumps(label).encode()))
        product.stack.log.append(messages, now)

    return append


@pytest.fixture
def serve(product: Product) -> Callable[[datetime], None]:
    """Do what the server does with what has come."""
    workers = build_workers(product.contract, product.stack, 1, ("ingest", "predict"))

    def run(now: datetime) -> None:
        for worker in workers.values():
            worker.run_once(now)

    return run
