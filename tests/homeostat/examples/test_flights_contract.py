from pathlib import Path

import pytest

import homeostat.examples.flights
from homeostat.contract.load import load_contract
from homeostat.contract.model import AggregateFeature, Contract, FieldFeature
from homeostat.examples.flights.stream import EVENT, LABEL


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(Path(homeostat.examples.flights.__file__).with_name("contract.yaml"))


def test_the_stream_sends_the_fields_that_the_contract_names(contract: Contract) -> None:
    event = {contract.event.id, contract.event.time, *contract.event.fields}
    label = {contract.label.id, contract.label.time, contract.label.field, *contract.label.facts}
    assert (set(EVENT), set(LABEL)) == (event, label)


def test_the_plane_is_no_event_field_and_reaches_features_through_aggregates_alone(contract: Contract) -> None:
    assert not {"tailnum", "seats", "plane_year"} & set(contract.event.fields)
    fields = {feature.field for feature in contract.features.values() if isinstance(feature, FieldFeature)}
    assert fields <= set(contract.event.fields)


def test_lateness_is_seen_through_a_span_of_the_past(contract: Contract) -> None:
    late = [f for f in contract.features.values() if isinstance(f, AggregateFeature) and f.of == "late"]
    assert late
    assert all(feature.aggregate == "mean" for feature in late)


def test_the_budget_allows_no_more_trainings_than_a_monthly_cron_would_take(contract: Contract) -> None:
    assert contract.budget.max_trainings <= 10
