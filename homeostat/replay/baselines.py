"""What a frozen model and a monthly cron job would have scored on the same rows.

``frozen`` is the first champion, never replaced. ``monthly`` refits the first champion's recipe at the
start of each calendar month (UTC) on every row whose label was mature by then. The refits run in a
thread of their own (LightGBM lets go of the interpreter): they take no part in the loop and must not take its time.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import numpy as np
import polars as pl

from homeostat.contract.model import Contract
from homeostat.ports import OfflineFeatures
from homeostat.training.models import dump_model, load_model
from homeostat.training.recipe import Recipe, fit

Files = Mapping[str, bytes]


class Baselines:
    """Collects the two baselines while the stream runs, and scores at its end."""

    def __init__(self, contract: Contract, offline: OfflineFeatures, seed: int, *, monthly: bool = True) -> None:
        """Take the contract and the store that both learn from, the same one the healer uses.

        Without ``monthly`` there are no refits, and the monthly scores are those of the frozen model.
        """
        self._contract = contract
        self._offline = offline
        self._seed = seed
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="baselines")
        self._recipe: Recipe | None = None
        self._frozen: Files = {}
        self._refits: dict[datetime, Future[Files]] = {}
        self._month: tuple[int, int] | None = None
        self._monthly = monthly

    def begin(self, champion: Files, now: datetime) -> None:
        """Take the first champion: from now on there is something to compare with."""
        self._frozen = champion
        self._recipe = Recipe.from_json(champion["recipe.json"])
        self._month = (now.year, now.month)

    def advance(self, now: datetime) -> None:
        """Start a refit when a calendar month has begun since the last call."""
        if not self._monthly or self._recipe is None or (now.year, now.month) == self._month:
            return
        self._month = (now.year, now.month)
        frame = self._offline.training_frame(now)
        job = (self._recipe, frame, self._contract.feature_names, self._contract.categorical, self._seed)
        self._refits[now] = self._pool.submit(_refit, *job)

    @property
    def refits(self) -> int:
        """How many refits the monthly baseline has made or begun."""
        return len(self._refits)

    def scores(self, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of frozen and monthly, shape (n,) each, for rows in event-time order."""
        frozen = load_model(self._frozen).score(frame)
        monthly = frozen.copy()
        times = frame["event_time"].to_numpy()
        for start, refit in sorted(self._refits.items()):
            rows = times >= np.datetime64(start.replace(tzinfo=None), "us")
            if rows.any():
                monthly[rows] = load_model(refit.result()).score(frame.filter(rows))
        self._pool.shutdown()
        return frozen, monthly


def _refit(
    recipe: Recipe, frame: pl.DataFrame, features: tuple[str, ...], categorical: frozenset[str], seed: int
) -> Files:
    until = frame["event_time"].max()
    if not isinstance(until, datetime):
        raise TypeError(f"event_time is {type(until)}; expected datetime")
    model = fit(recipe, frame, features, categorical, until=until, seed=seed, threads=1)
    return dump_model(model)
