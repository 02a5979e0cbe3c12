"""How a parcel comes to be late, before and after the world changed."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

CARRIERS = ("ardent", "boreal", "cobalt", "dromedary", "estuary")
SERVICES = ("economy", "standard", "express")


@dataclass(frozen=True, slots=True)
class World:
    """The log-odds of being late as a sum of effects; a missing value has the effect of an average one."""

    base: float
    weight: float  # for each factor e in weight
    distance: float  # for each factor e in distance
    congestion: float  # for each standard deviation
    frost: float  # below zero degrees
    carriers: tuple[float, ...]  # in the order of CARRIERS
    services: tuple[float, ...]  # in the order of SERVICES
    heavy_express: float = 0.0  # an express parcel above 10 kg

    def log_odds(self, rows: pl.DataFrame) -> np.ndarray:
        """Return the log-odds of being late, shape (n,), without the backlog of the day."""
        weight, distance = (np.log(rows[name].to_numpy()) for name in ("weight_kg", "distance_km"))
        heavy = (rows["weight_kg"].to_numpy() > 10) & (rows["service"] == "express").to_numpy()
        return np.asarray(
            self.base
            + self.weight * (weight - 1.0)
            + self.distance * (distance - 5.5)
            + self.congestion * rows["congestion"].fill_null(0.0).to_numpy()
            + self.frost * (rows["temperature"].fill_null(10.0).to_numpy() < 0)
            + np.array(self.carriers)[_codes(rows["carrier"], CARRIERS)]
            + np.array(self.services)[_codes(rows["service"], SERVICES)]
            + self.heavy_express * heavy
        )


BEFORE = World(
    base=-1.4,
    weight=0.6,
    distance=0.5,
    congestion=0.5,
    frost=0.6,
    carriers=(-0.6, -0.3, 0.0, 0.3, 0.8),
    services=(0.4, 0.0, -0.6),
    heavy_express=0.5,
)
"""The world that the first champion learns."""

AFTER = replace(
    BEFORE, base=-1.25, weight=-0.2, distance=0.9, carriers=(0.5, -0.3, 0.0, 0.3, -0.6), services=(0.0, 0.0, -0.2)
)
"""Two carriers changed places, heavy parcels got a belt of their own, far ones have to wait; as many are late."""


def _codes(values: pl.Series, known: tuple[str, ...]) -> np.ndarray:
    return values.cast(pl.Enum(known)).to_physical().to_numpy()
