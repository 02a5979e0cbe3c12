"""The errors a training may end with: they become a failed run, so that the case it belongs to can close."""

from typing import Final

import lightgbm as lgb
from optuna.exceptions import OptunaError

from homeostat.errors import HomeostatError

FAILURES: Final[tuple[type[Exception], ...]] = (
    HomeostatError,
    ValueError,  # scikit-learn's and NumPy's word for data they can't use
    lgb.basic.LightGBMError,
    OptunaError,
    ArithmeticError,
    MemoryError,
)
"""A TransientError is among them as a HomeostatError: let it pass first, it asks for another try."""
