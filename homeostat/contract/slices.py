"""Which slices of the rows a canary looks at."""

from homeostat.contract.document import Document
from homeostat.contract.model import Contract
from homeostat.contract.names import suggestion


def _what(contract: Contract, name: str) -> str:
    if name in contract.vectors:
        return "a vector"
    return "a number" if name in contract.features else "no feature"


def check_slices(document: Document, contract: Contract) -> None:
    """Report a slice that is no text feature: each value is looked at by itself, and numbers have too many."""
    for place, name in enumerate(contract.canary.slices):
        if name not in contract.categorical:
            what = _what(contract, name)
            document.report(
                ("canary", "slices", place),
                f"'{name}' is {what}, a text feature is needed - {suggestion(name, contract.categorical)}",
            )
