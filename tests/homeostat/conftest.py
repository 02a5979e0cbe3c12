import pytest

from homeostat.contract.model import Contract


@pytest.fixture(scope="session")
def toys() -> Contract:
    """A product whose events have a vector of three numbers."""
    return Contract.model_validate(
        {
            "product": "toys",
            "event": {
                "entity": "shop",
                "fields": {"shop": "string", "emb": {"type": "vector", "size": 3, "nullable": True}},
            },
            "label": {"field": "returned", "delay": "1h", "maturity": "6h"},
            "features": {"look": {"field": "emb"}},
        }
    )
