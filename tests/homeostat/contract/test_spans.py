from datetime import timedelta
from pathlib import Path

import pytest

from homeostat.contract.load import load_contract, parse_contract
from homeostat.contract.spans import log_span, memory_spans
from homeostat.errors import ContractError

TURBINES = (Path(__file__).parents[2] / "loop" / "turbines.yaml").read_text()
DAY = timedelta(days=1)


def test_a_log_kept_shorter_than_a_memory_is_refused_with_its_line() -> None:
    text = TURBINES + "retention: {log: 9d}\n"
    with pytest.raises(ContractError, match=r"f:24: retention\.log: .*'judge'.* expected 240h") as caught:
        parse_contract(text, "f")
    assert len(caught.value.problems) == 1
    assert parse_contract(TURBINES + "retention: {log: 10d}\n", "f").retention.log == 10 * DAY


def test_a_default_gives_way_to_a_long_memory() -> None:
    text = TURBINES.replace("maturity: 1d", "maturity: 80d").replace("after: 5d", "after: 99d")
    contract = parse_contract(text.replace("max_duration: 6d", "max_duration: 99d"), "f")
    assert log_span(contract) == max(memory_spans(contract).values()) > contract.retention.log


def test_the_log_is_kept_as_the_contract_says(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(TURBINES)
    assert log_span(load_contract(tmp_path / "c.yaml")) == 90 * DAY
