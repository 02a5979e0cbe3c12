"""Parcels as they come: by day and week, under weather and traffic that last, with values missing."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from homeostat.examples.streams.truth import CARRIERS, SERVICES

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
ROUTES = 120
SILENT = 0.03  # of the temperatures: a station is silent for hours on end
LOST = 0.05  # of the congestion readings, one by one

_WEEK = np.array([1.15, 1.1, 1.1, 1.1, 1.2, 0.8, 0.55])  # Monday to Sunday
_CHANGE_MEMORY_H = {"weather": 24.0, "congestion": 6.0, "backlog": 12.0}  # correlation falls to 1/e over so long


class Hours:
    """What all parcels of one hour share; arrays of shape (hours,), the backlog of (hours, carriers)."""

    def __init__(self, days: int, rng: np.random.Generator) -> None:
        """Draw the hours of a stream."""
        hour = np.arange(days * 24)
        clock = hour % 24
        day_luck = rng.lognormal(0, 0.06, days)
        self.volume = _WEEK[hour // 24 % 7] * (1 - 0.75 * np.cos((clock - 3) / 12 * np.pi)) * day_luck[hour // 24]
        warmth = 7 - 5 * np.cos((clock - 4) / 12 * np.pi)
        self.temperature = warmth + 4 * _lasting(hour.size, _CHANGE_MEMORY_H["weather"], rng)
        rush = np.exp(-((clock - 8) ** 2) / 6) + np.exp(-((clock - 17) ** 2) / 8)
        self.congestion = 0.8 * _lasting(hour.size, _CHANGE_MEMORY_H["congestion"], rng) + 1.2 * rush - 0.4
        self.silent = _lasting(hour.size, 5.0, rng) > 1.88  # the upper 3 % of a normal
        self.backlog = np.stack([0.25 * _lasting(hour.size, _CHANGE_MEMORY_H["backlog"], rng) for _ in CARRIERS], 1)


def parcels(hours: Hours, rows_a_day: float | np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Return parcels in order of time: what a producer sends of each, and ``hour`` and ``backlog`` beside it.

    Args:
        hours: What they share.
        rows_a_day: Their usual number, for all hours or for each one.
        rng: Draws them.
    """
    count = rng.poisson(hours.volume / 24 * rows_a_day)
    hour = np.repeat(np.arange(count.size), count)
    n = hour.size
    second = np.sort(hour * 3600 + rng.integers(0, 3600, n))
    network = np.random.default_rng(11)  # the same in all streams
    busy, length = network.lognormal(0, 0.8, ROUTES), network.lognormal(5.5, 0.6, ROUTES)
    house = network.integers(0, len(CARRIERS), ROUTES)  # the usual carrier of each route
    route = rng.choice(ROUTES, n, p=busy / busy.sum())
    carrier = np.where(rng.uniform(size=n) < 0.5, house[route], rng.integers(0, len(CARRIERS), n))
    reading = hours.congestion[hour] + 0.3 * rng.normal(size=n)
    return pl.DataFrame(
        {
            "event_time": pl.Series(second).cast(pl.Int64) * 1_000_000,
            "route": [f"r{i:03d}" for i in route],
            "carrier": np.array(CARRIERS)[carrier],
            "service": np.array(SERVICES)[rng.choice(3, n, p=[0.35, 0.45, 0.2])],
            "weight_kg": np.round(rng.lognormal(1.0, 0.8, n) + 0.01, 2),
            "distance_km": np.round(length[route] * rng.lognormal(0, 0.15, n) + 1.0, 1),
            "items": 1 + rng.poisson(0.7, n),
            "temperature": pl.Series(np.round(hours.temperature[hour], 1)),
            "congestion": pl.Series(np.round(reading, 3)),
            "silent": hours.silent[hour],
            "lost": rng.uniform(size=n) < LOST,
            "hour": hour,
            "backlog": hours.backlog[hour, carrier],
        }
    ).with_columns(
        event_time=pl.lit(START) + pl.col("event_time").cast(pl.Duration("us")),
        temperature=pl.when(~pl.col("silent")).then("temperature"),
        congestion=pl.when(~pl.col("lost")).then("congestion"),
    )


def _lasting(steps: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Return a normal series of unit variance whose correlation falls to 1/e over ``memory`` steps."""
    carry = np.exp(-1 / memory)
    drawn = rng.normal(size=steps)
    out = np.empty(steps)
    last = rng.normal()
    for i in range(steps):
        out[i] = last = carry * last + np.sqrt(1 - carry**2) * drawn[i]
    return out
