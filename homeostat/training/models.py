"""A model that answers: encoder, learner and calibration, kept as JSON and LightGBM's text, never as pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import polars as pl

from homeostat.errors import ModelError
from homeostat.records import Cell
from homeostat.training.calibration import Calibration
from homeostat.training.encoding import Encoder
from homeostat.training.linear import LinearCore
from homeostat.training.trees import LightGbmCore

MODEL_FILE = "model.json"
TREES_FILE = "model.txt"
_FORMAT = 1
_FORMAT_OF_VECTORS = 2  # a release before vectors would read their columns for others: it has to refuse


class ScoringModel(Protocol):
    """What serving needs of a model."""

    def score_cells(self, columns: Mapping[str, Sequence[Cell]]) -> np.ndarray:
        """Return the probability of label 1 for each row, shape (n,).

        Args:
            columns: The cells of each feature, all of one length.

        Raises:
            ModelError: A feature is lacking, or holds what the model can't read.
        """


Core = LightGbmCore | LinearCore


@dataclass(frozen=True, slots=True)
class TabularModel:
    """A learner between an encoder and a calibration."""

    encoder: Encoder
    core: Core
    calibration: Calibration = field(default_factory=Calibration)

    def score(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the probability of label 1 for each row, shape (n,).

        Raises:
            ModelError: The frame lacks a feature, or holds it in a type the model can't read.
        """
        if frame.height == 0:
            return np.zeros(0)
        return self.calibration.apply(self.core.margins(self.encoder.matrix(frame)))

    def score_cells(self, columns: Mapping[str, Sequence[Cell]]) -> np.ndarray:
        """Return the probability of label 1 for each row, shape (n,).

        Args:
            columns: The cells of each feature, all of one length, at least 1.

        Raises:
            ModelError: A feature is lacking, or holds what the model can't read.
        """
        return self.calibration.apply(self.core.margins(self.encoder.cell_matrix(columns)))

    def recalibrated(self, calibration: Calibration) -> "TabularModel":
        """Return the same model with one more calibration on top."""
        return replace(self, calibration=calibration.after(self.calibration))


def dump_model(model: ScoringModel) -> dict[str, bytes]:
    """Return the files of a model by name.

    Raises:
        ModelError: The model is of a kind that has no stored form.
    """
    if not isinstance(model, TabularModel):
        raise ModelError(f"a {type(model).__name__} has no stored form")
    data: dict[str, Any] = {
        "format": _FORMAT_OF_VECTORS if model.encoder.widths else _FORMAT,
        "encoder": model.encoder.to_dict(),
        "calibration": {"slope": model.calibration.slope, "intercept": model.calibration.intercept},
    }
    if isinstance(model.core, LinearCore):
        return {MODEL_FILE: _json({**data, "learner": "linear", "linear": model.core.to_dict()})}
    trees = model.core.text.encode()
    return {MODEL_FILE: _json({**data, "learner": "lightgbm", "trees": _digest(trees)}), TREES_FILE: trees}


def load_model(files: Mapping[str, bytes]) -> TabularModel:
    """Return the model stored by ``dump_model``; other files of a package are ignored.

    Raises:
        ModelError: A file is missing or broken.
    """
    data = _object(files, MODEL_FILE)
    encoder = data.get("encoder")
    line = data.get("calibration")
    known = data.get("format") in (_FORMAT, _FORMAT_OF_VECTORS)
    if not known or not isinstance(encoder, dict) or not isinstance(line, dict):
        raise ModelError(f"{MODEL_FILE} is not of format 1 or 2 with an encoder and a calibration")
    try:
        calibration = Calibration(float(line["slope"]), float(line["intercept"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{MODEL_FILE} holds no calibration: {error!r}") from error
    return TabularModel(Encoder.from_dict(encoder), _core(data, files), calibration)


def _core(data: Mapping[str, Any], files: Mapping[str, bytes]) -> Core:
    if data.get("learner") == "linear":
        linear = data.get("linear")
        return LinearCore.from_dict(linear if isinstance(linear, dict) else {})
    if data.get("learner") != "lightgbm":
        raise ModelError(f"{MODEL_FILE} names learner {data.get('learner')!r}; expected lightgbm or linear")
    trees = files.get(TREES_FILE, b"")
    if _digest(trees) != data.get("trees"):  # LightGBM reads half a file without a word
        raise ModelError(f"{TREES_FILE} is missing, cut, or not the one that {MODEL_FILE} was stored with")
    return LightGbmCore(trees.decode())


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _json(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, sort_keys=False, separators=(",", ":"), allow_nan=False).encode()


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        data = json.loads(files[name])
    except (KeyError, ValueError) as error:
        raise ModelError(f"{name} is missing or no JSON: {error!r}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{name} holds a {type(data).__name__}; expected an object")
    return data
