"""The bench of one search: rows, blocks, and everything that is tried on them."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.contract.losses import row_losses
from homeostat.contract.model import Contract
from homeostat.errors import ModelError
from homeostat.training.backtest import (
    Effort,
    base_rates,
    forecast,
    forward_blocks,
    labels_of,
    recalibrated,
)
from homeostat.training.calibration import sigmoid
from homeostat.training.champion import Champion, champion_margins
from homeostat.training.models import TabularModel
from homeostat.training.recipe import Recipe, fit_core, quick
from homeostat.training.resampling import weights_for
from homeostat.training.rows import DAY, Rows, day_of
from homeostat.training.space import default_rounds, first_recipes
from homeostat.training.study import Trial, run_study
from homeostat.training.verdict import BASE_RATE, NOTHING, Candidate

FINALISTS = 2  # recipes that go through the backtest on all rows: each costs a fit for each refit there
MIN_LEAD = 0.002  # of the loss on thinned rows; a smaller lead is noise and not worth the fits
REFITS = 3  # fits of a finalist over all blocks
BACKTEST_SHARE = 2  # times search_rows: the most rows such a fit sees; rows of one day repeat one another

_A_MOMENT = 1e-6  # days: keeps the last row of the training itself out of the first block


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate made to serve.

    Args:
        model: Fitted on all rows.
        recipe: How its learner was made.
        weights: The weight of each row, shape (n,).
        fitted: False where the learner is the champion's.
    """

    model: TabularModel
    recipe: Recipe
    weights: np.ndarray
    fitted: bool


class Bench:
    """What one search works on."""

    def __init__(
        self, contract: Contract, rows: Rows, champion: Champion | None, *, seed: int, model_seed: int
    ) -> None:
        """Cut the forward blocks; ``seed`` draws the study, ``model_seed`` every learner.

        Raises:
            NotEnoughDataError: The rows span too little time for any block.
        """
        policy = contract.training
        self._policy = policy
        self._metric = contract.objective.metric
        self._maturity = contract.label.maturity / DAY
        self._seed = seed
        self._model_seed = model_seed
        self.rows = rows
        length = policy.block / DAY
        if champion is not None:
            # Blocks that begin where the champion's training ended show it as it is, all through.
            unseen = float(rows.day[-1]) - champion.trained_until_day - _A_MOMENT
            length = unseen / policy.blocks if length / 2 <= unseen / policy.blocks < length else length
        self.blocks = forward_blocks(rows, policy.blocks, length, self._maturity)

    def trials(self, champion: Champion | None, drift_since: datetime | None, path: Path | None) -> list[Trial]:
        """Return the recipes tried on thinned rows and the newest half of the blocks, best first."""
        end = float(self.rows.day[-1])
        drift_days = end - day_of(drift_since) if drift_since else None
        first = first_recipes(len(self.rows), end - float(self.rows.day[0]), self._incumbent(champion), drift_days)
        newest = self.blocks[len(self.blocks) // 2 :]
        effort = Effort(self._model_seed, self._policy.threads, self._policy.search_rows // len(newest))
        labels = labels_of(newest)

        def measure(recipe: Recipe) -> float:
            margins = forecast(quick(recipe), newest, effort)
            return float(row_losses(self._metric, labels, sigmoid(np.concatenate(margins))).mean())

        rounds = default_rounds(len(self.rows))
        return run_study(measure, first, self._policy.trials, rounds=rounds, seed=self._seed, path=path)

    def candidates(
        self, champion: Champion | None, frame: pl.DataFrame, trials: list[Trial]
    ) -> tuple[list[Candidate], str | None]:
        """Return doing nothing, then the cures, the one to be preferred first; and what is wrong with the champion."""
        nothing, problem = self._nothing(champion, frame)
        out = [nothing]
        for recipe in self._finalists(champion, trials):
            out += self._fitted(recipe)
        if champion is not None and problem is None:
            margins, line = recalibrated(nothing.margins, self.blocks, self._maturity, REFITS)
            out.append(Candidate("recalibrate the champion", margins, None, line))
        return out, problem

    def refit(self, candidate: Candidate, champion: Champion | None) -> Made:
        """Return a candidate fitted on all rows."""
        until = float(self.rows.day[-1])
        if candidate.recipe is None and champion is not None:
            weights = weights_for(champion.recipe.resampling, self.rows, until, self._model_seed)
            return Made(champion.model.recalibrated(candidate.calibration), champion.recipe, weights, fitted=False)
        recipe = candidate.recipe or Recipe()
        core = fit_core(recipe, self.rows, until, seed=self._model_seed, threads=self._policy.threads)
        weights = weights_for(recipe.resampling, self.rows, until, self._model_seed)
        return Made(TabularModel(self.rows.encoder, core, candidate.calibration), recipe, weights, fitted=True)

    def _incumbent(self, champion: Champion | None) -> Recipe:
        """Return the recipe to beat: the champion's, with as many trees as the rows at hand deserve."""
        rounds = default_rounds(len(self.rows))
        if champion is None:
            return Recipe(rounds=rounds)
        linear = champion.recipe.learner == "linear"
        return champion.recipe if linear else replace(champion.recipe, rounds=max(rounds, champion.recipe.rounds))

    def _finalists(self, champion: Champion | None, trials: list[Trial]) -> list[Recipe]:
        """Return the recipe to beat and those with a clear lead over it in the study."""
        incumbent = self._incumbent(champion)
        bar = next((trial.loss for trial in trials if trial.recipe == incumbent), float("inf"))
        ahead = [trial.recipe for trial in trials if trial.loss < bar * (1 - MIN_LEAD)]
        return [incumbent, *ahead][:FINALISTS]

    def _nothing(self, champion: Champion | None, frame: pl.DataFrame) -> tuple[Candidate, str | None]:
        if champion is None:
            return Candidate(BASE_RATE, base_rates(self.blocks)), None
        try:
            margins = champion_margins(champion, frame, self.blocks, self._effort)
        except ModelError as error:  # e.g. the contract has another set of features by now
            return Candidate(BASE_RATE, base_rates(self.blocks)), str(error)
        return Candidate(NOTHING, margins), None

    def _fitted(self, recipe: Recipe) -> list[Candidate]:
        margins = forecast(recipe, self.blocks, self._effort)
        plain = Candidate(recipe.name, margins, recipe)
        lined, line = recalibrated(margins, self.blocks, self._maturity, REFITS)
        return [plain, Candidate(f"{recipe.name}, calibrated", lined, recipe, line)]

    @property
    def _effort(self) -> Effort:
        most = BACKTEST_SHARE * self._policy.search_rows
        return Effort(self._model_seed, self._policy.threads, most, REFITS)
