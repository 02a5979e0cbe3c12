"""History into a product at rest: what it leaves behind is what a running instance goes on from."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from homeostat.bootstrap import Stack
from homeostat.codec import encode
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.ports import Message, NewMessage
from homeostat.records import Arm, DriftReport, DriftStatus, Prediction
from homeostat.replay.history import Backfill, Progress
from homeostat.replay.recording import Recording, Track
from homeostat.replay.sending import cut
from homeostat.tail import Tail

MakeStream = Callable[..., Recording]


class KilledError(Exception):
    """Stands for a kill -9."""


@pytest.fixture(scope="module")
def past(make_stream: MakeStream) -> Recording:
    return make_stream(days=8)


def test_a_product_has_a_champion_trained_on_its_history(contract: Contract, stack: Stack, past: Recording) -> None:
    done = Backfill(contract, past, stack, seed=1).run()
    assert done.made.champion == "1"
    assert done.made.is_new
    assert done.made.metrics["auc"] > 0.7
    assert (done.events, done.labels, done.unknown, done.refused.rows) == (len(past.events), len(past.labels), 0, 0)
    assert (done.began, done.ended) == (past.first, past.last + timedelta(microseconds=1))
    kinds = [(entry.kind, entry.actor) for entry in stack.ledger.entries()]
    assert kinds == [
        ("history_began", "homeostat"), ("case_opened", "homeostat"), ("promote", "homeostat"),
    ]  # fmt: skip
    assert stack.registry.decisions() == []


def test_nobody_was_served_and_nothing_is_left_to_be_watched(contract: Contract, stack: Stack, past: Recording) -> None:
    Backfill(contract, past, stack, seed=1).run()
    predictions = [record for _, record in Tail(stack.log, contract.product).after("predictions")]
    assert all(isinstance(p, Prediction) and p.arm is Arm.NONE for p in predictions)
    for step, topic in (
        ("detect", "predictions"),
        ("detect", "outcomes"),
        ("judge", "outcomes"),
        ("alert", "outcomes"),
    ):
        name = topic_name(contract.product, topic)
        assert stack.log.committed(step, name) == stack.log.end(name) > 0


def test_messages_bear_the_times_of_the_history(contract: Contract, stack: Stack, past: Recording) -> None:
    done = Backfill(contract, past, stack, seed=1).run()
    for topic in ("raw_events", "features", "outcomes", "promotions"):
        times = [message.time for message in all_of(stack, contract, topic)]
        assert times == sorted(times)
        assert done.began <= times[0]
        assert times[-1] <= done.ended


def test_too_short_a_history_leaves_the_rows_and_says_what_is_missing(
    contract: Contract, stack: Stack, make_stream: MakeStream
) -> None:
    done = Backfill(contract, make_stream(days=4), stack).run()
    assert done.made.champion is None
    assert "cold_start_after" in done.made.reason
    assert not all_of(stack, contract, "retrain_requests")
    assert done.events == 4 * 600


def test_a_training_that_finds_nothing_says_why(contract: Contract, stack: Stack, make_stream: MakeStream) -> None:
    done = Backfill(contract, make_stream(days=8, rows_a_day=60), stack).run()
    assert done.made.champion is None
    assert "failed" in done.made.reason or "nothing better" in done.made.reason


def test_rows_that_break_the_contract_are_counted_by_their_reason(
    contract: Contract, stack: Stack, past: Recording
) -> None:
    values = [
        value.replace(b'"load":', b'"lost":') if i % 100 == 7 else value for i, value in enumerate(past.events.values)
    ]
    broken = replace(past, events=Track(past.events.times, pl.Series(values, dtype=pl.Binary)))
    done = Backfill(contract, broken, stack, seed=1).run()
    assert done.made.champion == "1"
    by_reason = {kind.first: kind.rows for kind in done.refused.kinds}
    assert by_reason["raw_events: field 'load' is missing, expected a number"] == 48


def test_only_what_was_known_by_then_is_played(contract: Contract, stack: Stack, past: Recording) -> None:
    until = past.first + timedelta(days=7)
    done = Backfill(contract, past, stack, until=until, seed=1).run()
    known = cut(past, None, until)
    assert (done.events, done.labels) == (len(known.events), len(known.labels))
    assert done.unknown == len(past.events) + len(past.labels) - done.events - done.labels
    assert done.ended == until


def test_rows_newer_than_the_history_refuse_it(contract: Contract, stack: Stack, past: Recording) -> None:
    name = topic_name(contract.product, "raw_events")
    stack.log.append([NewMessage(name, past.events.values[0])], past.last)
    with pytest.raises(HomeostatError, match="A backfill comes before all other rows"):
        Backfill(contract, past, stack)


def test_a_history_goes_behind_an_older_one_and_both_count(contract: Contract, stack: Stack, past: Recording) -> None:
    half = past.first + timedelta(days=3)
    assert Backfill(contract, past, stack, until=half).run().made.champion is None
    done = Backfill(contract, cut(past, half, None), stack, seed=1).run()
    assert len(list(Tail(stack.log, contract.product).after("features"))) == len(past.events)
    assert done.made.champion == "1"


def test_an_instance_that_only_looked_so_far_takes_an_older_history(
    contract: Contract, stack: Stack, past: Recording
) -> None:
    started = past.last + timedelta(days=300)
    report = DriftReport("r1", started, started - timedelta(days=3), started, 0, DriftStatus.UNKNOWN, None)
    stack.log.append([NewMessage(topic_name(contract.product, "drift_reports"), *encode(report))], started)
    done = Backfill(contract, past, stack, seed=1).run()
    assert done.made.champion == "1"
    assert done.ended == started  # time never goes back
    assert "operator:backfill" in {entry.actor for entry in stack.ledger.entries()}


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_a_backfill_that_was_killed_goes_on_where_it_was(
    contract: Contract, make_stack: Callable[[str], Stack], past: Recording, batch: int
) -> None:
    whole, killed = make_stack("whole"), make_stack("killed")
    seen = []

    def see(at: Progress) -> None:
        seen.append(at)
        if len(seen) == batch:
            raise KilledError

    with pytest.raises(KilledError):
        Backfill(contract, past, killed, seed=1, see=see).run()
    first = Backfill(contract, past, whole, seed=1).run()
    second = Backfill(contract, past, killed, seed=1).run()
    assert (second.made.champion, second.made.metrics) == (first.made.champion, first.made.metrics)
    for topic in ("raw_events", "features", "predictions"):
        assert len(all_of(killed, contract, topic)) == len(all_of(whole, contract, topic))
    released = [{o.event_id: o.label for o in Tail(s.log, contract.product).outcomes()} for s in (killed, whole)]
    assert released[0] == released[1]


def test_another_file_does_not_go_on_with_a_killed_backfill(
    contract: Contract, stack: Stack, past: Recording, make_stream: MakeStream
) -> None:
    def see(at: Progress) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        Backfill(contract, past, stack, see=see).run()
    with pytest.raises(HomeostatError, match="an earlier backfill of another file was cut off"):
        Backfill(contract, make_stream(days=8, seed=4), stack)


def all_of(stack: Stack, contract: Contract, topic: str) -> list[Message]:
    return stack.log.read(topic_name(contract.product, topic), 0, 1_000_000)
