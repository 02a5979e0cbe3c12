"""Where the embedded stores of a product are: every path below an instance's folder once."""

from pathlib import Path

PRODUCTS = "products"


def product_home(instance: Path, product: str) -> Path:
    """Return the home folder of one product of a running instance."""
    return instance / PRODUCTS / product


def instance_of(home: Path) -> Path:
    """Return the folder that the products of one instance share; a product by itself has its own."""
    return home.parent.parent if home.parent.name == PRODUCTS else home


def mlflow_uri(home: Path) -> str:
    """Return the tracking URI of the embedded MLflow of a product, the same for all products of an instance."""
    return f"sqlite:///{(instance_of(home) / 'mlflow.db').resolve()}"


def ledger_uri(home: Path) -> str:
    """Return the URL of the embedded case store and ledger below a home folder."""
    return f"sqlite:///{(home / 'homeostat.db').resolve()}"
