from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.features.parsing import ParsedEvent, ParsedLabel

START = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def shop() -> Contract:
    """Orders of a shop, and whether they come back."""
    return Contract.model_validate(
        {
            "product": "shop",
            "event": {
                "entity": "customer",
                "fields": {
                    "customer": "string",
                    "store": {"type": "string", "nullable": True},
                    "amount": {"type": "number", "nullable": True, "min": 0, "max": 1000},
                    "items": {"type": "integer", "min": 0},
                    "member": "boolean",
                    "due": {"type": "time", "nullable": True},
                },
            },
            "label": {
                "field": "refunded",
                "delay": "1h",
                "maturity": "6h",
                "facts": {
                    "loss": {"type": "number", "nullable": True},
                    "reason": {"type": "string", "nullable": True},
                },
            },
            "features": {
                "store": {"field": "store"},
                "amount": {"field": "amount"},
                "items": {"field": "items"},
                "member": {"field": "member"},
                "each": {"expression": "amount / items"},
                "due_hour": {"expression": "hour(due, 'America/New_York')"},
                "orders_3h": {"aggregate": "count", "by": ["customer"], "over": "3h"},
                "spent_2h": {"aggregate": "sum", "of": "amount", "by": ["customer"], "over": "2h"},
                "refunds_4h": {"aggregate": "mean", "of": "refunded", "by": ["store"], "over": "4h"},
                "loss_std_5h": {"aggregate": "std", "of": "loss", "by": ["store"], "over": "5h"},
                "last_amount_90m": {
                    "aggregate": "last",
                    "of": "amount",
                    "by": ["customer", "store"],
                    "over": "90m",
                },
                "last_reason_6h": {"aggregate": "last", "of": "reason", "by": ["customer"], "over": "6h"},
            },
        }
    )


@pytest.fixture(scope="session")
def event() -> Callable[..., ParsedEvent]:
    def make(event_id: str, minutes: float, customer: str = "ann", **fields: Any) -> ParsedEvent:
        defaults = {"store": "north", "amount": 10.0, "items": 1, "member": False, "due": None}
        time = START + timedelta(minutes=minutes)
        return ParsedEvent(event_id, customer, time, {"customer": customer, **defaults, **fields})

    return make


@pytest.fixture(scope="session")
def label() -> Callable[..., ParsedLabel]:
    def make(event_id: str, minutes: float, value: float = 1.0, **facts: Any) -> ParsedLabel:
        time = START + timedelta(minutes=minutes)
        return ParsedLabel(event_id, time, value, {"loss": None, "reason": None, **facts})

    return make


@pytest.fixture(scope="session")
def cell(shop: Contract) -> Callable[..., Any]:
    """Reads one feature of a row by its name."""
    return lambda row, name: row.values[shop.feature_names.index(name)]
