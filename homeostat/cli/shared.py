"""What all commands share: the screen, exit codes, where an installation lives.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 contract refused, 4 ledger broken.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from homeostat.settings import Settings

FAILED, REFUSED, BROKEN = 1, 3, 4

TIMES = [
    f"%Y-%m-%d{clock}" for clock in ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S%z", " %H:%M:%S%z")
]
"""How a moment may be written; UTC without a zone."""

_PIPE = 140  # columns, where nobody says how wide the page is
out = Console(width=None if sys.stdout.isatty() else _PIPE)
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Write JSON for a script.")]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a demo or of a running instance.", show_default=".homeostat/live, else .homeostat/demo"
    ),
]
Url = Annotated[str | None, typer.Option(help="Address of an instance elsewhere; by the token HOMEOSTAT_TOKEN.")]
Product = Annotated[str | None, typer.Option(help="Which product of an instance that has several.")]


def live_home(home: Path | None) -> Path:
    """Return the folder of an instance that is to run, whether it is there or not."""
    return home or Settings().home / "live"


def existing(home: Path | None, product: str | None = None) -> Path:
    """Return the folder of one product: of a demo, or of an instance with one product or the named one."""
    folder = home or next((f for f in _usual() if f.exists()), _usual()[-1])
    if (folder / "contract.yaml").exists():
        return folder
    products = sorted(path.parent for path in folder.glob("products/*/contract.yaml"))
    found = [path for path in products if product in {None, path.name}]
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.name for path in products)
    if found:
        return fail(f"{folder} holds several products: name one of {known} with --product")
    if products:
        return fail(f"{folder} holds no product {product!r}, only {known}")
    return fail(f"{folder} holds no product: run `homeostat demo` or `homeostat up`, or name a folder with --home")


def fail(text: str) -> NoReturn:
    """End the command with one clear line."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(FAILED)


def print_json(value: dict[str, Any]) -> None:
    """Write one JSON object on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _usual() -> tuple[Path, Path]:
    home = Settings().home
    return home / "live", home / "demo"
