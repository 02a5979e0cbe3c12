"""Random histories of operators' edits, verdicts, crashes, lost and doubled messages: what always holds of who serves.

``HOMEOSTAT_HISTORIES`` is how many are drawn; `make prove-histories` draws 10,000.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from homeostat.codec import decode
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.healing.operator import Wish
from homeostat.healing.serving import Serving, serving_at
from homeostat.ports import LedgerEntry, ModelPackage, OperatorDecision
from homeostat.records import HOMEOSTAT, CaseState, TrainingStatus

Rig = Any  # of conftest, which tests can't import

PARTS = 4  # so that several workers share the work
HISTORIES = int(os.environ.get("HOMEOSTAT_HISTORIES", "80")) // PARTS
ALIASES = ("champion", "challenger", "previous")
CHANGES = frozenset({"start", "promote", "reject", "rollback", "adopted"})


class Histories(RuleBasedStateMachine):
    """The healer and the judge; edits of the registry are seen when something wakes them, or when time passes."""

    new_rig: Callable[[], Rig]

    @initialize()
    def begin(self) -> None:
        self.rig = self.new_rig()
        self.rig.first_champion()
        self.is_settled = True

    def settle(self, hours: int = 0) -> None:
        """Look twice: what a person did to an alias may make a tag possible that was not before."""
        self.rig.run(hours)
        self.rig.run()
        self.is_settled = True

    @property
    def versions(self) -> int:
        return sum(self.rig.has(str(version)) for version in range(1, 10))

    @rule(status=st.sampled_from([TrainingStatus.CANDIDATE, TrainingStatus.CANDIDATE, *TrainingStatus]))
    def drift(self, status: TrainingStatus) -> None:
        self.rig.plan["next"] = status
        self.rig.report(hours=25)
        self.rig.report()
        self.settle()

    @rule(gain=st.sampled_from([-0.1, 0.0, 0.1]))
    def outcomes(self, gain: float) -> None:
        aliases = self.rig.registry.aliases()
        if aliases.champion is not None:
            others = {aliases.challenger, aliases.previous} - {None, aliases.champion}
            self.rig.outcomes({aliases.champion: 0.6, **dict.fromkeys(others, 0.6 + gain)})
            self.settle()

    @rule(hours=st.sampled_from([0, 0, 0, 1, 25, 100]))
    def look(self, hours: int) -> None:
        """A message came, perhaps for the second time or for nothing; or it was lost, and time passed."""
        self.settle(hours)

    @rule(topic=st.sampled_from(["training_runs", "canary_verdicts", "promotions", "drift_reports"]))
    def deliver_again(self, topic: str) -> None:
        messages = self.rig.log.read(topic_name("toys", topic), 0, 10_000)
        self.rig.put(*(decode(topic, message.value, message.headers) for message in messages))
        self.settle()

    @rule(calls=st.integers(1, 40))
    def crash(self, calls: int) -> None:
        """The process will die after so many more calls of its ports."""
        self.rig.crash_after(calls)

    @rule(word=st.sampled_from([*Wish, "aprove"]), where=st.sampled_from([None, *ALIASES]))
    def set_tag(self, word: str, where: str | None) -> None:
        version = getattr(self.rig.registry.aliases(), where) if where else None
        self.rig.registry.decide(OperatorDecision(version, word, "ann"))
        self.is_settled = False

    @rule(alias=st.sampled_from(ALIASES), version=st.integers(0, 9))
    def move_alias(self, alias: str, version: int) -> None:
        known = self.versions
        self.rig.registry.set_alias(alias, str(version) if 1 <= version <= known else None)
        self.is_settled = False

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        """Let a version serve that has served before, by hand: what was said of it then is not about now."""
        served = {str(e.payload["champion"]) for e in self.rig.ledger.entries() if e.kind in {"promote", "rollback"}}
        self.rig.registry.set_alias("champion", data.draw(st.sampled_from(sorted(served))))
        self.is_settled = False

    @precondition(lambda self: self.versions < 9)
    @rule()
    def register_by_hand(self) -> None:
        self.rig.registry.register(ModelPackage({}), f"by hand {self.versions}")

    @invariant()
    def one_serves_and_case_registry_and_ledger_agree(self) -> None:
        if not self.is_settled:
            return
        case, aliases = self.rig.cases.load(), self.rig.registry.aliases()
        served = serving_at(self.rig.ledger.entries(), self.rig.now)
        assert aliases.champion is not None
        assert (case.champion, case.previous) == (aliases.champion, aliases.previous)
        assert (case.challenger if case.on_trial else None) == aliases.challenger
        assert (served.champion, served.challenger) == (aliases.champion, aliases.challenger)
        assert case.state is not CaseState.TRAINING
        assert self.rig.registry.decisions() == []

    @invariant()
    def every_change_is_in_the_ledger_once_and_none_without_evidence_or_a_person(self) -> None:
        entries = [entry for entry in self.rig.ledger.entries() if entry.kind in CHANGES]
        assert self.rig.ledger.verify() == len(self.rig.ledger.entries())
        before = Serving()
        for i, entry in enumerate(entries):
            follows(before, entry)
            before = serving_at(entries[: i + 1], self.rig.now)

    @invariant()
    def there_is_a_way_back(self) -> None:
        if not self.is_settled:
            return
        entries = [e for e in self.rig.ledger.entries() if e.kind in CHANGES]
        last = max((i for i, e in enumerate(entries) if e.kind in {"promote", "rollback"}), default=0)
        before = serving_at(entries[:last], self.rig.now).champion
        if entries and entries[last].kind == "promote" and before is not None:
            assert self.rig.registry.aliases().previous == before


def follows(before: Serving, entry: LedgerEntry) -> None:
    """Hold an entry against who served before it."""
    version, evidence = entry.payload["version"], entry.payload.get("evidence", {})
    if entry.kind == "promote":
        assert before.champion != version
        proven = evidence.get("upper") is not None and evidence["upper"] < evidence["limit"]
        assert before.champion is None or entry.actor != HOMEOSTAT or proven
    if entry.kind == "rollback":
        assert before.champion == version
        assert entry.payload["champion"] != version
    if entry.kind == "start":
        assert before.challenger is None
    if entry.kind == "reject":
        assert before.challenger in {None, version}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_one_serves_there_is_a_way_back_and_the_ledger_says_why(
    rig_of: Callable[..., Rig], contract: Contract, manual: Contract, part: int
) -> None:
    product = manual if part == PARTS - 1 else contract
    machine = type(f"Histories{part}", (Histories,), {"new_rig": lambda _: rig_of(product)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=HISTORIES,
            derandomize="HOMEOSTAT_HISTORIES" not in os.environ,  # new ones when asked for
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
