"""The receipt of a search: every candidate, its evidence, and why the choice fell as it did."""

from collections.abc import Sequence

from homeostat.contract.policies import TrainingPolicy
from homeostat.training.backtest import Block
from homeostat.training.rows import DAY, EPOCH
from homeostat.training.study import Trial
from homeostat.training.verdict import Choice, Scored


def receipt_of(
    choice: Choice, scored: Sequence[Scored], trials: Sequence[Trial], blocks: Sequence[Block], policy: TrainingPolicy
) -> dict[str, object]:
    """Return the JSON-able record of a decision.

    Args:
        choice: What was decided.
        scored: All candidates of the backtest; the first one is doing nothing.
        trials: The study, best first.
        blocks: What they were scored on, oldest first.
        policy: The confidence that was asked for.
    """
    return {
        "chosen": choice.winner.candidate.name if choice.winner else scored[0].candidate.name,
        "reason": choice.reason,
        "confidence": policy.confidence,
        "candidates": [s.row(policy.confidence) for s in scored],
        "blocks": [
            {"start": _day(block.start), "end": _day(block.end), "rows": len(block.rows), "past_rows": len(block.past)}
            for block in blocks
        ],
        "trials": [
            {
                "number": trial.number,
                "recipe": trial.recipe.name,
                "loss": round(trial.loss, 6),
                "params": {name: round(value, 4) for name, value in trial.recipe.params.items()},
            }
            for trial in trials
        ],
    }


def _day(day: float) -> str:
    return (EPOCH + day * DAY).isoformat(timespec="minutes")
