"""What came of a rehearsal: its alarms, incidents, retrainings and promotions, and its cost beside doing nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from homeostat.contract.model import Contract
from homeostat.cost.meter import PART_OF
from homeostat.drift.quarantine import united
from homeostat.records import Action, DriftReport, DriftStatus, Promotion, RetrainRequest, TrainingRun
from homeostat.replay.driver import Played
from homeostat.replay.evaluation import paired_difference, quality
from homeostat.replay.story import score
from homeostat.tail import Decision

HEALING: Final = frozenset({"monitoring", "training"})
"""The parts of the bill that are not there when nothing is done."""


def tell_rehearsal(contract: Contract, played: Played, *, seed: int) -> dict[str, Any]:
    """Return a rehearsal ready for JSON; ``do_nothing`` is the first champion, never replaced, on the same rows."""
    scored = score(played)
    first, cases = _cases(played)
    cpu_s = _cpu_s(played, cases)
    healed, frozen = scored.scores["healed"], scored.scores["frozen"]
    gap = paired_difference(scored.times, scored.labels, healed, frozen)
    return {
        "product": contract.product,
        "seed": seed,
        "first_champion": first,
        "ended_at": played.ended_at.isoformat(),
        "events": played.rows,
        "scored_rows": len(scored.labels),
        "quarantined_rows": played.tail.quarantined(),
        "looks": {s.value: sum(r.status is s for r in played.tail.reports) for s in DriftStatus},
        "alarms": alarms(played.tail.reports),
        "incidents": incidents(played.tail.reports),
        "retrainings": [_told(case, contract) for case in cases],
        "healed": {
            **asdict(quality(scored.labels, healed)),
            "retrainings": len(cases),
            "promotions": sum(case[-1].action is Action.PROMOTE for case in cases if isinstance(case[-1], Promotion)),
            **_bill(cpu_s, contract),
        },
        "do_nothing": {
            **asdict(quality(scored.labels, frozen)),
            "retrainings": 0,
            "promotions": 0,
            **_bill({part: 0.0 if part in HEALING else spent for part, spent in cpu_s.items()}, contract),
        },
        "healed_minus_do_nothing": {**asdict(gap), "excludes_zero": gap.excludes_zero},
        "wall_s": round(played.wall_s, 1),
    }


def alarms(reports: Sequence[DriftReport]) -> list[dict[str, Any]]:
    """Return the stretches of looks in a row that said drift, each with the reasons of its first look."""
    found: list[dict[str, Any]] = []
    is_on = False
    for report in reports:
        if report.status is not DriftStatus.DRIFTED:
            is_on = False
            continue
        if not is_on:
            found.append({"since": report.at.isoformat(), "looks": 0, "reasons": list(report.reasons)})
        found[-1] |= {"until": report.at.isoformat(), "looks": found[-1]["looks"] + 1}
        is_on = True
    return found


def incidents(reports: Sequence[DriftReport]) -> list[dict[str, Any]]:
    """Return what broke, each incident once, as the last look that knew of it told it."""
    known = united(incident for report in reports for incident in report.incidents)
    return [
        {
            "since": one.since.isoformat(),
            "until": one.until.isoformat(),
            "diagnosis": one.kind,
            "columns": list(one.columns),
            "what": one.what,
        }
        for one in sorted(known, key=lambda one: (one.since, one.kind, one.columns))
    ]


Case = list[Decision]


def _cases(played: Played) -> tuple[dict[str, Any], list[Case]]:
    """Return the first champion, which is everybody's, and what followed from each later request, in order."""
    by_request: dict[str, Case] = {}
    first: Promotion | None = None
    for record in sorted(played.tail.story, key=lambda record: not isinstance(record, RetrainRequest)):
        by_request.setdefault(record.request_id, []).append(record)
        if first is None and isinstance(record, Promotion) and record.action is Action.PROMOTE:
            first = record
    if first is not None:
        by_request.pop(first.request_id)
        return {"version": first.version, "at": first.at.isoformat()}, list(by_request.values())
    return {"version": None, "at": None}, list(by_request.values())


def _told(case: Case, contract: Contract) -> dict[str, Any]:
    requests = [record for record in case if isinstance(record, RetrainRequest)]
    runs = [record for record in case if isinstance(record, TrainingRun)]
    ends = [record for record in case if isinstance(record, Promotion)]
    spent_h = sum(run.cpu_s for run in runs) / 3600
    return {
        "at": requests[0].requested_at.isoformat() if requests else None,
        "why": requests[0].reason if requests else None,
        "training": runs[-1].status.value if runs else "not finished",
        "said": runs[-1].reason if runs else None,
        "version": runs[-1].version if runs else None,
        "decision": ends[-1].action.value if ends else None,
        "decided_at": ends[-1].at.isoformat() if ends else None,
        "cpu_h": spent_h,
        "usd": spent_h * contract.prices.usd_per_cpu_hour,
    }


def _cpu_s(played: Played, cases: Sequence[Case]) -> dict[str, float]:
    """Return CPU seconds by part of the bill; a training counts all its threads, and the first one nobody is spared."""
    spent = dict.fromkeys(PART_OF.values(), 0.0)
    for worker in played.loop.workers:
        if worker.row.step != "train":
            spent[PART_OF[worker.row.step]] += worker.cpu_s
    spent["training"] += sum(record.cpu_s for case in cases for record in case if isinstance(record, TrainingRun))
    return spent


def _bill(cpu_s: dict[str, float], contract: Contract) -> dict[str, Any]:
    hours = {part: spent / 3600 for part, spent in cpu_s.items()}
    return {
        "cpu_h": sum(hours.values()),
        "cpu_h_by_part": hours,
        "usd": sum(hours.values()) * contract.prices.usd_per_cpu_hour,
    }
