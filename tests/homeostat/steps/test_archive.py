from datetime import UTC, datetime, timedelta

import pytest

from homeostat.adapters.memory_features import MemoryOfflineFeatures
from homeostat.contract.model import Contract
from homeostat.records import Arm, Cell, FeatureRow, Outcome
from homeostat.steps.archive import ArchiveStep

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CONTRACT = Contract.model_validate_json(
    """{"product": "p", "event": {"entity": "k", "fields": {"k": "string", "x": "number"}},
    "label": {"field": "y", "delay": "1h", "maturity": "1d"}, "features": {"x": {"field": "x"}}}"""
)


def outcome(event_id: str, hours: float, values: tuple[Cell, ...] = ()) -> Outcome:
    at = NOW + timedelta(hours=hours)
    return Outcome(event_id, "k", at, at, 1.0, Arm.CHAMPION, "1", 0.5, {"1": 0.5}, values)


@pytest.fixture
def store() -> MemoryOfflineFeatures:
    return MemoryOfflineFeatures(CONTRACT)


def test_an_event_is_learned_from_by_its_feature_row(store: MemoryOfflineFeatures) -> None:
    step = ArchiveStep(store)
    assert step.handle([FeatureRow("e1", "k", NOW, (3.0,))], NOW) == []
    step.handle([outcome("e1", 0)], NOW)
    assert store.training_frame(NOW + timedelta(days=1))["x"].to_list() == [3.0]


def test_a_prediction_on_request_is_learned_from_by_the_values_it_rested_on(store: MemoryOfflineFeatures) -> None:
    ArchiveStep(store).handle([FeatureRow("e1", "k", NOW, (3.0,)), outcome("e1", 0), outcome("r1", 2, (7.0,))], NOW)
    frame = store.training_frame(NOW + timedelta(days=1))
    assert dict(zip(frame["event_id"], frame["x"], strict=True)) == {"e1": 3.0, "r1": 7.0}
