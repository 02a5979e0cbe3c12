"""Drift reports as tables: every column against its limits, the worst first."""

from typing import Any

from homeostat.records import DriftReport, DriftScore

EMBEDDING = "embedding"
"""The score over the whole feature vector, as ``homeostat.drift.report`` names it; importing that takes SciPy."""


def told_report(report: DriftReport) -> dict[str, Any]:
    """Return a report ready for JSON, its features worst first."""
    performance = report.performance
    return {
        "report_id": report.report_id,
        "at": report.at.isoformat(),
        "status": report.status.value,
        "version": report.version,
        "window_start": report.window_start.isoformat(),
        "window_end": report.window_end.isoformat(),
        "rows": report.rows,
        "reasons": list(report.reasons),
        "features": [told_score(score) for score in worst_first(report)],
        "prediction": told_score(report.prediction) if report.prediction else None,
        "embedding": told_score(report.embedding) if report.embedding else None,
        "performance": {name: getattr(performance, name) for name in performance.__slots__} if performance else None,
    }


def told_score(score: DriftScore) -> dict[str, Any]:
    """Return one column's score; ``value`` and ``limit`` are of the index that exceeds its limit the most."""
    index, value, limit = _worst_index(score)
    return {
        "name": score.name,
        "index": index,
        "value": value,
        "limit": limit,
        "ratio": excess(score),
        "p_value": score.p_value,
        "drifted": score.drifted,
        "psi": score.psi,
        "psi_limit": score.psi_limit,
        "ks": score.ks,
        "ks_limit": score.ks_limit,
    }


def worst_first(report: DriftReport) -> list[DriftScore]:
    """Return the scores of a report's features: the drifted ones first, then by how much of their limit they take."""
    return sorted(report.features, key=lambda score: (not score.drifted, -excess(score), score.name))


def excess(score: DriftScore) -> float:
    """Return the score as a multiple of what calm windows stay under."""
    _, value, limit = _worst_index(score)
    return value / limit if limit else 0.0


def _worst_index(score: DriftScore) -> tuple[str, float, float]:
    indices = [("distance" if score.name == EMBEDDING else "psi", score.psi, score.psi_limit)]
    if score.ks is not None and score.ks_limit is not None:
        indices.append(("ks", score.ks, score.ks_limit))
    return max(indices, key=lambda index: index[1] / index[2] if index[2] else 0.0)
