"""Vector columns under watch: what calm windows do, what a shift of some numbers does, and what it costs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.cells import CellCoder
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.domain import domain_reference, domain_test
from homeostat.drift.profile import Profile, build_profile
from homeostat.drift.report import judge_window
from homeostat.drift.seasonal import with_season
from homeostat.drift.vector_map import VectorMap, fitted_map
from homeostat.records import Attribution, DriftStatus
from homeostat.vectors import packed

SIZE, ROWS = 32, 8_000
POLICY = DriftPolicy()
START = datetime(2030, 1, 1, tzinfo=UTC)
FEATURES = ("emb", "delay")


def lists(rows, missing=0.0, seed=0):
    gone = np.random.default_rng(seed + 1).random(len(rows)) < missing
    return pl.Series(
        "emb", [None if out else row for out, row in zip(gone, rows.tolist(), strict=True)], pl.List(pl.Float64)
    )


def embeddings(rows, seed, size=SIZE):
    """Vectors whose numbers go together and differ a thousandfold in scale."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((rows, size)) @ (np.eye(size) + 0.2 * np.roll(np.eye(size), 1, axis=0))
    return mixed * np.logspace(-1.5, 1.5, size)


def profile_of(emb, window=None, seed=3):
    rng = np.random.default_rng(99)
    columns = {"emb": emb, "delay": rng.standard_normal(len(emb))}
    if window is not None:
        columns["event_time"] = pl.Series([START + timedelta(minutes=10 * i) for i in range(len(emb))])
    return build_profile(pl.DataFrame(columns), FEATURES, frozenset(), rng.random(len(emb)), None,
                         expected_loss=0.5, seed=seed, window=window)  # fmt: skip


def look(profile, emb, policy=POLICY, seed=7):
    rng = np.random.default_rng(seed)
    window = WindowCounts(Counter(profile))
    window.add_columns([emb, rng.standard_normal(len(emb))], rng.random(len(emb)))
    return judge_window(window, (), policy)


@pytest.fixture(scope="module")
def profile():
    return profile_of(lists(embeddings(ROWS, 0), missing=0.1))


def test_a_calm_window_is_healthy_and_a_vector_has_one_score(profile):
    judgement = look(profile, lists(embeddings(2_000, 1), missing=0.1))
    assert judgement.status is DriftStatus.HEALTHY
    emb, delay = judgement.features
    assert (emb.name, emb.ks) == ("emb", None)
    assert 0 < emb.embedding < emb.embedding_limit
    assert delay.embedding is None


def test_a_shift_of_some_numbers_is_found_in_its_vector_alone(profile):
    rows = embeddings(2_000, 1)
    rows[:, :4] += 0.5 * rows[:, :4].std(axis=0)  # those of the smallest scale
    judgement = look(profile, lists(rows, missing=0.1))
    assert [score.name for score in judgement.features if score.drifted] == ["emb"]
    assert judgement.features[0].embedding > judgement.features[0].embedding_limit
    assert judgement.reasons[0].startswith("emb: distance of the vectors ")


def test_numbers_that_no_longer_go_together_are_found_though_each_is_as_it_was(profile):
    rows, rng = embeddings(4_000, 1), np.random.default_rng(2)
    rows[:, :16] = np.abs(rows[:, :16]) * rng.choice([-1, 1], (4_000, 1))  # all of one sign
    assert look(profile, lists(rows, missing=0.1)).features[0].drifted


def test_missing_vectors_are_watched_as_any_column(profile):
    emb = look(profile, lists(embeddings(2_000, 1), missing=0.4)).features[0]
    assert emb.drifted
    assert emb.psi > emb.psi_limit
    assert emb.embedding < emb.embedding_limit
    assert emb.distances["missing"] == pytest.approx(0.4, abs=0.05)


def test_the_damage_of_a_vector_counts_what_its_embedding_says(profile):
    priced = replace(profile, attribution=(Attribution(0.6, 0.2), Attribution(0.4, 0.1)))
    rows = embeddings(2_000, 1)
    rows[:, :8] += 0.6 * rows[:, :8].std(axis=0)
    emb = look(priced, lists(rows, missing=0.1)).features[0]
    assert emb.share == 0.6
    assert emb.damage > 0.2 * 0.2


def test_a_profile_survives_its_json(profile):
    again = Profile.from_bytes(profile.to_bytes())
    assert again == profile
    rows = lists(embeddings(500, 1))
    assert look(again, rows) == look(profile, rows)


def test_cells_of_records_a_column_and_merged_parts_count_alike(profile):
    rows = lists(embeddings(300, 1), missing=0.2)
    counter, rng = Counter(profile), np.random.default_rng(0)
    delay, scores = rng.standard_normal(300), rng.random(300)
    whole, parts = WindowCounts(counter), WindowCounts(counter)
    whole.add_columns([rows, delay], scores)
    cells = [(None if emb is None else tuple(emb), d) for emb, d in zip(rows.to_list(), delay.tolist(), strict=True)]
    for start in (0, 100):
        stop = 100 if start == 0 else 300
        part = WindowCounts(counter)
        part.add(cells[start:stop], scores[start:stop])
        parts.merge(part)
    np.testing.assert_array_equal(parts.bins, whole.bins)
    np.testing.assert_allclose(parts.vectors[0], whole.vectors[0], rtol=1e-5, atol=1e-3)
    assert parts.vectors[0].size == 64  # whatever the rows and the size


def test_a_vector_of_another_size_counts_as_missing(profile):
    window = WindowCounts(Counter(profile))
    window.add([((1.0, 2.0), 0.5), (None, 0.5)], [0.5, 0.5])
    assert window.column(0)[-1] == 2
    assert not window.vectors[0].any()


@pytest.mark.parametrize("emb", [lists(np.ones((500, 3))), pl.Series("emb", [None] * 500, pl.List(pl.Float64))])
def test_vectors_that_never_vary_or_never_come_are_no_fault(emb):
    made = profile_of(emb)
    assert look(Profile.from_bytes(made.to_bytes()), emb).status is DriftStatus.HEALTHY


def test_numbers_beyond_all_bounds_have_no_leverage(profile):
    rows = embeddings(2_000, 1)
    rows[0] = 1e300
    emb = look(profile, lists(rows, missing=0.1)).features[0]
    assert np.isfinite(emb.embedding)
    assert not emb.drifted


def test_false_alarms_hold(profile):
    """400 calm windows under one profile: alarms of the vector at 5 %, by its own p-value."""
    policy = DriftPolicy(false_discovery_rate=0.05)
    looks = [look(profile, lists(embeddings(600, 1_000 + k), missing=0.1, seed=k), policy, seed=k) for k in range(400)]
    alarms = sum(one.features[0].p_value < 0.05 for one in looks)
    low, high = stats.binomtest(alarms, 400).proportion_ci(0.99)
    assert low <= 0.05, f"{alarms} of 400 calm windows, {low:.3f} to {high:.3f}"


def test_windows_that_differ_in_calm_times_raise_the_limit():
    """Rows of one day share a direction of their own: what days do to one another is no drift."""
    rng = np.random.default_rng(1)
    rows = embeddings(144 * 28, 2) + np.repeat(rng.standard_normal((28, SIZE)), 144, axis=0) * np.logspace(
        -1.5, 1.5, SIZE
    )
    day = timedelta(days=1)
    with_windows, without = profile_of(lists(rows), window=day), profile_of(lists(rows))
    fresh = lists(embeddings(144, 5) + rng.standard_normal(SIZE) * np.logspace(-1.5, 1.5, SIZE))
    policy = DriftPolicy(min_rows=100)
    assert look(without, fresh, policy).features[0].drifted
    assert not look(with_windows, fresh, policy).features[0].drifted


def test_sparse_vectors_of_thousands_of_numbers_are_watched_as_well():
    """A hundred of 3,000 numbers are set; of thirty of them the values move by half a deviation."""

    def sparse(rows, seed, shift=0.0):
        rng = np.random.default_rng(seed)
        found = np.zeros((rows, 3_000))
        for row in found:
            row[rng.choice(300, 60, replace=False)] = rng.random(60)
            row[rng.choice(3_000, 40, replace=False)] = rng.random(40)
        found[:, :30] += shift * found[:, :30].std(axis=0)
        return lists(found)

    made = profile_of(sparse(4_000, 0))
    assert not look(made, sparse(1_500, 1)).features[0].drifted
    assert look(made, sparse(1_500, 1, shift=0.5)).features[0].drifted


def test_sparse_cells_fall_where_their_lists_do():
    """Even where few vectors come again and again, so that each has a bin of its own."""
    rng, kinds = np.random.default_rng(0), np.zeros((7, 400))
    for row in kinds[1:]:
        row[rng.choice(400, 20, replace=False)] = rng.standard_normal(20)
    rows = kinds[rng.integers(0, 7, 3_000)]
    made = profile_of(lists(rows))
    cells = [(packed(row), 0.5) for row in rows] + [(None, 0.5), ((0.5,) * 400, 0.5)]
    as_cells, as_lists = WindowCounts(Counter(made)), WindowCounts(Counter(made))
    as_cells.add(cells, [0.5] * len(cells))
    column = pl.Series([*rows.tolist(), None, [0.5] * 400], dtype=pl.List(pl.Float64))
    as_lists.add_columns([column, np.full(len(cells), 0.5)], [0.5] * len(cells))
    assert np.count_nonzero(as_cells.column(0)) == 9
    as_cells.add([(None, 0.5)] * 70, [0.5] * 70)
    as_lists.add_columns([pl.Series([None] * 70, dtype=pl.List(pl.Float64)), np.full(70, 0.5)], [0.5] * 70)
    np.testing.assert_array_equal(as_cells.bins, as_lists.bins)
    np.testing.assert_allclose(as_cells.vectors[0], as_lists.vectors[0], rtol=1e-5, atol=1e-3)


def test_a_number_that_never_varied_may_begin_to_move():
    rows = embeddings(1_000, 0)
    rows[:, 5] = 0.0
    drawn = fitted_map(rows.astype(np.float32), seed=1)
    assert drawn.scale[5] > 0
    moved = rows.copy()
    moved[:, 5] = 3 * drawn.scale[5]
    assert not np.allclose(drawn.project(moved.astype(np.float32)), drawn.project(rows.astype(np.float32)))


def test_a_map_without_rows_projects_nothing():
    assert VectorMap(3, 1, (1.0, 1.0, 1.0)).project([]).shape == (0, 64)


def test_the_classifier_and_the_season_take_vectors_by_where_they_lie():
    """The classifier reads a column of numbers; the season has that, and the vectors themselves."""
    rows = 24 * 60 * 2  # two an hour, sixty days
    emb, rng = lists(embeddings(rows, 4), missing=0.1), np.random.default_rng(0)
    times = pl.Series([START + timedelta(minutes=30 * i) for i in range(rows)])
    frame = pl.DataFrame({"emb": emb, "delay": rng.standard_normal(rows), "event_time": times})
    scores, window = rng.random(rows), timedelta(days=7)
    made = build_profile(frame, FEATURES, frozenset(), scores, None, expected_loss=0.5, seed=1, window=window)
    policy = DriftPolicy(season="day", window=window, min_rows=100)
    seasonal = with_season(made, frame, scores, None, policy)
    assert seasonal.season is not None
    live = frame[: 24 * 7 * 2]
    counts = WindowCounts(Counter(seasonal))
    counts.add_columns([live["emb"], live["delay"].to_numpy()], scores[: live.height])
    counts.add_times(live["event_time"].dt.epoch("us").to_numpy() / 1e6)
    judgement = judge_window(counts, (), policy)
    assert judgement.reference.startswith("the same hours of the day")
    assert not judgement.features[0].drifted

    domain = domain_reference(made.columns[:-1], frame, None, window, seed=1)
    moved = embeddings(live.height, 9) + 4 * np.logspace(-1.5, 1.5, SIZE)
    coder = CellCoder(made.columns[:-1])
    seconds = live["event_time"].dt.epoch("us").to_numpy() / 1e6
    apart = domain_test(domain, coder, coder.matrix([lists(moved), live["delay"].to_numpy()], seconds), window)
    assert apart.auc > 0.7
    assert next(iter(apart.carried)) == "emb"
