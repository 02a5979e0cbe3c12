"""Two healers at once, as when a network has parted between them: no harm is done, whenever the second one acts."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from homeostat.errors import StaleCaseError
from homeostat.flow import FLOW, memory_span
from homeostat.records import Case, CaseState
from homeostat.steps.decide import DecideStep
from homeostat.steps.promote import PromoteStep
from homeostat.worker import Worker

Rig = Any  # of conftest, which tests can't import


class Twin:
    """A second healer on the stores of a first one."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        ports = (rig.contract, rig.registry, rig.cases, rig.ledger, rig.telemetry)
        steps = {"decide": DecideStep(*ports, 7), "promote": PromoteStep(*ports)}
        self._workers = [
            Worker(
                row,
                steps[row.step],
                rig.log,
                rig.telemetry,
                product=rig.contract.product,
                memory=memory_span(row.step, rig.contract),
            )
            for row in FLOW
            if row.step in steps
        ]
        for worker in self._workers:
            worker.restore(rig.now)

    def run(self) -> None:
        """Do all there is to do."""
        while sum([worker.run_once(self._rig.now) for worker in self._workers]):
            pass


class Pair:
    """A healer, and a twin that acts in between two of its calls and stays from then on."""

    def __init__(self, make_rig: Callable[..., Rig], at: int | None, *, since_long: bool) -> None:
        self.twin: Twin | None = None
        self.rig = make_rig(at, self._meet)
        self._standing_by = Twin(self.rig) if since_long else None
        self.collisions = 0
        self._save = self.rig.cases.save
        self.rig.cases.save = self._saved

    def _meet(self) -> None:
        self.twin = self._standing_by or Twin(self.rig)
        self.twin.run()

    def _saved(self, case: Case) -> Case:
        try:
            saved: Case = self._save(case)
        except StaleCaseError:
            self.collisions += 1
            raise
        return saved

    def run(self, act: Callable[[], object]) -> None:
        """Let something happen to both."""
        act()
        if self.twin:
            self.twin.run()
        self.rig.run()


def story(pair: Pair) -> None:
    """A promotion, its rollback, and a challenger that an operator turns down."""
    rig = pair.rig
    acts: list[Callable[[], object]] = [
        rig.first_champion,
        rig.canary,
        lambda: rig.outcomes({"1": 0.6, "2": 0.7}),
        lambda: rig.outcomes({"2": 0.6, "1": 0.75}),
        lambda: rig.run(25),
        rig.canary,
        lambda: rig.decide("reject", "3"),
        lambda: rig.run(25),
    ]
    for act in acts:
        pair.run(act)


def end_of(rig: Rig) -> tuple[Any, ...]:
    """Who serves, the case, what was decided and how much was asked for.

    A case that was looked at twice may have a revision more, from which the ids of later requests are made.
    """
    decisions = [(e.kind, e.payload.get("version")) for e in rig.ledger.entries() if e.kind != "left_alone"]
    published = {topic: len(rig.published(topic)) for topic in ("retrain_requests", "promotions")}
    return rig.registry.aliases(), replace(rig.cases.load(), revision=0), decisions, published


@pytest.mark.parametrize(("twin", "first"), [("just started", 1), ("stale", 2)])
def test_a_second_healer_between_any_two_calls_changes_nothing(
    rig_of: Callable[..., Rig], contract: Any, twin: str, first: int
) -> None:
    make_rig = partial(rig_of, contract)
    alone = Pair(make_rig, None, since_long=False)
    story(alone)
    expected, calls = end_of(alone.rig), alone.rig.calls[0]
    assert expected[1].state is CaseState.STABLE
    collisions = 0
    for at in range(first, calls + 1, 2):
        pair = Pair(make_rig, at, since_long=twin == "stale")
        story(pair)
        assert end_of(pair.rig) == expected, f"the second one came after call {at} of {calls}"
        assert pair.rig.ledger.verify() == len(pair.rig.ledger.entries())
        collisions += pair.collisions
    assert collisions > 0  # they did get into each other's way
