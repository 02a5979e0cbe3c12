"""Whatever comes in whatever order, a case ends and somebody serves."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.codec import TOPIC_OF, decode
from homeostat.flow import topic_name
from homeostat.healing.operator import Wish
from homeostat.records import CaseState, DriftStatus, TrainingStatus

Rig = Any  # of conftest, which tests can't import
ALIASES = ("champion", "challenger", "previous")

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("drift"), st.sampled_from(list(TrainingStatus))),
        st.tuples(st.just("drift"), st.just(TrainingStatus.CANDIDATE)),
        st.tuples(st.just("report"), st.sampled_from(list(DriftStatus))),
        st.tuples(st.just("outcomes"), st.floats(-0.15, 0.15)),
        st.tuples(st.just("outcomes"), st.sampled_from([-0.1, 0.1])),
        st.tuples(st.just("wait"), st.sampled_from([1, 25, 100])),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("redeliver"), st.sampled_from(list(TOPIC_OF.values())[5:])),
        st.tuples(st.just("promote by hand"), st.none()),
        st.tuples(st.just("reject by hand"), st.none()),
        st.tuples(st.just("decide"), st.tuples(st.sampled_from([*Wish, "aprove"]), st.sampled_from([None, *ALIASES]))),
    ),
    max_size=25,
)


def drift(rig: Rig, status: TrainingStatus) -> None:
    rig.plan["next"] = status
    rig.report(hours=25)
    rig.report()


def outcomes(rig: Rig, gain: float) -> None:
    aliases = rig.registry.aliases()
    if aliases.champion:
        others = {aliases.challenger, aliases.previous} - {None, aliases.champion}
        rig.outcomes({aliases.champion: 0.6, **dict.fromkeys(others, 0.6 + gain)})


def redeliver(rig: Rig, topic: str) -> None:
    messages = rig.log.read(topic_name("toys", topic), 0, 10_000)
    rig.put(*(decode(topic, message.value, message.headers) for message in messages))
    rig.run()


def promote_by_hand(rig: Rig, _: None) -> None:
    if challenger := rig.registry.aliases().challenger:
        rig.registry.set_alias("champion", challenger)
        rig.run()


def reject_by_hand(rig: Rig, _: None) -> None:
    rig.registry.set_alias("challenger", None)
    rig.run()


def decided(rig: Rig) -> list[str]:
    return [entry.entry_id for entry in rig.ledger.entries() if entry.kind != "left_alone"]


def decide(rig: Rig, wish: tuple[str, str | None]) -> None:
    word, alias = wish
    version = getattr(rig.registry.aliases(), alias) if alias else None
    before = rig.registry.aliases(), rig.cases.load(), decided(rig)
    answer = rig.decide(word, version)
    assert answer is not None
    assert answer.startswith(("done: ", "refused: "))
    if answer.startswith("refused: "):
        assert (rig.registry.aliases(), rig.cases.load(), decided(rig)) == before


DO: dict[str, Callable[[Any, Any], None]] = {
    "drift": drift,
    "report": lambda rig, status: rig.report(status),
    "outcomes": outcomes,
    "wait": lambda rig, hours: rig.run(hours),
    "restart": lambda rig, _: rig.restart(),
    "redeliver": redeliver,
    "promote by hand": promote_by_hand,
    "reject by hand": reject_by_hand,
    "decide": decide,
}


def cases_open_at_most_one_at_a_time(rig: Rig) -> bool:
    open_case = None
    for entry in rig.ledger.entries():
        if entry.kind == "case_opened":
            if open_case is not None:
                return False
            open_case = entry.payload["request_id"]
        elif entry.kind in {"promote", "reject", "rollback"}:
            open_case = None
    return True


def holds(rig: Rig) -> None:
    case, aliases = rig.cases.load(), rig.registry.aliases()
    kinds = {entry.kind for entry in rig.ledger.entries()}
    assert aliases.champion is not None or "promote" not in kinds
    assert case.state is not CaseState.TRAINING  # the trainer answers at once, and so must the healer
    assert case.on_trial == (aliases.challenger is not None)
    assert case.on_trial or not case.held
    assert case.unanswered is None
    assert rig.registry.decisions() == []
    assert case.challenger == aliases.challenger
    assert cases_open_at_most_one_at_a_time(rig)
    assert rig.ledger.verify() == len(rig.ledger.entries())


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_the_healer_stays_in_order_whatever_comes(new_rig: Callable[..., Rig], moves: list[tuple[str, Any]]) -> None:
    rig = new_rig()
    rig.first_champion()
    for name, value in moves:
        DO[name](rig, value)
        holds(rig)


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_the_healer_that_asks_for_approval_stays_in_order_whatever_comes(
    new_manual_rig: Callable[..., Rig], moves: list[tuple[str, Any]]
) -> None:
    rig = new_manual_rig()
    rig.first_champion()
    for name, value in moves:
        DO[name](rig, value)
        holds(rig)
    promoted = [e for e in rig.ledger.entries() if e.kind == "promote"]
    assert [entry.actor.partition(":")[0] for entry in promoted[1:]] == ["operator"] * len(promoted[1:])


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_left_alone_every_case_that_nobody_holds_ends(
    new_rig: Callable[..., Rig], moves: list[tuple[str, Any]]
) -> None:
    rig = new_rig()
    rig.first_champion()
    for name, value in moves:
        DO[name](rig, value)
    left = rig.cases.load().request_id
    rig.run(4 * 24)  # the longest canary and its last labels
    if rig.cases.load().held:
        reject_by_hand(rig, None)
    rig.run(8 * 24 + 1)  # the longest cooldown
    case = rig.cases.load()
    assert case.state is CaseState.STABLE or case.request_id != left  # the drift goes on, and so does the budget


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_before_a_cold_start_nothing_that_comes_makes_a_champion_of_nothing(
    new_rig: Callable[..., Rig], moves: list[tuple[str, Any]]
) -> None:
    rig = new_rig()
    for name, value in moves:
        DO[name](rig, value)
        holds(rig)
