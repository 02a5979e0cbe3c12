"""What each feature is to a model: its share of the answers, and the loss that is gained by it; two side by side."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from homeostat.contract.losses import row_losses
from homeostat.errors import ModelError
from homeostat.records import Attribution
from homeostat.training.models import TabularModel
from homeostat.training.rows import thin

_ROWS = 2_000  # thinned evenly over time; shares are then known to a percent or two
_IDLE = 1e-4  # share below which a feature isn't worth a shuffle
_COMPARED_ROWS = 500  # the same for both models, so that a difference has little noise
_MOST_COMPARED = 20


def attribution(
    model: TabularModel, features: Sequence[str], frame: pl.DataFrame, metric: str, seed: int
) -> tuple[Attribution, ...]:
    """Return the attribution of each feature.

    The share is the mean absolute contribution to the log-odds, of a vector that of all its numbers together: SHAP
    values for trees, weight times standardised value about its mean for the linear model. The worth is the loss that
    shuffling the feature among the rows costs. On rows that the model learnt from both flatter it a little, all
    features alike.

    Args:
        model: The one to ask.
        features: Names in the order wanted.
        frame: Labelled rows.
        metric: Of the contract's objective.
        seed: Shuffles.

    Source: Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for
    trees", doi:10.1038/s42256-019-0138-9; Breiman (2001), "Random Forests", 10, doi:10.1023/A:1010933404324.
    """
    rows = frame[thin(frame.height, _ROWS)]
    matrix, labels = model.encoder.matrix(rows), rows["label"].cast(pl.Float64).to_numpy()
    shares = _shares(model, matrix)

    def loss(x: np.ndarray) -> float:
        return float(row_losses(metric, labels, model.calibration.apply(model.core.margins(x))).mean())

    share = dict(zip(model.encoder.features, shares.tolist(), strict=True))
    places = model.encoder.places
    worths = [_worth(loss, matrix, places[name], seed) if share[name] > _IDLE else 0.0 for name in features]
    return tuple(Attribution(share[name], worth) for name, worth in zip(features, worths, strict=True))


def compared(
    challenger: TabularModel, champion: TabularModel | None, frame: pl.DataFrame
) -> list[dict[str, str | float | None]]:
    """Return the features whose shares differ most between two models, the biggest changes first, JSON-able.

    A feature that only one of them has is the biggest change; its line lacks the other. None is the share in a model
    that can't read these rows, as one whose features the contract has changed.

    Args:
        challenger: The model that is new.
        champion: The one that serves; None where nothing does.
        frame: Rows that both are asked about.
    """
    new, old = _by_name(challenger, frame), _by_name(champion, frame) if champion else {}

    def change(name: str) -> float:
        return abs((new.get(name) or 0.0) - (old.get(name) or 0.0))

    sides = {"challenger": new, "champion": old}
    return [
        {"feature": name, **{side: known[name] for side, known in sides.items() if name in known}}
        for name in sorted({**new, **old}, key=lambda name: (name in new and name in old, -change(name)))
    ][:_MOST_COMPARED]


def _by_name(model: TabularModel, frame: pl.DataFrame) -> dict[str, float | None]:
    try:
        matrix = model.encoder.matrix(frame[thin(frame.height, _COMPARED_ROWS)])
    except ModelError:
        return dict.fromkeys(model.encoder.features)
    return {
        name: round(float(share), 4) for name, share in zip(model.encoder.features, _shares(model, matrix), strict=True)
    }


def _shares(model: TabularModel, matrix: np.ndarray) -> np.ndarray:
    sizes = np.abs(model.encoder.by_feature(model.core.contributions(matrix))).mean(axis=0)
    return np.asarray(sizes / sizes.sum() if sizes.sum() > 0 else sizes)


def _worth(loss: Callable[[np.ndarray], float], matrix: np.ndarray, place: int | slice, seed: int) -> float:
    shuffled, first = matrix.copy(), place.start if isinstance(place, slice) else place
    np.random.default_rng((seed, first)).shuffle(shuffled[:, place])  # a vector's numbers stay together
    return max(0.0, loss(shuffled) - loss(matrix))
