"""``homeostat init``: a first contract out of a file of recorded rows."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli.shared import Json, err, fail, out, print_json

if TYPE_CHECKING:
    from homeostat.drafting.interview import Question


def init(  # noqa: PLR0913 - a flag for whatever can be guessed
    file: Annotated[Path, typer.Argument(help="Recorded rows: CSV with a header, or Parquet.")],
    *,
    target: Annotated[str | None, typer.Option(help="Column to be predicted.")] = None,
    time: Annotated[str | None, typer.Option(help="Column that says when an event happened.")] = None,
    entity: Annotated[str | None, typer.Option(help="Column that says what an event is about.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Column with another id in every row.")] = None,
    label_time: Annotated[
        str | None, typer.Option(help="Column that says when the truth was known, or `none`.")
    ] = None,
    label_delay: Annotated[str | None, typer.Option(help="Usual time from event to label, like 5h.")] = None,
    maturity: Annotated[str | None, typer.Option(help="No label after this time: there will be none, like 2d.")] = None,
    positive: Annotated[str | None, typer.Option(help="The target's answer that counts as 1.")] = None,
    product: Annotated[str | None, typer.Option(help="Name of the product; the file's without.")] = None,
    day_first: Annotated[bool | None, typer.Option("--day-first/--month-first", help="What 03/04/2024 means.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write; PRODUCT.yaml without.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every guess, ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a sample of a file and write a contract for it; ask where unsure, on a terminal alone."""
    from homeostat.drafting.draft import draft_of
    from homeostat.drafting.interview import Interview, Wishes
    from homeostat.drafting.sample import read_sample
    from homeostat.drafting.writing import contract_text, findings

    wishes = Wishes(
        target=target,
        time=time,
        entity=entity,
        id=event_id,
        label_time=label_time,
        label_delay=label_delay,
        maturity=maturity,
        product=product,
        positive=positive,
        day_first=day_first,
    )
    asks = sys.stdin.isatty() and not yes and not as_json
    interview = Interview(wishes, _ask if asks else None, accept=yes)
    if output is not None:
        _refuse_to_overwrite(output, force=force)
    draft = draft_of(file, read_sample(file), interview)
    path = output or Path(f"{draft.product}.yaml")
    _refuse_to_overwrite(path, force=force)
    text = contract_text(draft)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: can't be written: {error.strerror or error}")
    found = {**findings(draft), "contract": str(path)}
    if as_json:
        print_json(found)
    else:
        _show(found, _say)


def _refuse_to_overwrite(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        fail(f"{path} is there already: name another file with --output, or overwrite it with --force")


def _ask(question: "Question") -> str:
    """Ask on the terminal until the answer will do; Return takes the guess."""
    if question.choices:
        shown = ", ".join(question.choices[:12]) + (", ..." if len(question.choices) > 12 else "")
        _say(f"  ({shown})")
    _say(f"  guess: {question.guess} - {question.why}" if question.guess else "  no guess")
    while True:
        answer = str(typer.prompt(question.text, default=question.guess)).strip()
        problem = question.problem(answer)
        if problem is None:
            return answer
        err.print(problem, markup=False, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _show(found: dict[str, Any], say: Callable[[str], None]) -> None:
    counted = "" if found["rows_counted"] else "about "
    say(
        f"{found['file']}: {found['form']}, {counted}{found['rows']:,} rows "
        f"from {found['first'][:16]} to {found['last'][:16]}, {found['rows_a_day']:,.0f} a day"
    )
    for guess in found["guesses"]:
        unsure = "" if guess["sure"] else "  <- a guess, look at it"
        say(f"  {guess['role'] + ':':<13} {guess['value']}  ({guess['why']}){unsure}")
    say(f"  {'features:':<13} {len(found['features'])}")
    if found["left_out"]:
        say("left out:")
    for left in found["left_out"]:
        say(f"  {left['column']}: {left['why']}")
    if found["notes"] or found["warnings"]:
        say("look at:")
    for text in (*found["notes"], *found["warnings"]):
        say(f"  {text}")
    _show_next(found, say)


def _show_next(found: dict[str, Any], say: Callable[[str], None]) -> None:
    """Write the commands from here to a prediction, and to a drift report on the file's own rows."""
    file, contract = (shlex.quote(found[key]) for key in ("file", "contract"))
    options = "".join(f" {shlex.quote(option)}" for option in found["replay_options"])
    say(f"wrote {found['contract']}: read it, then")
    say(f"  homeostat check {contract}")
    say(f"  homeostat backfill {file} --contract {contract}{options}")
    say(f"  homeostat up --contract {contract}")
    say("a prediction, while it runs, and its label, once the truth is known:")
    for route, body in (
        ("predict", {"rows": [{"event": found["example_event"]}]}),
        ("labels", {"labels": [found["example_label"]]}),
    ):
        said = shlex.quote(json.dumps(body, ensure_ascii=False))
        say(f"  curl -s localhost:8000/v1/{found['product']}/{route} -H 'content-type: application/json' -d {said}")
    if found["watch_from"]:
        until = found["watch_from"].removesuffix("+00:00").removesuffix(":00").removesuffix("T00:00")
        say("or watch the rest of the file go by, and what the loop makes of it:")
        say(f"  homeostat backfill {file} --contract {contract}{options} --home .homeostat/try --until {until}")
        say("  homeostat up --home .homeostat/try --clock stream")
        say(f"  homeostat replay {file}{options} --home .homeostat/try")
        say("  homeostat drift --home .homeostat/try")
