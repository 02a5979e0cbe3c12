"""Reads a contract, or refuses it with every problem at once."""

import json
from hashlib import sha256
from pathlib import Path

from homeostat.contract.checks import check_meaning
from homeostat.contract.document import MAX_CHARS, read_document
from homeostat.contract.model import Contract
from homeostat.contract.schema import check_schema
from homeostat.contract.slices import check_slices
from homeostat.contract.spans import check_retention
from homeostat.errors import ContractError

DIGEST_FILE = "contract.digest"  # beside a contract that is kept: what was given


def load_contract(path: Path) -> Contract:
    """Return the contract in a YAML file.

    Raises:
        ContractError: The file can't be read or holds a problem; see ``parse_contract``.
    """
    try:
        with path.open("rb") as file:
            text = file.read(4 * MAX_CHARS + 1).decode()  # a character takes at most 4 bytes
    except (OSError, ValueError) as error:
        raise ContractError([f"{path}:1: can't be read: {error}"]) from error
    return parse_contract(text, str(path))


def parse_contract(text: str, source: str) -> Contract:
    """Return the contract in a YAML text.

    Args:
        text: The YAML; aliases are allowed, duplicate keys aren't.
        source: What problems name as the place, usually the file.

    Raises:
        ContractError: Every problem in it, one line each, in the order of the file:
            ``source:12: features.late_3h.over: '3 hours' - expected ...``.
    """
    document = read_document(text, source)
    draft = check_schema(document)
    check_meaning(draft)
    if problems := document.problems:
        raise ContractError(problems)
    contract = Contract.model_validate(document.data)
    check_retention(document, contract)
    check_slices(document, contract)
    if problems := document.problems:
        raise ContractError(problems)
    return contract


def contract_digest(contract: Contract) -> str:
    """Return 16 hex digits that name what a contract says, however it is written down.

    Defaults count as if they were written; the order of features counts, as it is the order of every row.
    """
    canonical = contract.model_dump(mode="json")
    canonical["features"] = list(canonical["features"].items())
    for spec in (*canonical["event"]["fields"].values(), *canonical["label"]["facts"].values()):
        if spec["size"] is None:  # came with vectors: a contract of before keeps its digest
            del spec["size"]
    if canonical["healing"]["min_rows_after_drift"] is None:  # was a number, before it was derived: likewise
        canonical["healing"]["min_rows_after_drift"] = 1000
    return sha256(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
