"""``homeostat doctor``: what is wrong with an installation, and what to do about it."""

import typer
from rich.text import Text

from homeostat.cli.shared import FAILED, Home, Json, live_home, out, print_json
from homeostat.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(home: Home = None, as_json: Json = False) -> None:
    """Check ports, disk, clock, versions, processes and stores, and say what to do about what is wrong."""
    folder = home or next((f for f in (live_home(None), Settings().home / "demo") if f.exists()), live_home(None))
    from homeostat.inspection.doctor import Level, examine

    found = examine(folder)
    sick = any(finding.level is Level.PROBLEM for finding in found)
    if as_json:
        lines = [{"check": f.check, "level": f.level.value, "what": f.what, "todo": f.todo} for f in found]
        print_json({"home": str(folder), "ok": not sick, "findings": lines})
    else:
        for f in found:
            out.print(Text.assemble((f"{f.level:<9}", _COLOURS[f.level]), f"{f.check:<12} {f.what}"), soft_wrap=True)
            if f.todo:
                out.print(Text(f"{'':<22} {f.todo}", style="bold"), soft_wrap=True)
        if not folder.exists():
            out.print(f"{folder} is not there yet: start with `homeostat up --contract FILE`", soft_wrap=True)
    if sick:
        raise typer.Exit(FAILED)
