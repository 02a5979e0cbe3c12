"""Random histories of operators' edits, verdicts, crashes, lost and doubled messages: what always holds of who serves.

``HOMEOSTAT_HISTORIES`` is how many are drawn; `make prove-histories` draws 10,000.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
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

from homeostat.canary.routing import served
from homeostat.codec import decode
from homeostat.contract.model import Contract
from homeostat.contract.policies import CanaryPolicy
from homeostat.flow import topic_name
from homeostat.healing.operator import Wish
from homeostat.healing.serving import Serving, serving_at
from homeostat.healing.tags import SHARE_TAG
from homeostat.ports import LedgerEntry, ModelPackage, OperatorDecision
from homeostat.records import HOMEOSTAT, CaseState, TrainingStatus

Rig = Any  # of conftest, which tests can't import

KINDS: dict[str, dict[str, Any]] = {  # of canaries, and parts of the work for several workers
    "one-share": {"share": 0.1},
    "approved": {"share": 0.1, "approval": "manual"},
    "steps": {"steps": [0.05, 0.25, 1.0], "step_time": "6h", "max_duration": "9d"},
    "steps-approved": {"steps": [0.05, 0.25, 1.0], "step_time": "1d", "max_duration": "9d", "approval": "manual"},
    "shadow-first": {"steps": [0.0, 0.25, 1.0], "step_time": "6h", "max_duration": "9d"},
    "within": {"share": 0.1, "approval": "automatic_within", "within": {"max_loss": 0.38}},
    "deadline": {"share": 0.1, "approval": "manual", "approval_deadline": "2d"},
}
HISTORIES = int(os.environ.get("HOMEOSTAT_HISTORIES", "80")) // len(KINDS)
ALIASES = ("champion", "challenger", "previous")
CHANGES = frozenset({"start", "step", "promote", "reject", "rollback", "adopted"})
BETTER = 0.1
GAINS = st.sampled_from([-0.1, 0.0, BETTER, BETTER])


class Histories(RuleBasedStateMachine):
    """The healer and the judge; edits of the registry are seen when something wakes them, or when time passes."""

    new_rig: Callable[[], Rig]

    @initialize(good_looks=st.sampled_from([None, 0, 1, 1, 2, 2]))
    def begin(self, good_looks: int | None) -> None:
        """Begin with a champion alone, or with a canary that has gone well so far."""
        self.rig = self.new_rig()
        self.rig.first_champion()
        if good_looks is not None:
            self.rig.canary()
        for _ in range(good_looks or 0):
            self.label(BETTER)
            self.rig.run()
        self.is_settled = True
        self.taken_away: str | None = None

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

    @rule(gain=GAINS)
    def outcomes(self, gain: float) -> None:
        self.label(gain)
        self.settle()

    @rule(gain=GAINS, calls=st.integers(1, 25))
    def outcomes_and_a_crash(self, gain: float, calls: int) -> None:
        """The process dies with the work half done, and a person may act before it goes on."""
        self.label(gain)
        self.rig.run_part_way(calls)
        self.is_settled = False

    def label(self, gain: float) -> None:
        aliases = self.rig.registry.aliases()
        if aliases.champion is not None:
            others = {aliases.challenger, aliases.previous} - {None, aliases.champion}
            self.rig.label({aliases.champion: 0.6, **dict.fromkeys(others, 0.6 + gain)})

    @rule(hours=st.sampled_from([0, 0, 0, 1, 25, 100]))
    def look(self, hours: int) -> None:
        """A message came, perhaps for the second time or for nothing; or it was lost, and time passed."""
        self.settle(hours)

    @rule(
        topic=st.sampled_from(["training_runs", "canary_verdicts", "promotions", "drift_reports"]),
        last=st.integers(0, 2),
    )
    def deliver_again(self, topic: str, last: int) -> None:
        """All messages come again, or all but the last ones, that would set right what the older ones did."""
        messages = self.rig.log.read(topic_name("toys", topic), 0, 10_000)
        messages = messages[: max(0, len(messages) - last)]
        self.rig.put(*(decode(topic, message.value, message.headers) for message in messages))
        self.settle()

    @rule(calls=st.integers(1, 40))
    def crash(self, calls: int) -> None:
        """The process will die after so many more calls of its ports."""
        self.rig.crash_after(calls)

    @rule(calls=st.integers(0, 20), more=st.integers(0, 5), carried_out=st.booleans())
    def lose_registry(self, calls: int, more: int, *, carried_out: bool) -> None:
        """MLflow will not answer some calls, the first of which it may have carried out."""
        self.rig.lose_registry(calls, more, carried_out=carried_out)

    @rule(word=st.sampled_from([*Wish, "aprove"]), where=st.sampled_from([None, *ALIASES]))
    def set_tag(self, word: str, where: str | None) -> None:
        version = getattr(self.rig.registry.aliases(), where) if where else None
        self.rig.registry.decide(OperatorDecision(version, word, "ann"))
        self.is_settled = False

    @precondition(lambda self: self.rig.registry.aliases().challenger is not None)
    @rule(gain=GAINS, word=st.sampled_from([Wish.REJECT, Wish.HOLD]))
    def stop_what_is_on_its_way(self, gain: float, word: str) -> None:
        """A person stops a challenger after the judge has spoken and before anybody has listened."""
        self.settle()
        before = len(self.rig.ledger.entries())
        self.label(gain)
        if not self.rig.judged():
            return
        case = self.rig.cases.load()
        if not case.on_trial:
            return
        self.rig.registry.decide(OperatorDecision(case.challenger, word, "ann"))
        self.settle()
        for entry in self.rig.ledger.entries()[before:]:
            loop_s_own = entry.actor == HOMEOSTAT and entry.payload.get("version") == case.challenger
            assert not (loop_s_own and entry.kind in {"step", "promote"})

    @rule(alias=st.sampled_from(ALIASES), version=st.integers(0, 9))
    def move_alias(self, alias: str, version: int) -> None:
        known = self.versions
        self.rig.registry.set_alias(alias, str(version) if 1 <= version <= known else None)
        self.is_settled = False

    @rule(text=st.sampled_from(["{}: 0.9", "{}: 0.0", "7: 0.5", "all of it"]))
    def edit_share(self, text: str) -> None:
        """A person edits the tag that those who serve read the challenger's share from."""
        tag = text.format(self.rig.registry.aliases().challenger)
        self.rig.registry._retag(None, {SHARE_TAG: tag})
        self.is_settled = False

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        """Let a version serve that has served before, by hand: what was said of it then is not about now."""
        before = {str(e.payload["champion"]) for e in self.rig.ledger.entries() if e.kind in {"promote", "rollback"}}
        self.rig.registry.set_alias("champion", data.draw(st.sampled_from(sorted(before))))
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
        told = serving_at(self.rig.ledger.entries(), self.rig.now)
        assert aliases.champion is not None
        on_trial = (case.challenger, case.share) if case.on_trial else (None, None)
        assert (case.champion, case.previous, *on_trial) == (
            aliases.champion, aliases.previous, aliases.challenger, aliases.share,
        )  # fmt: skip
        assert (told.champion, told.challenger, told.share) == (aliases.champion, *on_trial)
        assert served(aliases) == replace(aliases, since=case.serving_since)
        assert case.state is not CaseState.TRAINING
        assert self.rig.registry.decisions() == []

    @invariant()
    def every_change_is_in_the_ledger_once_and_none_without_evidence_or_a_person(self) -> None:
        entries = [entry for entry in self.rig.ledger.entries() if entry.kind in CHANGES]
        assert self.rig.ledger.verify() == len(self.rig.ledger.entries())
        before = Serving()
        for i, entry in enumerate(entries):
            follows(before, entry, self.rig.contract.canary.climb)
            before = serving_at(entries[: i + 1], self.rig.now)

    @invariant()
    def whoever_may_answer_has_passed_the_gates(self) -> None:
        """At every moment, settled or not: what a person did to an alias waits for the loop to vouch for it."""
        may = served(self.rig.registry.aliases())
        passed = {e.payload["version"] for e in self.rig.ledger.entries() if e.kind in {"start", "promote", "adopted"}}
        assert may.champion in passed
        assert {may.challenger, may.previous} <= {None, *passed}

    @invariant()
    def a_challenger_that_a_person_took_away_gets_no_more_traffic(self) -> None:
        case, aliases = self.rig.cases.load(), self.rig.registry.aliases()
        if self.is_settled and self.taken_away is not None:
            last = [entry for entry in self.rig.ledger.entries() if entry.payload.get("version") == self.taken_away][-1]
            assert (last.kind, last.actor) != ("promote", HOMEOSTAT)
            assert not case.on_trial or case.challenger != self.taken_away
        is_gone = case.on_trial and aliases.champion == case.champion and aliases.challenger != case.challenger
        self.taken_away = case.challenger if is_gone else None

    @invariant()
    def there_is_a_way_back(self) -> None:
        if not self.is_settled:
            return
        entries = [e for e in self.rig.ledger.entries() if e.kind in CHANGES]
        last = max((i for i, e in enumerate(entries) if e.kind in {"promote", "rollback"}), default=0)
        before = serving_at(entries[:last], self.rig.now).champion
        if entries and entries[last].kind == "promote" and before is not None:
            assert self.rig.registry.aliases().previous == before


def follows(before: Serving, entry: LedgerEntry, climb: tuple[float, ...]) -> None:
    """Hold an entry against who served before it, and with what share."""
    version, share, evidence = entry.payload["version"], entry.payload.get("share"), entry.payload.get("evidence", {})
    proven = evidence.get("upper") is not None and evidence["upper"] < evidence["limit"]
    if entry.kind == "promote":
        assert before.champion != version
        assert before.champion is None or entry.actor != HOMEOSTAT or (proven and before.share == climb[-1])
    if entry.kind == "rollback":
        assert before.champion == version
        assert entry.payload["champion"] != version
    if entry.kind == "start":
        assert (before.challenger, share) == (None, climb[0])
    if entry.kind == "step":
        assert (before.challenger, entry.actor) == (version, HOMEOSTAT)
        assert (before.share, share) in pairwise(climb)
        assert proven or share < 1
    if entry.kind == "reject":
        assert before.challenger in {None, version}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_happens_one_serves_there_is_a_way_back_and_the_ledger_says_why(
    rig_of: Callable[..., Rig], contract: Contract, kind: str
) -> None:
    asked = {**contract.canary.model_dump(exclude_unset=True), "share": None, **KINDS[kind]}
    canary = CanaryPolicy.model_validate({name: value for name, value in asked.items() if value is not None})
    product = contract.model_copy(update={"canary": canary})
    machine = type("Histories", (Histories,), {"new_rig": lambda _: rig_of(product)})
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
