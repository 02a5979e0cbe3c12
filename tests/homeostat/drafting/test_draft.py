from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.contract.load import parse_contract
from homeostat.contract.model import Contract
from homeostat.drafting.draft import Draft
from homeostat.drafting.interview import Question
from homeostat.drafting.spans import D
from homeostat.drafting.writing import contract_text, replay_options
from homeostat.drift.budget import false_retrainings, policy_in_force
from homeostat.errors import HomeostatError

Drafted = Callable[..., Draft]


def contract_of(draft: Draft) -> Contract:
    return parse_contract(contract_text(draft), "drafted")


def test_a_plain_file_needs_no_question(clean: pl.DataFrame, drafted: Drafted) -> None:
    draft = drafted(clean)
    contract = contract_of(draft)
    assert all(guess.sure for guess in draft.guesses)
    assert not draft.warnings
    assert contract.product == "orders"
    assert (contract.event.id, contract.event.time, contract.event.entity) == ("order_id", "ordered_at", "customer_id")
    assert (contract.label.field, contract.label.time) == ("late", "closed_at")
    assert {"town", "load"} <= set(contract.features)
    assert not {"order_id", "closed_at", "late"} & set(contract.event.fields)


def test_a_drafted_contract_goes_by_a_budget_of_false_alarms(clean: pl.DataFrame, drafted: Drafted) -> None:
    contract = contract_of(drafted(clean))
    drift, policy = contract.drift, policy_in_force(contract)
    assert drift.alarms is not None
    assert false_retrainings(contract, drift.alarms.per) == pytest.approx(drift.alarms.false_retrainings)
    assert 1e-4 < policy.false_discovery_rate < 0.05
    assert (policy.min_psi, policy.harmless_share) == (pytest.approx(0.09), 0.01)


def test_the_delay_is_the_median_and_the_maturity_a_high_quantile(clean: pl.DataFrame, drafted: Drafted) -> None:
    label = contract_of(drafted(clean)).label
    assert label.delay == timedelta(hours=12)  # the median of an exponential of 20 hours is 13.9
    assert label.maturity == timedelta(days=4)  # its 99 % quantile is 92 hours


def test_without_a_label_time_delay_and_maturity_are_marked_as_guesses(clean: pl.DataFrame, drafted: Drafted) -> None:
    draft = drafted(clean.drop("closed_at"))
    assert {g.role for g in draft.guesses if not g.sure} == {"label_delay", "maturity"}
    given = drafted(clean.drop("closed_at"), label_delay="3h", maturity="2d")
    assert contract_of(given).label.maturity == timedelta(days=2)
    assert all(guess.sure for guess in given.guesses)


def test_flags_win_over_guesses(clean: pl.DataFrame, drafted: Drafted) -> None:
    flags = {"entity": "town", "product": "mine", "label_time": "none", "label_delay": "1h", "maturity": "1d"}
    contract = contract_of(drafted(clean, **flags))
    assert (contract.product, contract.event.entity) == ("mine", "town")
    assert "closed_at" not in contract.event.fields


def test_columns_go_by_either_of_their_names(clean: pl.DataFrame, drafted: Drafted) -> None:
    rows = clean.rename({"late": "Zu Spät?"})
    assert contract_of(drafted(rows, target="Zu Spät?")).label.field == "zu_spat"
    assert contract_of(drafted(rows, target="zu_spat")).label.field == "zu_spat"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"target": "lat"}, "--target lat: no such column - did you mean 'late'?"),
        ({"target": "load"}, "load: is a number (2,455 values) where Homeostat predicts yes or no"),
        ({"target": "late", "positive": "2"}, "--positive 2: late has '0', '1'"),
        ({"time": "town"}, "--time town: its cells can't be read as times"),
        ({"label_time": "town"}, "--label-time town: its cells can't be read as times"),
        ({"id": "town"}, "--id town: 0 cells are empty and 2,997 repeat another"),
        ({"maturity": "soon"}, "--maturity soon: expected a whole number with a unit"),
        ({"maturity": "0s"}, "--maturity 0s: expected more than 0s"),
        ({"maturity": "1h"}, "--maturity 1h: shorter than the label delay, 12h"),
        ({"product": "My Product"}, "--product My Product: expected lower-case letters, digits and _, like my_product"),
    ],
)
def test_a_wrong_flag_is_named_with_what_was_expected(
    clean: pl.DataFrame, drafted: Drafted, flags: dict[str, str], said: str
) -> None:
    with pytest.raises(HomeostatError) as error:
        drafted(clean, **flags)
    assert said in str(error.value)


def test_a_file_without_a_time_is_refused_with_the_way_out(clean: pl.DataFrame, drafted: Drafted) -> None:
    with pytest.raises(HomeostatError, match=r"has no column that is a time.*--time"):
        drafted(clean.drop("ordered_at", "closed_at"))


def test_a_file_without_two_answers_is_refused_with_the_way_out(clean: pl.DataFrame, drafted: Drafted) -> None:
    with pytest.raises(HomeostatError, match=r"has no column of two answers.*--target"):
        drafted(clean.drop("late"))


def test_an_unclear_target_is_asked_for_and_never_guessed_in_a_script(clean: pl.DataFrame, drafted: Drafted) -> None:
    rows = clean.rename({"late": "a"}).with_columns(b=pl.Series([0, 1] * 1_500))
    with pytest.raises(HomeostatError, match=r"Name it with --target \(b is likely.*Candidates: b, a"):
        drafted(rows)
    assert drafted(rows, accept=True).target.column.source == "b"
    asked: list[Question] = []

    def answer(question: Question) -> str:
        asked.append(question)
        return "a"

    assert drafted(rows, ask=answer).target.column.source == "a"
    assert asked[0].choices == ("b", "a")
    assert asked[0].problem("c") is not None


def test_words_say_which_answer_counts(clean: pl.DataFrame, drafted: Drafted) -> None:
    words = pl.when(pl.col("late") == 1).then(pl.lit("late")).otherwise(pl.lit("on time"))
    draft = drafted(clean.with_columns(state=words).drop("late"))
    assert draft.target.column.source == "state"
    assert draft.target.labels.sum() == clean["late"].sum()
    assert replay_options(draft) == ["--positive", "late"]


def test_one_answer_of_many_can_be_held_against_the_rest(clean: pl.DataFrame, drafted: Drafted) -> None:
    draft = drafted(clean, target="town", positive="Bonn")
    assert draft.target.labels.sum() == (clean["town"] == "Bonn").sum()
    with pytest.raises(HomeostatError, match=r"has 3 answers \('Bonn', 'Kiel', 'Ulm'\).*--positive"):
        drafted(clean, target="town")


def test_day_and_month_are_asked_for_where_nothing_tells(clean: pl.DataFrame, drafted: Drafted) -> None:
    days = pl.Series("ordered_at", [f"0{1 + i * 7 % 9}/0{1 + i * 5 % 9}/2024" for i in range(clean.height)])
    rows = clean.with_columns(days).drop("closed_at")
    draft = drafted(rows)
    assert "day_or_month_first" in {g.role for g in draft.guesses if not g.sure}
    first = drafted(rows, day_first=True)
    assert first.event_time.values[1] == drafted(rows, ask=_day).event_time.values[1]
    assert first.event_time.values[1] != draft.event_time.values[1]
    assert replay_options(first) == ["--day-first"]
    assert replay_options(draft) == ["--month-first"]


def _day(question: Question) -> str:
    return "day" if "day or month" in question.text else question.guess or ""


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1_000), ("us", 1_000_000)])
def test_times_counted_since_1970_are_understood(
    clean: pl.DataFrame, drafted: Drafted, unit: str, per_second: int
) -> None:
    seconds = clean["ordered_at"].str.to_datetime("%Y-%m-%dT%H:%M:%SZ").dt.epoch("s")
    draft = drafted(clean.with_columns(ordered_at=seconds * per_second))
    assert draft.event_time.written == f"epoch_{unit}"
    assert draft.stretch.first == drafted(clean).stretch.first
    unnamed = clean.with_columns(n=seconds * per_second).drop("ordered_at", "closed_at")
    assert drafted(unnamed).event_time.source == "n"  # nothing else can be the time, and it ascends


def test_an_id_is_made_where_no_column_has_one(clean: pl.DataFrame, drafted: Drafted) -> None:
    draft = drafted(clean.drop("order_id"))
    assert (draft.event_id, draft.id_column) == ("event_id", None)
    taken = drafted(clean.drop("order_id").with_columns(event_id=pl.lit("x")))
    assert taken.event_id == "made_event_id"


def test_the_events_id_stands_for_an_entity_that_is_missing(clean: pl.DataFrame, drafted: Drafted) -> None:
    draft = drafted(clean.select("order_id", "ordered_at", "load", "late"))
    assert draft.entity_column is None
    assert contract_of(draft).event.fields["entity"].type == "string"
    assert contract_of(draft).retention.entities == timedelta(days=30)  # else the store grows by a row an event


def test_names_that_yaml_reads_otherwise_and_words_of_python_come_through(
    clean: pl.DataFrame, drafted: Drafted
) -> None:
    odd = ["no", "yes", "null", "class", "lambda", "entity_id", "event_time", "label"]
    rng = np.random.default_rng(1)
    rows = clean.with_columns(pl.Series(name, rng.random(clean.height).round(3)) for name in odd)
    rows = rows.rename({"ordered_at": "in", "closed_at": "true"})
    contract = contract_of(drafted(rows, time="in", label_time="true", target="late"))
    assert set(odd) <= set(contract.event.fields)
    assert "label_value" in contract.features


def test_a_file_of_days_has_policies_of_whole_days(clean: pl.DataFrame, drafted: Drafted) -> None:
    contract = contract_of(drafted(clean.with_columns(pl.col("ordered_at").str.slice(0, 10))))
    assert contract.event.allowed_lateness == timedelta(days=2)
    for span in (contract.drift.every, contract.canary.block, contract.training.block):
        assert span >= timedelta(days=1)


def test_without_any_other_column_aggregates_are_the_features(clean: pl.DataFrame, drafted: Drafted) -> None:
    few = clean.head(600).with_columns(pl.col("ordered_at").str.slice(0, 10))  # days of two weeks: no hour, no weekday
    many = pl.concat_str(pl.lit("K"), pl.Series(range(few.height)) % 250)
    rows = few.select("order_id", "ordered_at", "late", "closed_at", customer_id=many)
    contract = contract_of(drafted(rows))
    assert any(name.startswith("late_customer_id_") for name in contract.features)


def test_cells_that_cannot_be_read_are_told_with_what_becomes_of_their_rows(
    clean: pl.DataFrame, drafted: Drafted
) -> None:
    row = pl.int_range(pl.len())
    rows = clean.with_columns(
        pl.when(row % 300 == 5).then(pl.lit("12 kg")).otherwise(pl.col("load").cast(pl.String)).alias("load"),
        pl.when(row % 500 == 7).then(pl.lit("soon")).otherwise("closed_at").alias("closed_at"),
    )
    assert drafted(rows).warnings == (
        "closed_at: 6 rows have a label that will be refused: no time is 'soon'",
        "load: 10 rows will be refused: no number is '12 kg'",
    )


@pytest.mark.parametrize(
    ("yes", "no", "options"),
    [("1", "0", []), ("Yes", "No", []), ("Y", "N", []), ("ja", "nein", []), ("Late", "Fine", ["--positive", "Late"])],
)
def test_only_an_answer_that_does_not_say_yes_has_to_be_named_again(
    clean: pl.DataFrame, drafted: Drafted, yes: str, no: str, options: list[str]
) -> None:
    said = pl.when(pl.col("late") == 1).then(pl.lit(yes)).otherwise(pl.lit(no)).alias("late")
    assert replay_options(drafted(clean.with_columns(said), target="late")) == options


def test_the_rest_of_the_file_is_watched_from_when_a_first_model_can_be_there(
    clean: pl.DataFrame, drafted: Drafted
) -> None:
    draft = drafted(clean)
    training, label = contract_of(draft).training, contract_of(draft).label
    assert draft.watch_from is not None
    assert timedelta(0) <= draft.watch_from - draft.stretch.first - training.cold_start_after - label.maturity < D
    assert drafted(clean.head(100)).watch_from is None


def test_texts_of_few_values_become_the_slices_of_a_canary(clean: pl.DataFrame, drafted: Drafted) -> None:
    rng = np.random.default_rng(5)
    rows = clean.with_columns(
        pl.Series("no", rng.choice(["a", "b"], clean.height)),
        pl.Series("shop", rng.choice([f"s{i}" for i in range(40)], clean.height)),
    )
    assert contract_of(drafted(rows, target="late")).canary.slices == ["no", "town"]
    assert contract_of(drafted(clean.drop("town"))).canary.slices == []
