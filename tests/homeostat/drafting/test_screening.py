from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from homeostat.drafting.columns import read_columns
from homeostat.drafting.draft import Draft
from homeostat.drafting.leaks import rank_correlation, telling

Drafted = Callable[..., Draft]
RNG = np.random.default_rng(3)


def kinds(draft: Draft) -> dict[str, str]:
    return {out.source: out.kind for out in draft.left}


def test_each_kind_of_bad_column_is_left_out_with_its_reason(clean: pl.DataFrame, drafted: Drafted) -> None:
    late, n = pl.col("late"), clean.height
    rows = clean.with_columns(
        pl.Series("score", RNG.normal(size=n)) * 0.1 + late,  # a copy with noise
        pl.when(late == 1).then(pl.lit("late by")).otherwise(pl.lit("fine")).alias("verdict"),
        pl.when(late == 1).then(pl.Series("refund", RNG.random(n))).alias("refund"),
        pl.when((late == 0) | (pl.Series(RNG.random(n)) < 0.5)).then(pl.lit("R") + late.cast(pl.String)).alias("route"),
        pl.Series("mail", [f"u{i}@shop.org" for i in RNG.integers(0, 99, n)]),
        pl.Series("tracking", [f"T{i}" for i in range(n)]),
        pl.Series("row", range(n)),
        pl.lit("x").alias("constant"),
        pl.Series("comment", [f"text {i}" for i in RNG.integers(0, 2_000, n)]),
        pl.Series("counter", np.arange(n) + RNG.normal(size=n)),
        (pl.col("closed_at").str.slice(0, 17) + "59Z").alias("shipped_on"),
    )
    assert kinds(drafted(rows, target="late", id="order_id", label_time="closed_at")) == {
        "score": "leak",
        "verdict": "leak",
        "refund": "leak",
        "route": "leak",
        "mail": "personal",
        "tracking": "identifier",
        "row": "identifier",
        "constant": "constant",
        "comment": "text",
        "counter": "trend",
        "shipped_on": "after_event",
    }


def test_what_says_how_long_the_label_took_is_known_too_late(clean: pl.DataFrame, drafted: Drafted) -> None:
    opened, closed = (pl.col(name).str.to_datetime(time_zone="UTC") for name in ("ordered_at", "closed_at"))
    hours = (closed - opened).dt.total_seconds() / 3600
    planned = hours * (1 + 0.05 * pl.Series(RNG.normal(size=clean.height)))
    draft = drafted(clean.with_columns(hours_to_close=hours.round(2), planned_hours=planned))
    assert kinds(draft) == {"hours_to_close": "after_event"}
    assert [warning for warning in draft.warnings if warning.startswith("planned_hours: goes with how long")]


def test_honest_columns_are_kept(clean: pl.DataFrame, drafted: Drafted) -> None:
    n = clean.height
    rows = clean.with_columns(
        pl.Series("noise", RNG.normal(size=n)),
        pl.Series("gaps", [None if x < 0.3 else x for x in RNG.random(n)]),
        pl.Series("shop", RNG.choice([f"S{i}" for i in range(40)], n)),
        pl.Series("rain_last_hour", RNG.exponential(size=n)),
        (pl.col("ordered_at").str.slice(0, 17) + "59Z").alias("promised_at"),
    )
    draft = drafted(rows)
    assert not draft.left
    assert "part of a date" not in next(field.comment for field in draft.fields if field.name == "rain_last_hour")
    assert {"noise", "gaps", "shop", "promised_at_hour"} <= {f.name for f in draft.features if f.live}


def test_a_strong_column_is_kept_with_a_warning(clean: pl.DataFrame, drafted: Drafted) -> None:
    strong = pl.Series("strong", RNG.normal(size=clean.height)) * 0.45 + pl.col("late")
    draft = drafted(clean.with_columns(strong))
    assert "strong" not in kinds(draft)
    assert any(text.startswith("strong: tells the label well by itself") for text in draft.warnings)


def test_personal_data_as_entity_is_warned_of(clean: pl.DataFrame, drafted: Drafted) -> None:
    rows = clean.with_columns(email=pl.col("customer_id") + "@shop.org")
    assert any(text.startswith("email: looks like personal data") for text in drafted(rows, entity="email").warnings)


def one_column(values: list[object]) -> tuple[float, str | None]:
    labels = pl.Series([0, 1] * 500)
    found = telling(read_columns(pl.DataFrame({"x": pl.Series(values)}))[0][0], labels)
    assert found is not None
    return found.auc, found.absence


def test_noise_tells_nothing_and_many_categories_do_not_fool_it() -> None:
    assert one_column(RNG.normal(size=1_000).tolist())[0] < 0.6
    assert one_column([f"c{i}" for i in RNG.integers(0, 400, 1_000)])[0] < 0.6


def test_order_does_not_matter_nor_does_a_bend() -> None:
    assert one_column([-float(i % 2) + RNG.normal() * 0.05 for i in range(1_000)])[0] > 0.99
    assert (
        one_column([abs(RNG.normal()) + 4 if i % 2 else RNG.choice([-9.0, 9.0]) * 0.1 for i in range(1_000)])[0] > 0.95
    )


def test_absence_counts_only_beyond_chance() -> None:
    assert (
        one_column([None if i % 2 and i < 100 else float(i % 7) for i in range(1_000)])[1]
        == "missing only where the label is 1"
    )
    assert (
        one_column([float(i % 7) if i % 2 and i < 100 else None for i in range(1_000)])[1]
        == "filled only where the label is 1"
    )
    assert one_column([None if i % 2 and i < 20 else float(i % 7) for i in range(1_000)])[1] is None


def test_too_few_rows_of_a_label_say_nothing() -> None:
    column = read_columns(pl.DataFrame({"x": range(100)}))[0][0]
    assert telling(column, pl.Series([1] * 5 + [0] * 95)) is None


@pytest.mark.parametrize(("values", "expected"), [(range(100), 1.0), ([5] * 100, 0.0), ([1, 2] * 50, 0.02)])
def test_what_goes_with_time_is_measured_by_ranks(values: list[int], expected: float) -> None:
    column = read_columns(pl.DataFrame({"x": list(values)}))[0][0]
    times = pl.Series(range(100)).cast(pl.Datetime("us", "UTC"))
    assert rank_correlation(column, times) == pytest.approx(expected, abs=0.01)


def test_what_cannot_be_read_is_no_absence() -> None:
    assert one_column(["?x" if i % 2 and i < 40 else str(i % 7) for i in range(5_000)][:1_000])[1] is None


def test_a_column_empty_only_where_the_answer_is_missing_is_warned_of(clean: pl.DataFrame, drafted: Drafted) -> None:
    lost = pl.Series(RNG.random(clean.height)) < 0.03
    rows = clean.with_columns(
        pl.when(lost).then(None).otherwise(pl.Series("hours_on_road", RNG.random(clean.height))).alias("hours_on_road"),
        pl.Series("gaps", [None if x < 0.03 else x for x in RNG.random(clean.height)]),
        pl.when(lost).then(None).otherwise(pl.col("late")).alias("late"),
    )
    (told,) = [text for text in drafted(rows).warnings if "no answer either" in text]
    assert told.startswith("hours_on_road: empty only where there is no answer either")
