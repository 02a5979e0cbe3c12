"""Drift reports as tables: every column against its limits, the worst first."""

import math
from dataclasses import asdict
from datetime import timedelta
from statistics import NormalDist
from typing import Any

from homeostat.contract.durations import written
from homeostat.contract.model import Contract
from homeostat.drift.budget import false_retrainings, policy_in_force
from homeostat.healing.incidents import told_incident
from homeostat.records import DriftReport, DriftScore

_MONTH = timedelta(days=30)

EMBEDDING = "embedding"
"""The score over the whole feature vector, as ``homeostat.drift.report`` names it; importing that takes SciPy."""


def told_report(report: DriftReport) -> dict[str, Any]:
    """Return a report ready for JSON, its features worst first."""
    return {
        "report_id": report.report_id,
        "at": report.at.isoformat(),
        "status": report.status.value,
        "version": report.version,
        "window_start": report.window_start.isoformat(),
        "window_end": report.window_end.isoformat(),
        "rows": report.rows,
        "reference": report.reference,
        "reasons": list(report.reasons),
        "changed_at": report.changed_at.isoformat() if report.changed_at else None,
        "labelled_since": report.labelled_since,
        "features": [told_score(score) for score in worst_first(report)],
        "prediction": told_score(report.prediction) if report.prediction else None,
        "embedding": told_score(report.embedding) if report.embedding else None,
        "domain": asdict(report.domain) if report.domain else None,
        "performance": asdict(report.performance) if report.performance else None,
        "label_rate": asdict(report.label_rate) if report.label_rate else None,
        "estimate": asdict(report.estimate) if report.estimate else None,
        "incidents": [told_incident(incident) for incident in report.incidents],
    }


def told_limits(contract: Contract) -> dict[str, Any]:
    """Return what a look is judged by, as the contract's alarm budget or its thresholds give it."""
    policy, alarms = policy_in_force(contract), contract.drift.alarms
    per = alarms.per if alarms else _MONTH
    return {
        "by": "alarm budget" if alarms else "thresholds",
        "shared": alarms is not None and "false_discovery_rate" not in contract.drift.model_fields_set,
        "false_retrainings": false_retrainings(contract, per),
        "per": written(per),
        "looks": per / policy.every,
        "every": written(policy.every),
        "window": written(policy.window),
        "confirm": contract.healing.confirm,
        "false_discovery_rate": policy.false_discovery_rate,
        "min_psi": policy.min_psi,
        "min_ks": policy.min_ks,
        "min_loss_increase": policy.min_loss_increase,
        "effect": policy.min_psi**0.5,
    }


def limits_line(told: dict[str, Any]) -> str:
    """Return the limits in words."""
    return (
        f"limits by {told['by']}: at most {told['false_retrainings']:.3g} false retrainings in {told['per']} expected "
        f"({told['looks']:,.0f} looks, {told['confirm']} in a row open a case), so one look alarms by chance with at "
        f"most {told['false_discovery_rate']:.2g}, half for the labels, half for all columns; floors: "
        f"PSI {told['min_psi']:.3g}, KS {told['min_ks']:.3g}, loss {told['min_loss_increase']:.1%}"
    )


def label_lines(told: dict[str, Any]) -> list[str]:
    """Return in words what is broken, what the scores announce of a window, and what labels say of it."""
    lines = [f"data incident: {incident}" for incident in told["incidents"]]
    if told["changed_at"]:
        lines.append(f"changed at about {told['changed_at']}; {told['labelled_since']:,} labelled rows since then")
    if not all(score["reachable"] for score in told["features"]):
        lines.append(
            "limit none: near rows of such a column are so alike that calm windows may differ by any KS; its PSI, or "
            "a longer drift.window, would still tell"
        )
    if told["reference"]:
        lines.append(f"held against {told['reference']}")
    if domain := told["domain"]:
        lines.append(
            f"classifier: AUC {domain['auc']:.3f} of telling the window's rows from the reference's, calm windows "
            f"stay under {domain['auc_limit']:.3f}"
        )
    if estimate := told["estimate"]:
        lines.append(
            f"loss without labels: {estimate['loss']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f}) announced "
            f"by the scores of {estimate['rows']:,} rows"
        )
    if p := told["performance"]:
        verdict = "degraded" if p["degraded"] else "as promised"
        chance = "" if p["calibration_p_value"] is None else f", p {p['calibration_p_value']:.2g}"
        lines.append(
            f"performance: loss {p['loss']:.4f} on {p['rows']:,} mature rows, {p['expected_loss']:.4f} promised, "
            f"p {p['p_value']:.2g}: {verdict}; the mean score lies {abs(p['calibration_error']):.4f} "
            f"{'above' if p['calibration_error'] > 0 else 'below'} the label rate{chance}"
        )
    if labels := told["label_rate"]:
        lines.append(_label_rate_line(labels, told["performance"]))
    return lines


def _label_rate_line(labels: dict[str, Any], performance: dict[str, Any] | None) -> str:
    spread = "" if labels["spread"] is None else f" +- {labels['spread']:.4f} from window to window"
    announced = f"; the scores announce {labels['rate'] + performance['calibration_error']:.4f}" if performance else ""
    moved = "moved, which alarms only where the scores don't follow" if labels["moved"] else "calm"
    return (
        f"label rate: {labels['rate']:.4f}, {labels['training_rate']:.4f}{spread} in training, calm windows lie "
        f"between {labels['low']:.4f} and {labels['high']:.4f}, p {labels['p_value']:.2g}: {moved}{announced}"
    )


def told_score(score: DriftScore) -> dict[str, Any]:
    """Return one column's score; ``value`` and ``limit`` are of the index that exceeds its limit the most."""
    index, value, limit = _worst_index(score)
    return {
        "name": score.name,
        "index": index,
        "value": value,
        "limit": limit,
        "reachable": index != "ks" or limit < 1,  # KS is a difference of two shares
        "ratio": excess(score),
        "visible": _visible(score),
        "p_value": score.p_value,
        "drifted": score.drifted,
        "psi": score.psi,
        "psi_limit": score.psi_limit,
        "ks": score.ks,
        "ks_limit": score.ks_limit,
        "distances": dict(score.distances),
        "embedding": score.embedding,
        "embedding_limit": score.embedding_limit,
        "share": score.share,
        "damage": score.damage,
        "floor_rate": score.floor_rate,
        "floor_training": score.floor_training,
    }


def worst_first(report: DriftReport) -> list[DriftScore]:
    """Return the scores of a report's features: the drifted ones first, by damage, then by their share of the limit."""
    return sorted(
        report.features,
        key=lambda score: (not score.drifted, -(score.damage or 0.0) * score.drifted, -excess(score), score.name),
    )


def excess(score: DriftScore) -> float:
    """Return the score as a multiple of what calm windows stay under."""
    _, value, limit = _worst_index(score)
    return value / limit if limit else 0.0


def _visible(score: DriftScore) -> float:
    """Return how many deviations a normal column would have to move to exceed one of its limits.

    It then has the index ``shift ** 2`` and the Kolmogorov-Smirnov distance ``2 * Phi(shift / 2) - 1``.
    """
    least = math.sqrt(score.size[1])
    if score.ks_limit is not None and score.ks_limit < 1:
        least = min(least, 2 * NormalDist().inv_cdf((1 + score.ks_limit) / 2))
    return least


def _worst_index(score: DriftScore) -> tuple[str, float, float]:
    index, value, limit = score.worst
    return "distance" if score.name == EMBEDDING else index, value, limit
