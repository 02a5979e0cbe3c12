"""Times in a file as times in UTC: which order day and month have, and in which zone a bare time is meant."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from homeostat.contract.cells import texts
from homeostat.contract.times import TimeFormat, possible_formats, times
from homeostat.errors import HomeostatError

_HAS_ZONE: Final = (
    r"[0-9]:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*"  # a clock, and behind it
    r"(?:Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)$|^[0-9]{8}T?[0-9]{6}Z$"
)
_UTC: Final = "UTC"


@dataclass(frozen=True, slots=True)
class TimeReading:
    """How the times of a file are meant.

    Args:
        zone: Of times that name none, as the IANA database has it.
        day_first: Whether 03/04/2024 is the 3rd of April; None to find out.

    Raises:
        HomeostatError: No such zone is known.
    """

    zone: str = _UTC
    day_first: bool | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise HomeostatError(
                f"--timezone {self.zone}: no such zone - expected a name like Europe/Berlin or UTC"
            ) from None

    def read(self, column: pl.Series) -> pl.Series:
        """Return the cells as UTC times, null where one can't be read.

        Raises:
            HomeostatError: Nothing tells whether day or month comes first.
        """
        typed = column.dtype.is_temporal() or column.dtype.is_numeric()
        cells = column if typed else texts(column)
        form = self._form(cells)
        found = times(cells, form)
        if self.zone == _UTC or form.startswith("epoch"):
            return found
        if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
            return found
        moved = found.dt.replace_time_zone(None).dt.replace_time_zone(
            self.zone, ambiguous="earliest", non_existent="null"
        )
        moved = moved.dt.convert_time_zone(_UTC)
        if typed:
            return moved
        return found.zip_with(cells.str.contains(_HAS_ZONE).fill_null(value=False), moved)

    def moment(self, text: str, option: str) -> datetime:
        """Return a time given as an option.

        Raises:
            HomeostatError: It is none.
        """
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise HomeostatError(f"{option} {text}: expected a time like 2024-05-01 or 2024-05-01T12:00:00Z") from None
        return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)

    def _form(self, cells: pl.Series) -> TimeFormat:
        forms = possible_formats(cells)
        if not {"day_first", "month_first"} <= set(forms):
            return forms[0] if forms else self._named("ymd")
        if self.day_first is not None:
            return "day_first" if self.day_first else "month_first"
        ordered = [form for form in forms if times(cells, form).drop_nulls().is_sorted()]
        if len(ordered) == 1:
            return ordered[0]
        if cells.drop_nulls().str.contains(r"^[0-9]+\.").all():  # nobody puts points between month and day
            return "day_first"
        raise HomeostatError(
            f"column '{cells.name}': nothing tells whether day or month comes first (such as "
            f"{cells.drop_nulls()[0]}) - say it with --day-first or --month-first"
        )

    def _named(self, otherwise: TimeFormat) -> TimeFormat:
        """Return the format to try where most cells fit none: a few readable ones are better than none."""
        if self.day_first is None:
            return otherwise
        return "day_first" if self.day_first else "month_first"
