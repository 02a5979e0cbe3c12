from collections.abc import Callable

import numpy as np
import pytest

from homeostat.bootstrap import Stack
from homeostat.contract.model import Contract
from homeostat.records import Action, CaseState, DriftStatus, Promotion, RetrainRequest
from homeostat.replay.driver import Played, Replay, ReplayOptions
from homeostat.replay.live import LiveView
from homeostat.replay.recording import Recording
from homeostat.replay.story import score

OPTIONS = ReplayOptions(seed=1)
MakeStream = Callable[..., Recording]


def promotions(played: Played) -> list[Promotion]:
    return [r for r in played.tail.story if isinstance(r, Promotion) and r.action is Action.PROMOTE]


@pytest.fixture
def healed(contract: Contract, stack: Stack, view: LiveView, make_stream: MakeStream) -> Played:
    return Replay(contract, make_stream(days=22, change_day=10), stack, OPTIONS).run(view)


def test_a_model_whose_world_turned_round_is_replaced_and_the_loss_comes_back(healed: Played) -> None:
    assert len(promotions(healed)) >= 2
    assert any(report.status is DriftStatus.DRIFTED for report in healed.tail.reports)
    scored = score(healed)
    late = scored.times > np.quantile(scored.times, 0.8)
    hits = {
        name: np.mean((values[late] > 0.5) == (scored.labels[late] > 0.5)) for name, values in scored.scores.items()
    }
    assert hits["healed"] > hits["frozen"] + 0.2


def test_every_decision_is_in_a_ledger_that_verifies(healed: Played) -> None:
    assert healed.stack.ledger.verify() >= 4
    assert all(entry.payload.get("reason") or entry.kind == "history_began" for entry in healed.stack.ledger.entries())


def test_a_stream_without_drift_is_left_alone(
    contract: Contract, stack: Stack, view: LiveView, make_stream: MakeStream
) -> None:
    played = Replay(contract, make_stream(days=16), stack, OPTIONS).run(view)
    assert len(promotions(played)) == 1  # the first champion
    assert sum(isinstance(record, RetrainRequest) for record in played.tail.story) == 1
    assert played.stack.cases.load().state is CaseState.STABLE


def test_the_same_seed_gives_the_same_decisions_and_scores(
    contract: Contract, view: LiveView, make_stream: MakeStream, make_stack: Callable[[str], Stack]
) -> None:
    stream = make_stream(days=15, change_day=8)
    first, second = (Replay(contract, stream, make_stack(name), OPTIONS).run(view) for name in "ab")
    assert first.tail.decisions == second.tail.decisions
    assert np.array_equal(score(first).scores["healed"], score(second).scores["healed"])
