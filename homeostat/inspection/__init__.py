"""Looks at an installation from outside, without running it and without the seconds that Feast and MLflow take."""

from homeostat.inspection.onlooker import Onlooker
from homeostat.inspection.open import ledger_of, onlooker_of, status_of

__all__ = ["Onlooker", "ledger_of", "onlooker_of", "status_of"]
