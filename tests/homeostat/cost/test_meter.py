import pytest

from homeostat.contract.policies import Prices
from homeostat.cost.meter import PART_OF, cost_per_1k, parts_per_1k
from homeostat.errors import NotEnoughDataError
from homeostat.flow import FLOW

PRICES = Prices(usd_per_cpu_hour=3.6)  # 0.001 USD a CPU second


def test_every_step_of_the_flow_is_on_the_bill() -> None:
    assert set(PART_OF) == {row.step for row in FLOW}


def test_features_serving_monitoring_and_training_are_told_apart() -> None:
    cpu_s = {"predict": 1.0, "join": 2.0, "detect": 4.0, "judge": 8.0, "train": 16.0, "ingest": 32.0, "archive": 64.0}
    parts = parts_per_1k(cpu_s, PRICES, 1000)
    assert parts == pytest.approx({"features": 0.096, "serving": 0.003, "monitoring": 0.012, "training": 0.016})


def test_twice_the_predictions_halve_the_cost_of_one() -> None:
    assert cost_per_1k({"train": 10.0}, PRICES, 2000) == pytest.approx(cost_per_1k({"train": 10.0}, PRICES, 1000) / 2)


def test_the_total_is_the_sum_of_the_parts() -> None:
    cpu_s = dict.fromkeys(PART_OF, 1.0)
    assert cost_per_1k(cpu_s, PRICES, 500) == pytest.approx(sum(parts_per_1k(cpu_s, PRICES, 500).values()))


def test_without_a_prediction_no_cost_is_made_up() -> None:
    with pytest.raises(NotEnoughDataError):
        cost_per_1k({"train": 10.0}, PRICES, 0)


def test_a_step_without_a_part_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="polish"):
        parts_per_1k({"polish": 1.0}, PRICES, 1)
