"""Model versions and aliases in MLflow's registry; importing this package imports MLflow, which takes seconds."""

from homeostat.adapters.mlflow_registry.registry import MlflowRegistry

__all__ = ["MlflowRegistry"]
