from pathlib import Path

import pytest

from homeostat.errors import NotEnoughDataError
from homeostat.training.recipe import Recipe
from homeostat.training.resampling import Resampling
from homeostat.training.space import as_trial, first_recipes
from homeostat.training.study import Trial, run_study


def loss(recipe: Recipe) -> float:
    """A made-up landscape: linear is poor, and a decay of 40 days is best."""
    if recipe.learner == "linear":
        return 1.0
    days = recipe.resampling.days if recipe.resampling.kind == "decay" else None
    return 0.5 + (abs(days - 40) / 1000 if days else 0.3) + abs(recipe.params.get("num_leaves", 31) - 20) / 1000


FIRST = first_recipes(10_000, 100.0, Recipe("linear", {"l2": 2.0}, 0), None)


def study(trials: int, path: Path | None = None, seed: int = 5) -> list[Trial]:
    return run_study(loss, FIRST, trials, rounds=80, seed=seed, path=path)


def test_the_first_recipes_are_tried_first_and_best_comes_first() -> None:
    done = study(4)
    assert sorted(trial.number for trial in done) == [0, 1, 2, 3]
    assert done[0].recipe.resampling.kind == "decay"


def test_the_same_seed_gives_the_same_study() -> None:
    assert study(9) == study(9)


def test_another_seed_gives_another_study() -> None:
    assert study(9) != study(9, seed=6)


def test_a_killed_study_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    path = tmp_path / "one.study"
    calls = 0

    def dies_at_the_seventh(recipe: Recipe) -> float:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt
        return loss(recipe)

    with pytest.raises(KeyboardInterrupt):
        run_study(dies_at_the_seventh, FIRST, 10, rounds=80, seed=5, path=path)
    measured: list[Recipe] = []

    def counts(recipe: Recipe) -> float:
        measured.append(recipe)
        return loss(recipe)

    resumed = run_study(counts, FIRST, 10, rounds=80, seed=5, path=path)
    assert len(measured) == 4
    assert resumed == study(10)


@pytest.mark.parametrize("torn", [b'{"op_code":4,"wor', b"\x00\x00\n", b'{"op_code":4}\xff\n{"op_code":4}\n'])
def test_a_study_torn_in_the_middle_of_a_write_goes_on_behind_its_last_whole_line(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "one.study"
    study(6, path)
    with path.open("ab") as file:
        file.write(torn)
    measured: list[Recipe] = []

    def counts(recipe: Recipe) -> float:
        measured.append(recipe)
        return loss(recipe)

    assert run_study(counts, FIRST, 9, rounds=80, seed=5, path=path) == study(9)
    assert len(measured) == 3


def test_a_journal_without_one_whole_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "one.study"
    path.write_bytes(b'{"op_')
    assert study(4, path) == study(4)


def test_the_lock_of_a_process_that_is_no_more_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "one.study"
    study(4, path)
    Path(f"{path}.lock").symlink_to(path)
    assert study(5, path) == study(5)
    assert [left.name for left in tmp_path.iterdir()] == ["one.study"]


def test_a_recipe_that_cannot_be_fitted_comes_last() -> None:
    def starved(recipe: Recipe) -> float:
        if recipe.resampling.kind == "recent":
            raise NotEnoughDataError("no rows")
        return loss(recipe)

    recent = Recipe(resampling=Resampling("recent", 3.0))
    assert run_study(starved, [recent, Recipe()], 2, rounds=80, seed=1, path=None)[-1].recipe == recent


def test_a_champion_outside_the_space_is_tried_exactly_as_it_is() -> None:
    odd = Recipe(params={"num_leaves": 500.0}, resampling=Resampling("decay", 5000.0))
    assert as_trial(odd)[0]["num_leaves"] == 95
    assert run_study(loss, [odd], 1, rounds=80, seed=1, path=None)[0].recipe == odd


def test_a_young_drift_sets_the_window_that_is_tried() -> None:
    recipes = first_recipes(10_000, 100.0, None, 12.0)
    assert Resampling("recent", 12.0) in [recipe.resampling for recipe in recipes]


def test_a_drift_that_showed_late_is_followed_back_to_where_it_may_have_begun() -> None:
    tried = [recipe.resampling for recipe in first_recipes(10_000, 100.0, None, 12.0)]
    assert Resampling("recent", 36.0) in tried
    assert Resampling("recent", 50.0) in [r.resampling for r in first_recipes(10_000, 100.0, None, 30.0)]
    assert sum(resampling.kind == "recent" for resampling in tried) == 2
    assert sum(r.resampling.kind == "recent" for r in first_recipes(10_000, 100.0, None, None)) == 1
