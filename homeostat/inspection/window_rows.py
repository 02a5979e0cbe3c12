"""The rows behind a look: what the champion learned from, and what it was served with in a window, a sample of each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from homeostat.contract.model import Contract
from homeostat.drift.profile import SCORE
from homeostat.drift.watch import Watch
from homeostat.errors import HomeostatError
from homeostat.features.schema import store_columns
from homeostat.flow import topic_name
from homeostat.ports import EventLog, ModelPackage, OfflineFeatures
from homeostat.records import Prediction, Span
from homeostat.steps.detect import counts_for
from homeostat.tail import Tail
from homeostat.training.champion import load_champion
from homeostat.training.package import RECEIPT_FILE
from homeostat.training.resampling import weights_for
from homeostat.training.rows import day_of, encode_rows, without_spans

MOST_ROWS: Final = 5_000
"""Of each side: Evidently copies its rows for every column and keeps the lot in memory."""

_SEED: Final = 0  # the same window gives the same page
_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True)
class Rows:
    """A sample of rows: one column a feature, and the model's score as ``prediction``.

    Args:
        frame: The sample, at most ``MOST_ROWS`` rows.
        of_rows: How many rows it was drawn from.
        span: Event times of those, both ends included.
    """

    frame: pl.DataFrame
    of_rows: int
    span: Span


@dataclass(slots=True)
class _Seen:
    """What has come of a window so far: some rows kept (reservoir sampling, Vitter's algorithm R)."""

    draw: np.random.Generator
    kept: list[Prediction] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, rows: Sequence[Prediction]) -> None:
        """Note rows, each event once."""
        new = list({row.event_id: row for row in rows if row.event_id not in self.ids}.values())
        if not new:
            return
        for row in new:
            self.ids.add(row.event_id)
            if len(self.kept) < MOST_ROWS:
                self.kept.append(row)
            elif (place := int(self.draw.integers(len(self.ids)))) < MOST_ROWS:
                self.kept[place] = row
        times = [row.event_time for row in new]
        self.first = min(times if self.first is None else [self.first, *times])
        self.last = max(times if self.last is None else [self.last, *times])


def training_rows(contract: Contract, package: ModelPackage, version: str, offline: OfflineFeatures) -> Rows:
    """Return what a version's profile was made of, each row drawn by its weight in the training.

    Raises:
        HomeostatError: The package does not say what it was trained on, or retention has left no such row.
    """
    model = load_champion(package, version)
    _, end = (datetime.fromisoformat(time) for time in json.loads(package.params["data_span"]))
    receipt = json.loads(package.files.get(RECEIPT_FILE, b"{}"))
    broken = [Span(*map(datetime.fromisoformat, span)) for span in receipt.get("left_out", ())]
    frame = offline.training_frame(end).filter(pl.col("label").is_not_null())
    frame = without_spans(frame, broken)
    if frame.is_empty():
        raise HomeostatError(f"no row that version {version} learned from is kept any more (retention.features)")
    rows = encode_rows(frame, contract.feature_names, contract.categorical)
    weights = weights_for(model.recipe.resampling, rows, day_of(end), model.seed or 0)
    counted = np.flatnonzero(weights)
    chance = weights[counted] / weights[counted].sum()
    is_even = bool(np.ptp(chance) == 0)
    size = min(MOST_ROWS, len(counted))
    drawn = np.random.default_rng(_SEED).choice(counted, size, replace=not is_even, p=chance)
    sample = frame[np.sort(drawn)]
    shown = sample.select(_shown(contract)).with_columns(pl.Series(SCORE, model.model.score(sample)))
    times = frame["event_time"][counted]
    return Rows(shown, len(counted), Span(times[0], times[-1]))


def served_rows(contract: Contract, log: EventLog, watch: Watch, span: Span) -> Rows:
    """Return what a champion scored in a window; all of it is counted under watch.

    Raises:
        HomeostatError: The log keeps none of it.
    """
    seen, version = _Seen(np.random.default_rng(_SEED)), watch.version
    tail = Tail(log, contract.product)
    chunk: list[Prediction] = []

    def take() -> None:
        watch.count(chunk)
        seen.add(chunk)
        chunk.clear()

    for _, record in tail.after("predictions", log.offset_at(topic_name(contract.product, "predictions"), span.since)):
        if isinstance(record, Prediction) and span.since <= record.event_time <= span.until:
            chunk += [record] if counts_for(record, version) else []
        if len(chunk) == _CHUNK:
            take()
    take()
    if seen.first is None or seen.last is None:
        raise HomeostatError(
            f"the log keeps no row that version {version} served from {span.since:%Y-%m-%d %H:%M} to "
            f"{span.until:%Y-%m-%d %H:%M} UTC: name another span, or a look that `homeostat drift --last 20` lists"
        )
    columns = zip(store_columns(contract), zip(*(row.values for row in seen.kept), strict=True), strict=True)
    frame = pl.DataFrame([column.series(cells) for column, cells in columns if not column.vector])
    frame = frame.with_columns(pl.Series(SCORE, [row.scores[version] for row in seen.kept]))
    return Rows(frame, len(seen.ids), Span(seen.first, seen.last))


def _shown(contract: Contract) -> list[str]:
    """Return the features that a page of columns can show: a vector is a row of its own, by its score alone."""
    return [name for name in contract.feature_names if name not in contract.vectors]
