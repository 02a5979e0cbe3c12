"""What a report is made of; every part is plain data that writes as JSON."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from homeostat.replay.evaluation import Week

Kind = Literal["trigger", "training", "canary", "promotion", "rejection", "rollback"]


@dataclass(frozen=True, slots=True)
class DriftMap:
    """Drift by feature and look."""

    features: tuple[str, ...]
    times: tuple[datetime, ...]
    ratios: list[list[float | None]]  # (n_features, n_looks): index divided by its limit; None: not measured
    drifted: list[list[bool]]  # same shape: what the look concluded
    statuses: tuple[str, ...]  # (n_looks,): healthy, drifted or unknown


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, in one line."""

    at: datetime
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """One decision and what it rests on; ``evidence`` is any nesting of dicts, lists and scalars."""

    at: datetime
    title: str
    action: str
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportData:
    """A whole replay.

    Args:
        title: What was replayed.
        summary: The content of report.json, see ``homeostat.replay.report``.
        weeks: Every model by week, with the keys healed, frozen, monthly.
        drift: The heat map.
        timeline: What happened, in order.
        receipts: The decisions, in order.
        mlflow_command: What to type to look at the experiments and the registry.
    """

    title: str
    summary: dict[str, Any]
    weeks: list[Week]
    drift: DriftMap
    timeline: list[Moment]
    receipts: list[Receipt]
    mlflow_command: str
