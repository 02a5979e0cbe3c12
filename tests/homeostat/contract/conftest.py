from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deliveries() -> str:
    """A small valid contract."""
    return Path(__file__).with_name("deliveries.yaml").read_text()
