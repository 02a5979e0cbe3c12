"""``homeostat check``: contracts before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from homeostat.cli.shared import REFUSED, Json, err, out, print_json
from homeostat.contract.load import contract_digest, load_contract
from homeostat.errors import ContractError


def check(file: Annotated[Path, typer.Argument(help="A contract.")], as_json: Json = False) -> None:
    """Say whether a contract is sound, and name everything that is not."""
    try:
        contract = load_contract(file)
    except ContractError as error:
        if as_json:
            print_json({"file": str(file), "ok": False, "problems": error.problems})
        else:
            for problem in error.problems:
                err.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    if as_json:
        print_json({"file": str(file), "ok": True, "product": contract.product, "digest": contract_digest(contract)})
    else:
        features = len(contract.features)
        out.print(
            f"{file}: {contract.product}, {features} features, sound (digest {contract_digest(contract)})",
            soft_wrap=True,
        )
