"""``homeostat example``: a stream with a known truth, for who has no data of their own at hand."""

from pathlib import Path
from typing import Annotated

import typer

from homeostat.cli.shared import fail, out
from homeostat.examples.streams.kinds import Kind


def example(
    kind: Annotated[Kind, typer.Argument(help="What happens to the stream after its history.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 1,
    output: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="./KIND")] = None,
) -> None:
    """Write a synthetic stream: data.csv (history), live.csv (what comes later), contract.yaml, truth.csv."""
    from homeostat.examples.streams.stream import FILES, make_stream

    folder = output or Path(kind.value)
    if folder.is_file() or (folder.is_dir() and {path.name for path in folder.iterdir()} - set(FILES)):
        fail(f"{folder} holds something else than an example: name another folder with --output")
    stream = make_stream(kind, seed)
    stream.write(folder)
    history = int((stream.rows["event_time"] < stream.cut).sum())
    changes = ", ".join(f"{time:%Y-%m-%d}" for time in stream.changes) or "never"
    for name, value in (
        ("history", f"{folder / 'data.csv'}: {history:,} parcels until {stream.cut:%Y-%m-%d}, the target is `late`"),
        ("later", f"{folder / 'live.csv'}: {stream.rows.height - history:,} parcels until {stream.end:%Y-%m-%d}"),
        ("contract", f"{folder / 'contract.yaml'}: one that fits; `homeostat init` drafts another from data.csv"),
        ("truth", f"{folder / 'truth.csv'}: each parcel's true probability of being late, for you alone"),
        ("changes", changes),
    ):
        out.print(f"{name + ':':<10} {value}", markup=False, highlight=False, soft_wrap=True)
