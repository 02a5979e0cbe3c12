"""The obligations of Telemetry, over every adapter."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import time
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.errors import HomeostatError
from homeostat.metric_names import DRIFT_PSI, FEATURE_TIME, LATENCY, METRICS, PREDICTIONS, QUARANTINED
from homeostat.ports import Telemetry

ARM = {"product": "parcels", "version": "3", "arm": "champion"}


@dataclass
class Case:
    """An adapter and how to look inside."""

    telemetry: Telemetry
    value: Callable[..., float | None]
    total: Callable[..., float | None]  # sum of a histogram's observations


def memory() -> Case:
    telemetry = MemoryTelemetry()
    return Case(telemetry, telemetry.value, lambda name, **labels: sum(telemetry.observations(name, **labels)))


def prometheus() -> Case:
    registry = CollectorRegistry()
    return Case(
        PrometheusTelemetry(registry),
        lambda name, **labels: registry.get_sample_value(name, labels),
        lambda name, **labels: registry.get_sample_value(f"{name}_sum", labels),
    )


@pytest.fixture(params=[memory, prometheus])
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


def test_a_counter_adds_up_by_its_labels(case: Case) -> None:
    case.telemetry.count(PREDICTIONS, **ARM)
    case.telemetry.count(PREDICTIONS, 4, **ARM)
    case.telemetry.count(PREDICTIONS, 7, **{**ARM, "arm": "challenger"})
    assert case.value(PREDICTIONS, **ARM) == 5
    assert case.value(PREDICTIONS, **{**ARM, "arm": "challenger"}) == 7


def test_a_gauge_keeps_the_last_value(case: Case) -> None:
    for value in (0.3, 0.1):
        case.telemetry.gauge(DRIFT_PSI, value, product="parcels", feature="weight")
    assert case.value(DRIFT_PSI, product="parcels", feature="weight") == 0.1


def test_a_gauge_without_a_value_is_shown_no_more_until_it_is_set_again(case: Case) -> None:
    for feature in ("weight", "price"):
        case.telemetry.gauge(DRIFT_PSI, 0.3, product="parcels", feature=feature)
    for _ in range(2):  # also where there is none
        case.telemetry.gauge(DRIFT_PSI, None, product="parcels", feature="weight")
    assert case.value(DRIFT_PSI, product="parcels", feature="weight") is None
    assert case.value(DRIFT_PSI, product="parcels", feature="price") == 0.3
    case.telemetry.gauge(DRIFT_PSI, 0.1, product="parcels", feature="weight")
    assert case.value(DRIFT_PSI, product="parcels", feature="weight") == 0.1


def test_a_time_of_now_is_shown_as_it_is_and_never_as_infinity(case: Case) -> None:
    now = datetime.now(UTC)
    for lane, at in (("0", now - timedelta(hours=1)), ("1", None)):
        case.telemetry.timestamp(FEATURE_TIME, at, now, product="parcels", lane=lane)
    assert case.value(FEATURE_TIME, product="parcels", lane="0") == pytest.approx(now.timestamp() - 3600, abs=60)
    assert case.value(FEATURE_TIME, product="parcels", lane="1") == float("inf")


def test_a_time_of_a_replay_is_shown_by_the_machine_s_clock() -> None:
    registry, then = CollectorRegistry(), datetime(2013, 3, 1, tzinfo=UTC)
    telemetry = PrometheusTelemetry(registry)
    telemetry.timestamp(FEATURE_TIME, then - timedelta(hours=1), then, product="parcels", lane="0")
    shown = registry.get_sample_value(FEATURE_TIME, {"product": "parcels", "lane": "0"})
    assert time() - shown == pytest.approx(3600, abs=60)


def test_a_histogram_takes_every_observation(case: Case) -> None:
    for value in (0.25, 0.5):
        case.telemetry.observe(LATENCY, value, **ARM)
    assert case.total(LATENCY, **ARM) == 0.75


def test_a_number_that_never_came_has_no_value(case: Case) -> None:
    assert case.value(PREDICTIONS, **ARM) is None


def test_a_name_outside_the_list_is_refused(case: Case) -> None:
    with pytest.raises(HomeostatError, match="homeostat_typos_total"):
        case.telemetry.count("homeostat_typos_total", product="parcels")


@pytest.mark.parametrize("labels", [{}, {"product": "p"}, {"product": "p", "topic": "t", "more": "m"}, {"a": "b"}])
def test_labels_outside_the_list_are_refused(case: Case, labels: dict[str, str]) -> None:
    with pytest.raises(HomeostatError, match=QUARANTINED):
        case.telemetry.count(QUARANTINED, **labels)


def test_a_family_of_another_kind_is_refused(case: Case) -> None:
    with pytest.raises(HomeostatError):
        case.telemetry.gauge(PREDICTIONS, 1, **ARM)
    with pytest.raises(HomeostatError):
        case.telemetry.count(LATENCY, 1, **ARM)


def test_a_counter_does_not_go_down(case: Case) -> None:
    with pytest.raises(HomeostatError, match="can't go down"):
        case.telemetry.count(PREDICTIONS, -1, **ARM)


def test_every_family_is_rendered_with_its_help() -> None:
    text = PrometheusTelemetry().render().decode()
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}" in text


def test_two_adapters_in_one_process_do_not_meet() -> None:
    one, two = PrometheusTelemetry(), PrometheusTelemetry()
    one.count(PREDICTIONS, 5, **ARM)
    assert b'arm="champion"' in one.render()
    assert b'arm="champion"' not in two.render()


def test_metrics_are_served_on_loopback_until_closed() -> None:
    telemetry = PrometheusTelemetry()
    telemetry.count(PREDICTIONS, 5, **ARM)
    close, port = telemetry.serve(0)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b'homeostat_predictions_total{arm="champion",product="parcels",version="3"} 5.0' in answer.read()
    with pytest.raises(HomeostatError, match=str(port)):
        PrometheusTelemetry().serve(port)
    close()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60)
