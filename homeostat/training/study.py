"""The Optuna study of one search: the same trials under the same seed, also when it was killed half-way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from homeostat.errors import NotEnoughDataError
from homeostat.training.recipe import Recipe
from homeostat.training.space import as_trial, suggest

_RECIPE = "recipe"  # the exact recipe of a trial: a champion's may lie outside the space
_STARTUP = 4  # trials before TPE models anything; the first recipes give it enough to start from
_FAILED = 1e6  # the loss noted for a recipe that could not be fitted: worse than any


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe and its mean loss over the search blocks."""

    number: int
    recipe: Recipe
    loss: float


Measure = Callable[[Recipe], float]


def run_study(
    measure: Measure, first: Sequence[Recipe], trials: int, *, rounds: int, seed: int, path: Path | None
) -> list[Trial]:
    """Return the trials of a search, best first.

    A trial depends on the seed, its number and the trials completed before it. A study found at ``path``
    goes on where it was, and comes out as if it had never stopped. One process at a time works on it.

    Args:
        measure: Gives a recipe its loss.
        first: Recipes tried before the sampler is asked.
        trials: Number of trials in all.
        rounds: Trees of the recipes that the sampler proposes.
        seed: Seeds the sampler of each trial.
        path: Where the study is journalled; None keeps it in memory.
    """
    study = _study(path)
    for stale in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(stale.number, state=TrialState.FAIL)
    for number in range(len(_completed(study)), trials):
        if number < len(first):
            _note(study, first[number], _measured(measure, first[number]))
            continue
        # A sampler of its own for each trial: a resumed study must not depend on draws made before it died.
        study.sampler = TPESampler(seed=(seed * 1_000_003 + number) % 2**32, n_startup_trials=_STARTUP)
        trial = study.ask()
        recipe = suggest(trial, rounds)
        trial.set_user_attr(_RECIPE, recipe.to_json().decode())
        study.tell(trial, _measured(measure, recipe))
    done = [
        Trial(number, Recipe.from_json(str(trial.user_attrs[_RECIPE]).encode()), float(trial.value or 0.0))
        for number, trial in enumerate(_completed(study))
    ]
    return sorted(done, key=lambda trial: (trial.loss, trial.number))


def _study(path: Path | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if path is None:
        return optuna.create_study(direction="minimize")
    path.parent.mkdir(parents=True, exist_ok=True)
    _mend(path)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(study_name=path.stem, storage=storage, direction="minimize", load_if_exists=True)


def _mend(path: Path) -> None:
    """Clear away what a process killed in the middle of a write has left: its lock, and half a line.

    Optuna waits 30 s for such a lock, and reads no journal with such a line. A trial that was not told of whole is
    measured again.
    """
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink(missing_ok=True)
    if not path.exists():
        return
    content = path.read_bytes()
    whole = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n") or not _is_json(line):
            break
        whole += len(line)
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _note(study: optuna.Study, recipe: Recipe, loss: float) -> None:
    params, distributions = as_trial(recipe)
    attrs = {_RECIPE: recipe.to_json().decode()}
    study.add_trial(create_trial(params=params, distributions=distributions, value=loss, user_attrs=attrs))


def _measured(measure: Measure, recipe: Recipe) -> float:
    try:
        return measure(recipe)
    except NotEnoughDataError:
        return _FAILED
