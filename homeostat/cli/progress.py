"""How far a command is: a bar on a terminal, a line now and then anywhere else."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_S: Final = 5.0


class Meter:
    """Shows rows done of all, for the length of a ``with`` block."""

    def __init__(self, console: Console, what: str) -> None:
        """Take where to show it, and what is done, in a word or two."""
        self._console = console
        self._what = what
        self._said_at = float("-inf")
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(self._what, total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.stop()

    def show(self, rows: int, total_rows: int, doing: str) -> None:
        """Show how many rows are done, and what is being done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=rows, total=total_rows, description=f"{self._what} {doing}")
        elif time.monotonic() - self._said_at >= LINE_S:
            self._said_at = time.monotonic()
            text = f"{self._what} {doing}  {rows:,} of {total_rows:,} rows"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            self._console.file.flush()
