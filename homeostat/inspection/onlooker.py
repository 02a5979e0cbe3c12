"""What is: who serves, where the healing case stands, what it waits for, and the evidence for all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from homeostat.canary.routing import served, share_of
from homeostat.contract.model import Contract
from homeostat.flow import FLOW, dead_letters, topic_name
from homeostat.inspection.drift import told_report
from homeostat.inspection.instance import Heartbeat
from homeostat.inspection.numbers import UNKNOWN, Numbers
from homeostat.inspection.waiting import Seen, cold_start, span, waits_for
from homeostat.ports import Aliases, AliasReader, CaseStore, EventLog, Ledger
from homeostat.records import (
    Case,
    CaseState,
    DeadLetter,
    DriftReport,
    DriftStatus,
    Outcome,
)
from homeostat.tail import BEGINNING, Decision, Tail, said

if TYPE_CHECKING:
    from homeostat.inspection.canary import CanaryEvidence

_REPORTS = 20  # read to know how many in a row say drift
_REPORTS_BACK = 200  # searched for one that says something
_SHOWN = 5  # decisions and dead letters
_WORST = 3  # features
_NO_DECISIONS = ("history_began", "left_alone")
_DECISIONS = ("retrain_requests", "training_runs", "promotions")


class Sight(Protocol):
    """The ports an onlooker needs: a whole stack will do."""

    @property
    def log(self) -> EventLog:
        """The event log."""

    @property
    def cases(self) -> CaseStore:
        """The healing case."""

    @property
    def ledger(self) -> Ledger:
        """The decisions."""

    @property
    def registry(self) -> AliasReader:
        """Who serves."""


class Onlooker:
    """Looks at one product again and again; each look reads only what came since the one before."""

    def __init__(self, contract: Contract, sight: Sight) -> None:
        """Take the contract and the ports, of which none is written to."""
        self.contract = contract
        self._sight = sight
        self._tail = Tail(sight.log, contract.product)
        self._canary: CanaryEvidence | None = None
        self._labelled = (0, 0)  # labelled outcomes counted so far, and the offset behind them

    def status(self, now: datetime, numbers: Numbers = UNKNOWN, processes: Sequence[Heartbeat] = ()) -> dict[str, Any]:
        """Return everything ``homeostat status`` shows, ready for JSON; what is not known is None.

        Args:
            now: By the product's clock.
            numbers: What its metrics say.
            processes: The heartbeats of its instance.
        """
        case, aliases = self._sight.cases.load(), served(self._sight.registry.aliases())
        reports = self.reports(_REPORTS)
        return {
            "product": self.contract.product,
            "at": now.isoformat(),
            "champion": aliases.champion,
            "champion_since": _iso(case.serving_since if aliases.champion == case.champion else None),
            "challenger": aliases.challenger,
            "canary_share": share_of(aliases, self.contract.canary) if aliases.challenger else 0.0,
            "previous": aliases.previous,
            "case": {
                "state": case.state.value,
                "reason": case.reason or None,
                "since": _iso(case.since),
                "cooldown_until": _iso(case.cooldown_until),
                "request_id": case.request_id,
                "held": case.held,
            },
            "waits_for": self._waits_for(case, aliases, reports, now),
            "drift": self._drift(reports),
            "label_maturity_ratio": numbers.label_maturity_ratio,
            "feature_freshness_s": numbers.feature_freshness_s,
            "sla": {"attainment_ratio": numbers.sla_attainment_ratio, "target_ratio": self.contract.sla.target_ratio},
            "cost_per_1k_usd": dict(numbers.cost_per_1k_usd) or None,
            "quarantined": self._quarantined(),
            "decisions": self._decisions(),
            "trainings": self._trainings(case, now),
            "unread_rows": self._unread(),
            "processes": [{**asdict(beat), "passed": _iso(beat.passed)} for beat in processes],
        }

    def reports(self, rows: int) -> list[DriftReport]:
        """Return the last drift reports, oldest first."""
        return [record for record in self._tail.newest("drift_reports", rows) if isinstance(record, DriftReport)]

    def report(self, report_id: str) -> DriftReport | None:
        """Return the report with this id, or whose id begins with it, None if none that is kept does."""
        found = (record for _, record in self._tail.after("drift_reports") if isinstance(record, DriftReport))
        return next((report for report in found if report.report_id.startswith(report_id)), None)

    def last_telling(self) -> DriftReport | None:
        """Return the newest report of a window with enough rows to say something, None if there is none of late."""
        reports = reversed(self.reports(_REPORTS_BACK))
        return next((report for report in reports if report.status is not DriftStatus.UNKNOWN), None)

    def last_time(self) -> datetime | None:
        """Return when the last look at the world was taken, None if there was none."""
        return max((report.at for report in self.reports(1)), default=None)

    def _waits_for(self, case: Case, aliases: Aliases, reports: Sequence[DriftReport], now: datetime) -> str:
        seen = Seen(self.contract, case, aliases, tuple(reports), now)
        if case.state is CaseState.CANARY and aliases.champion and case.challenger:
            held = "; held by an operator: it ends by `homeostat approve` or `homeostat reject`" if case.held else ""
            return self._canary_evidence(case).words(case, aliases.champion, now) + held
        if aliases.champion is None and case.state is CaseState.STABLE:
            return cold_start(seen, self._history_since(), self._labelled_rows())
        return waits_for(seen)

    def _canary_evidence(self, case: Case) -> "CanaryEvidence":
        from homeostat.inspection.canary import CanaryEvidence  # noqa: PLC0415 - SciPy, for a canary alone

        if self._canary is None or self._canary.request_id != case.request_id:
            name = topic_name(self.contract.product, "outcomes")
            start = self._sight.log.offset_at(name, case.since or BEGINNING)
            self._canary = CanaryEvidence(self.contract, str(case.request_id), start)
        self._canary.follow(self._tail)
        return self._canary

    def _history_since(self) -> datetime | None:
        began = [entry.at for entry in self._sight.ledger.entries() if entry.kind == "history_began"]
        return min(began, default=None)

    def _labelled_rows(self) -> int:
        """Return how many labelled rows there are, counted up to those a first training needs."""
        rows, offset = self._labelled
        enough = self.contract.training.min_rows
        if rows < enough:
            for at, record in self._tail.after("outcomes", offset):
                rows += isinstance(record, Outcome) and record.label is not None
                offset = at + 1
                if rows >= enough:
                    break
        self._labelled = (rows, offset)
        return rows

    def _drift(self, reports: Sequence[DriftReport]) -> dict[str, Any] | None:
        if not reports:
            return None
        told = told_report(reports[-1])
        worst = told.pop("features")[:_WORST]
        return {**told, "worst": worst}

    def _quarantined(self) -> dict[str, Any]:
        letters: list[DeadLetter] = []
        for row in FLOW:
            newest = self._tail.newest(dead_letters(row.step), _SHOWN)
            letters += [record for record in newest if isinstance(record, DeadLetter)]
        last = sorted(letters, key=lambda letter: letter.at)[-_SHOWN:]
        told = [{"at": _iso(letter.at), "topic": letter.topic, "reason": letter.reason} for letter in last]
        return {"rows": self._tail.quarantined(), "last": told}

    def _decisions(self) -> list[dict[str, Any]]:
        decided = [
            said(record)
            for topic in _DECISIONS
            for record in self._tail.newest(topic, _SHOWN)
            if isinstance(record, Decision)
        ]
        if not decided:  # the log forgets, the ledger doesn't
            told = [e for e in self._sight.ledger.entries() if e.kind not in _NO_DECISIONS and "reason" in e.payload]
            decided = [(entry.at, f"{entry.kind}: {entry.payload['reason']}") for entry in told]
        last = sorted(dict.fromkeys(decided), key=lambda item: item[0])[-_SHOWN:]
        return [{"at": _iso(at), "what": text} for at, text in last]

    def _trainings(self, case: Case, now: datetime) -> dict[str, Any]:
        budget = self.contract.budget
        used = sum(time > now - budget.per for time in case.trained_at)
        return {"used": used, "allowed": budget.max_trainings, "per": span(budget.per)}

    def _unread(self) -> dict[str, int]:
        """Return how far each step is behind its input, in messages; steps that are not are left out."""
        log = self._sight.log
        behind = {row.step: sum(self._behind(log, row.step, row.consumes)) for row in FLOW}
        return {step: rows for step, rows in behind.items() if rows}

    def _behind(self, log: EventLog, step: str, topics: Iterable[str]) -> list[int]:
        names = [topic_name(self.contract.product, topic) for topic in topics]
        return [max(0, log.end(name) - log.committed(step, name)) for name in names]


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
