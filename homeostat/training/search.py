"""The search for a better model: trials, a paired forward backtest, and a refit of the winner."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from homeostat.contract.model import Contract
from homeostat.errors import NotEnoughDataError
from homeostat.training.attribution import compared
from homeostat.training.backtest import days_of
from homeostat.training.bench import Bench, Made
from homeostat.training.champion import Champion
from homeostat.training.paired import mean_error
from homeostat.training.receipt import receipt_of
from homeostat.training.resampling import effective_rows
from homeostat.training.rows import encode_rows
from homeostat.training.verdict import Scored, choose, score_all


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What came of a search.

    Args:
        reason: Why the winner won, or why there is none.
        receipt: Everything the decision rests on, JSON-able.
        made: The winner made to serve; None where nothing is better, as for all that follow.
        model_seed: What drew its learner.
        winner: Its line in the backtest: validation losses and the paired difference.
        expected_loss_se: Standard error of the winner's mean validation loss, over time blocks.
        trained_until: The newest event time its learner was fitted on.
    """

    reason: str
    receipt: dict[str, object]
    made: Made | None = None
    model_seed: int = 0
    winner: Scored | None = None
    expected_loss_se: float = 0.0
    trained_until: datetime | None = None


def search(
    contract: Contract,
    frame: pl.DataFrame,
    champion: Champion | None,
    *,
    seed: int,
    study_path: Path | None = None,
    drift_since: datetime | None = None,
) -> SearchResult:
    """Return the best cure for a model, which may be none.

    Args:
        contract: Features, label maturity, objective and training policy.
        frame: Labelled rows: ``event_time``, ``label`` and one column per feature.
        champion: The model that serves; None on a cold start, where the bar is the label rate.
        seed: Draws everything random.
        study_path: Where the study is journalled, so that a killed search goes on; None for memory.
        drift_since: When the drift began to show.

    Raises:
        NotEnoughDataError: Too few rows, or a span too short for the backtest.
    """
    policy = contract.training
    if frame.height < policy.min_rows:
        raise NotEnoughDataError(f"{frame.height} labelled rows; training.min_rows asks for {policy.min_rows}")
    frame = frame.sort("event_time", maintain_order=True)
    rows = encode_rows(frame, contract.feature_names, contract.categorical)
    # Drawn like its champion, a refit differs from it by its rows alone: less noise between the two.
    model_seed = champion.seed if champion and champion.seed is not None else seed
    bench = Bench(contract, rows, champion, seed=seed, model_seed=model_seed)
    trials = bench.trials(champion, drift_since, study_path)
    candidates, problem = bench.candidates(champion, frame, trials)
    scored = score_all(candidates, bench.blocks, contract.objective.metric)
    choice = choose(scored, bench.blocks, policy.confidence, contract.objective.constraints)
    receipt = receipt_of(choice, scored, trials, bench.blocks, policy)
    receipt |= {"rows": len(rows), "data_span": [str(frame["event_time"][0]), str(frame["event_time"][-1])]}
    receipt |= {
        "seed": seed,
        "model_seed": model_seed,
        "champion": champion.version if champion else None,
        "champion_problem": problem,
    }
    if choice.winner is None:
        return SearchResult(choice.reason, receipt)
    made = bench.refit(choice.winner.candidate, champion)
    receipt |= {"recipe": made.recipe.to_dict(), "effective_rows": round(effective_rows(made.weights), 1)}
    receipt |= {"importance": compared(made.model, champion.model if champion else None, frame)}
    newest = frame["event_time"][-1]
    return SearchResult(
        reason=choice.reason,
        receipt=receipt,
        made=made,
        model_seed=model_seed,
        winner=choice.winner,
        expected_loss_se=mean_error(choice.winner.losses, days_of(bench.blocks)),
        trained_until=newest if made.fitted or champion is None else champion.trained_until,
    )
