"""A version of ours as a model that `mlflow models serve` knows: the same files, scored by the same code."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from homeostat.training.models import load_model

FILES = "files"


class ServedVersion(PythonModel):
    """Scores the columns of a frame."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the files of the version."""
        folder = Path(context.artifacts[FILES])
        self._model = load_model({file.name: file.read_bytes() for file in folder.iterdir()})

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: object = None) -> np.ndarray:
        """Return the scores of the rows."""
        return self._model.score_cells(model_input.to_dict("list"))


mlflow.models.set_model(ServedVersion())
