"""CPU time in money: what 1,000 predictions cost, everything counted."""

from collections.abc import Mapping

from homeostat.contract.policies import Prices
from homeostat.errors import NotEnoughDataError

PART_OF = {
    "ingest": "features",
    "predict": "serving",
    "join": "serving",
    "archive": "features",
    "detect": "monitoring",
    "decide": "monitoring",
    "judge": "monitoring",
    "promote": "monitoring",
    "alert": "monitoring",
    "train": "training",
}
"""The part of the bill that each step belongs to."""


def parts_per_1k(cpu_s: Mapping[str, float], prices: Prices, predictions: int) -> dict[str, float]:
    """Return the cost of 1,000 predictions in USD by part: serving, monitoring and training.

    Args:
        cpu_s: CPU seconds by step, over the time in which the predictions were made.
        prices: The contract's prices.
        predictions: How many those were.

    Raises:
        NotEnoughDataError: There was no prediction to share the cost.
        ValueError: A step belongs to no part.
    """
    if predictions <= 0:
        raise NotEnoughDataError("no prediction yet: the cost of one is unknown")
    unknown = sorted(set(cpu_s) - set(PART_OF))
    if unknown:
        raise ValueError(f"no part of the bill for {', '.join(unknown)}")
    parts = dict.fromkeys(PART_OF.values(), 0.0)
    for step, seconds in cpu_s.items():
        parts[PART_OF[step]] += seconds * prices.usd_per_cpu_hour / 3600 / predictions * 1000
    return parts


def cost_per_1k(cpu_s: Mapping[str, float], prices: Prices, predictions: int) -> float:
    """Return the cost of 1,000 predictions in USD, all parts together; see ``parts_per_1k``.

    >>> round(cost_per_1k({"predict": 36.0, "train": 324.0}, Prices(usd_per_cpu_hour=0.05), 10_000), 9)
    0.0005
    """
    return sum(parts_per_1k(cpu_s, prices, predictions).values())
