from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.stream_clock import UNSET
from homeostat.bootstrap import build_workers
from homeostat.flow import FLOW, topic_name
from homeostat.ports import ModelPackage
from homeostat.processes.rounds import KEPT, SERVED, TRAINED, Rounds
from homeostat.processes.stores import Product

from .conftest import HOUR, START

DAY = timedelta(days=1)
Make = Callable[[], Rounds]


@pytest.fixture
def make(product: Product) -> Make:
    def rounds() -> Rounds:
        made = Rounds(
            product, PrometheusTelemetry(), build_workers(product.contract, product.stack, 1, KEPT), promptly=True
        )
        made.restore(START)
        return made

    return rounds


def reports(product: Product) -> int:
    return product.stack.log.end(topic_name("turbines", "drift_reports"))


def test_every_step_of_the_map_runs_in_one_process() -> None:
    assert sorted((*SERVED, *KEPT, *TRAINED)) == sorted(row.step for row in FLOW)


def test_a_look_is_due_once_on_each_beat(product: Product, make: Make) -> None:
    rounds = make()
    seen = []
    for hours in (0, 1, 23, 24, 25, 47, 49, 24 * 30):  # a beat missed many times is one look
        rounds.run(START + hours * HOUR)
        seen.append(reports(product))
    assert seen == [1, 1, 1, 2, 2, 2, 3, 4]


def test_a_restart_between_beats_does_not_look_again(product: Product, make: Make) -> None:
    make().run(START + HOUR)
    make().run(START + 2 * HOUR)
    assert reports(product) == 1
    make().run(START + DAY)
    assert reports(product) == 2


def test_nothing_is_due_before_a_replay_has_begun(product: Product, make: Make) -> None:
    assert make().run(UNSET) == 0
    assert reports(product) == 0


def test_a_round_in_which_nothing_is_left_says_so(
    product: Product, make: Make, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    rounds = make()
    now = START + HOUR
    send(now, 20)
    serve(now)
    assert rounds.run(now) > 0
    assert rounds.run(now) == 0


def test_in_a_replay_a_look_waits_until_the_server_has_seen_everything(
    product: Product, make: Make, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    rounds = make()
    send(START, 20)
    assert rounds.run(START) > 0
    assert reports(product) == 0
    serve(START)
    rounds.run(START)
    assert reports(product) == 1


def test_all_rows_are_archived_before_a_training_is_asked_for(
    product: Product, make: Make, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    rounds = make()
    requests = topic_name("turbines", "retrain_requests")
    now = START
    while not product.stack.log.end(requests):
        now += 6 * HOUR
        send(now, 30)
        serve(now)
        rounds.run(now)
    until = now - product.contract.label.maturity
    assert len(product.stack.offline.training_frame(now)) == 30 * ((until - START) // (6 * HOUR))
    assert now - START < 8 * DAY


def test_a_look_that_fails_keeps_no_operator_waiting(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(now: datetime) -> int:
        raise ArithmeticError("a share of 1.0000000000000002")

    workers = build_workers(product.contract, product.stack, 1, KEPT)
    monkeypatch.setattr(workers["detect"], "run_once", fails)
    by_hand = product.stack.registry.register(ModelPackage({}), "by hand")
    product.stack.registry.set_alias("champion", by_hand)
    with pytest.raises(ArithmeticError):
        Rounds(product, PrometheusTelemetry(), workers).run(START)
    assert product.stack.cases.load().champion == by_hand


def test_who_is_woken_follows_the_registry_at_once(product: Product) -> None:
    workers = build_workers(product.contract, product.stack, 1, ("promote",))
    rounds = Rounds(product, PrometheusTelemetry(), workers)
    rounds.run(START)  # the first look
    stranger = product.stack.registry.register(ModelPackage({}), "by hand")
    product.stack.registry.set_alias("challenger", stranger)
    product.stack.registry.set_alias("champion", stranger)
    rounds.run(START)
    assert product.stack.cases.load().champion is None  # it was looked at a moment ago
    rounds.wake()
    rounds.run(START)
    assert product.stack.cases.load().champion == stranger
