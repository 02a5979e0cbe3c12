"""Looks so frequent that a column can't show the shift to be seen: the doctor says how rare they have to be."""

from datetime import timedelta
from pathlib import Path

import pytest

from homeostat.bootstrap import sight_of
from homeostat.codec import encode
from homeostat.contract.load import load_contract
from homeostat.flow import topic_name
from homeostat.inspection.doctor import Level
from homeostat.inspection.doctor.limits import limits
from homeostat.ports import NewMessage
from homeostat.records import DriftReport, DriftScore, DriftStatus
from tests.homeostat.inspection.conftest import NOW


@pytest.mark.parametrize(
    ("limit", "rate", "level"),
    [(2.25, 0.001, Level.WARNING), (0.01, 1e-6, Level.OK), (2.25, 0.2, Level.OK)],
    ids=["too often", "seldom enough", "calm windows lie too far apart at any pace"],
)
def test_looks_that_leave_a_column_blind_are_found(home: Path, limit: float, rate: float, level: Level) -> None:
    text = (home / "contract.yaml").read_text()
    often = text.replace("{every: 1d, window", "{every: 1m, alarms: {false_retrainings: 1, per: 30d}, window")
    (home / "contract.yaml").write_text(often)
    contract = load_contract(home / "contract.yaml")
    score = DriftScore("load", 0.001, limit, None, None, 0.6, drifted=False, floor_rate=rate)
    look = DriftReport("rep1", NOW, NOW - timedelta(days=3), NOW, 900, DriftStatus.HEALTHY, "2", (score,))
    sight_of(contract, home).log.append([NewMessage(topic_name("turbines", "drift_reports"), *encode(look))], NOW)
    (finding,) = limits(home, contract)
    assert finding.level is level
    assert ("drift.every: 44m" in finding.todo) == (level is Level.WARNING)
