"""What a rehearsal says would have happened is what did happen, and what it says of another contract is its own."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from homeostat.bootstrap import Stack
from homeostat.codec import ARROW
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.replay.driver import Played, Replay, ReplayOptions
from homeostat.replay.live import LiveView
from homeostat.replay.logged import load_log
from homeostat.replay.recording import Recording, Track
from homeostat.replay.rehearsal import Span, rehearse
from homeostat.replay.rehearsed import tell_rehearsal
from tests.stacks import memory_stack

MakeStream = Callable[..., Recording]
CHANGE_DAY = 10
SEED = 1


@pytest.fixture(scope="module")
def stream(make_stream: MakeStream) -> Recording:
    return make_stream(days=20, change_day=CHANGE_DAY)


def day(stream: Recording, number: float) -> datetime:
    return stream.first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=number)


def decisions(played: Played) -> list[tuple]:
    """Every entry of the ledger with its evidence but for the CPU seconds spent, on which no decision rests."""
    return [(e.seq, e.entry_id, e.at, e.kind, e.actor, without_cpu(e.payload)) for e in played.stack.ledger.entries()]


def without_cpu(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: without_cpu(part) for name, part in value.items() if name != "cpu_s"}
    return value


def test_the_rehearsal_of_a_runs_log_by_its_contract_makes_that_runs_decisions(
    contract: Contract, make_stack: Callable[[str], Stack], view: LiveView, stream: Recording
) -> None:
    ran = Replay(contract, stream, make_stack("ran"), ReplayOptions(seed=SEED)).run(view)
    logged = load_log(ran.stack.log, contract.product)
    assert (len(logged.events), len(logged.labels)) == (len(stream.events), len(stream.labels))
    rehearsed = rehearse(contract, logged, make_stack("rehearsed"), view, seed=SEED)
    assert len(decisions(ran)) > 5
    assert decisions(rehearsed) == decisions(ran)
    assert rehearsed.tail.decisions == ran.tail.decisions
    assert rehearsed.tail.reports == ran.tail.reports


@pytest.fixture(scope="module")
def told(contract: Contract, stream: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    stack, view = memory_stack(contract, tmp_path_factory.mktemp("told")), LiveView("test", Console(file=StringIO()))
    played = rehearse(contract, stream, stack, view, span=Span(since=day(stream, 7)), seed=SEED)
    return tell_rehearsal(contract, played, seed=SEED)


def test_it_says_when_it_would_have_alarmed_retrained_and_promoted_and_what_that_is_worth(
    told: dict[str, Any], stream: Recording
) -> None:
    change = day(stream, CHANGE_DAY)
    assert told["first_champion"]["at"] == day(stream, 7).isoformat()
    assert datetime.fromisoformat(told["alarms"][0]["since"]) > change
    assert told["alarms"][0]["reasons"]
    promoted = [case for case in told["retrainings"] if case["decision"] == "promote"]
    assert promoted
    assert all(datetime.fromisoformat(case["at"]) > change for case in told["retrainings"])
    assert told["healed"]["promotions"] == len(promoted)
    assert told["healed"]["log_loss"] < told["do_nothing"]["log_loss"]
    assert told["healed_minus_do_nothing"]["excludes_zero"]


def test_doing_nothing_costs_what_watching_and_training_do_not(told: dict[str, Any]) -> None:
    healed, nothing = told["healed"], told["do_nothing"]
    saved = healed["cpu_h_by_part"]["training"] + healed["cpu_h_by_part"]["monitoring"]
    assert healed["cpu_h_by_part"]["training"] == pytest.approx(sum(case["cpu_h"] for case in told["retrainings"]))
    assert healed["cpu_h"] - nothing["cpu_h"] == pytest.approx(saved)
    assert nothing["cpu_h"] > 0
    assert healed["usd"] == pytest.approx(healed["cpu_h"] * 0.05)


def test_nothing_after_until_is_played(contract: Contract, stack: Stack, view: LiveView, stream: Recording) -> None:
    until = day(stream, CHANGE_DAY)
    played = rehearse(contract, stream, stack, view, span=Span(until=until), seed=SEED)
    assert played.rows == stream.events.index_at(until)
    assert tell_rehearsal(contract, played, seed=SEED)["retrainings"] == []


def test_another_contract_may_have_a_name_and_features_of_its_own(
    contract: Contract, tmp_path: Path, view: LiveView, stream: Recording
) -> None:
    features = {name: feature for name, feature in contract.features.items() if name in {"load", "wind"}}
    other = contract.model_copy(update={"product": "lean_turbines", "features": features})
    played = rehearse(other, stream, memory_stack(other, tmp_path), view, span=Span(until=day(stream, 9)), seed=SEED)
    assert tell_rehearsal(other, played, seed=SEED)["scored_rows"] > 0


def test_fields_that_the_messages_lack_are_named_before_anything_is_played(
    contract: Contract, stack: Stack, view: LiveView, stream: Recording
) -> None:
    fields = {**contract.event.fields, "loud": contract.event.fields["load"]}
    other = contract.model_copy(update={"event": contract.event.model_copy(update={"fields": fields})})
    with pytest.raises(HomeostatError, match=r"events: 'loud' \(did you mean 'load'\?\)"):
        rehearse(other, stream, stack, view)


def test_a_recording_without_labels_is_refused(
    contract: Contract, stack: Stack, view: LiveView, stream: Recording
) -> None:
    mute = Recording(stream.events, Track(np.zeros(0, np.int64), pl.Series([], dtype=pl.Binary)))
    with pytest.raises(HomeostatError, match=r"12,000 events and 0 labels of 'fails'"):
        rehearse(contract, mute, stack, view)


SHORT = {"training.cold_start_after": (3, 600), "training.min_rows of 'turbines' is 500": (9, 40)}


@pytest.mark.parametrize("said", SHORT)
def test_a_recording_too_short_for_a_first_model_is_refused(
    contract: Contract, stack: Stack, view: LiveView, make_stream: MakeStream, said: str
) -> None:
    days, rows_a_day = SHORT[said]
    with pytest.raises(HomeostatError, match=said):
        rehearse(contract, make_stream(days=days, rows_a_day=rows_a_day), stack, view)


def test_a_span_without_events_is_refused(contract: Contract, stack: Stack, view: LiveView, stream: Recording) -> None:
    with pytest.raises(HomeostatError, match="the recording goes from 2030-01-07 00:0"):
        rehearse(contract, stream, stack, view, span=Span(since=day(stream, 30)))


def test_a_message_of_many_rows_counts_as_its_rows(contract: Contract, stack: Stack, stream: Recording) -> None:
    name, many = topic_name(contract.product, "raw_events"), BytesIO()
    pl.DataFrame({"event_id": ["a", "b"], "load": [1.0, 2.0]}).write_ipc_stream(many)
    sent = [
        NewMessage(name, stream.events.values[0]),
        NewMessage(name, many.getvalue(), {"content-type": ARROW}),
        NewMessage(name, b"half a stream", {"content-type": ARROW}),  # nobody could read it then either
    ]
    stack.log.append(sent, stream.first)
    assert len(load_log(stack.log, contract.product).events) == 3


def test_an_empty_log_says_so(contract: Contract, stack: Stack) -> None:
    with pytest.raises(HomeostatError, match="keeps no event of 'turbines'"):
        load_log(stack.log, contract.product)
