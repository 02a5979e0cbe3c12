"""From the result of a search to the files and facts that the registry keeps."""

import json
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from homeostat.ports import ModelPackage
from homeostat.training.bench import Made
from homeostat.training.champion import SEED, TRAINED_UNTIL
from homeostat.training.models import dump_model
from homeostat.training.recipe import RECIPE_FILE
from homeostat.training.verdict import Scored

RECEIPT_FILE = "receipt.json"
_MIB = 2**20


def model_mib(made: Made) -> float:
    """Return the size of a model's files in MiB."""
    return sum(len(data) for data in dump_model(made.model).values()) / _MIB


def package_of(
    made: Made, winner: Scored, receipt: Mapping[str, object], *, metric: str, trained_until: datetime, seed: int
) -> ModelPackage:
    """Return the package of a winner, still without the profile that drift is measured by.

    Args:
        made: The winner, made to serve.
        winner: Its line in the backtest.
        receipt: The receipt of the search.
        metric: The name of the objective's metric.
        trained_until: The newest event time its learner was fitted on.
        seed: What drew the learner.
    """
    metrics = {metric: winner.loss, "auc": winner.auc, "calibration_error": winner.calibration_error}
    metrics |= {"loss_difference": winner.difference.mean, "rows": float(len(made.weights))}
    recipe = made.recipe.to_json()
    return ModelPackage(
        files={
            **dump_model(made.model),
            RECIPE_FILE: recipe,
            RECEIPT_FILE: json.dumps(receipt, indent=1, allow_nan=False).encode(),
        },
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        params={
            "candidate": winner.candidate.name,
            "recipe": recipe.decode(),
            SEED: str(seed),
            TRAINED_UNTIL: trained_until.isoformat(),
            "data_span": json.dumps(receipt["data_span"]),
        },
    )
