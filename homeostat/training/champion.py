"""The serving model as a contender: scored as it is on rows it has not seen, and never flattered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from homeostat.errors import ModelError
from homeostat.ports import ModelPackage
from homeostat.training.backtest import Block, Effort, forecast
from homeostat.training.calibration import logit
from homeostat.training.models import TabularModel, load_model
from homeostat.training.recipe import RECIPE_FILE, Recipe
from homeostat.training.rows import DAY, day_of

TRAINED_UNTIL = "trained_until"
"""The package parameter that holds the newest event time the learner was fitted on, ISO-8601."""

SEED = "seed"
"""The package parameter that holds the seed of the learner."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that serves.

    Args:
        model: As it answers today.
        recipe: How it was made.
        trained_until: The newest event time its learner was fitted on.
        version: Its version in the registry.
        seed: What drew its learner; None if unknown.
    """

    model: TabularModel
    recipe: Recipe
    trained_until: datetime
    version: str = ""
    seed: int | None = None

    @property
    def trained_until_day(self) -> float:
        """``trained_until`` in days since 1970."""
        return day_of(self.trained_until)


def load_champion(package: ModelPackage, version: str) -> Champion:
    """Return the champion stored in a package.

    Raises:
        ModelError: The package can't be read, or does not say what it was trained on.
    """
    if RECIPE_FILE not in package.files or TRAINED_UNTIL not in package.params:
        raise ModelError(f"version {version} has no {RECIPE_FILE} or no parameter {TRAINED_UNTIL}")
    try:
        until = datetime.fromisoformat(package.params[TRAINED_UNTIL])
    except ValueError as error:
        raise ModelError(f"version {version}: {TRAINED_UNTIL} is no time: {error}") from error
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    seed = package.params.get(SEED, "")
    return Champion(
        model=load_model(package.files),
        recipe=Recipe.from_json(package.files[RECIPE_FILE]),
        trained_until=until,
        version=version,
        seed=int(seed) if seed.isdigit() else None,
    )


def champion_margins(
    champion: Champion, frame: pl.DataFrame, blocks: Sequence[Block], effort: Effort
) -> list[np.ndarray]:
    """Return the margins of doing nothing on the rows of each block.

    Rows the champion was fitted on would flatter it. They are scored by a stand-in: its recipe, refitted
    on what was known before the block.

    Args:
        champion: The model that serves.
        frame: The labelled rows the blocks were cut from, in event-time order.
        blocks: The blocks, oldest first.
        effort: What a stand-in may cost.

    Raises:
        ModelError: The champion can't score these features.
    """
    day = frame["event_time"].dt.epoch("us").to_numpy() / (DAY // timedelta(microseconds=1))
    first = int(np.searchsorted(day, blocks[0].start, side="left"))
    margins, day = logit(champion.model.score(frame.slice(first))), day[first:]
    out = []
    for block in blocks:
        low, high = np.searchsorted(day, [block.start, block.end], side="left")
        own = margins[int(low) : int(high)]
        seen = block.rows.day <= champion.trained_until_day
        if seen.any():
            own = np.where(seen, forecast(champion.recipe, [block], effort)[0], own)
        out.append(own)
    return out
