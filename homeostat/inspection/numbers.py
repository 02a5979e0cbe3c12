"""The numbers that live in a running instance's metrics; what it does not say is unknown, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time

from homeostat.bootstrap import metric_samples
from homeostat.metric_names import COST_PER_1K, FEATURE_TIME, LABEL_MATURITY, SLA_ATTAINMENT


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one product's metrics say."""

    label_maturity_ratio: float | None = None
    feature_freshness_s: float | None = None
    sla_attainment_ratio: float | None = None
    cost_per_1k_usd: Mapping[str, float] = field(default_factory=dict)  # by part


UNKNOWN = Numbers()


def numbers_in(page: str, product: str) -> Numbers:
    """Return the numbers of a product in a Prometheus text page."""
    names = (LABEL_MATURITY, FEATURE_TIME, SLA_ATTAINMENT, COST_PER_1K)
    ours = [s for s in metric_samples(page, names) if s.labels.get("product") == product and s.value == s.value]
    last = {s.name: s.value for s in ours}
    newest = max((s.value for s in ours if s.name == FEATURE_TIME), default=None)  # of all lanes
    return Numbers(
        label_maturity_ratio=last.get(LABEL_MATURITY),
        feature_freshness_s=None if newest is None else max(0.0, time() - newest),
        sla_attainment_ratio=last.get(SLA_ATTAINMENT),
        cost_per_1k_usd={s.labels["part"]: s.value for s in ours if s.name == COST_PER_1K and "part" in s.labels},
    )
