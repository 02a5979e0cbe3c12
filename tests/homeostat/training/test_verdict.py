import numpy as np
import pytest

from homeostat.contract.policies import Constraints
from homeostat.training.backtest import Block
from homeostat.training.calibration import logit
from homeostat.training.encoding import Encoder
from homeostat.training.recipe import Recipe
from homeostat.training.rows import Rows
from homeostat.training.verdict import NOTHING, Candidate, Scored, choose, score_all

OPEN = Constraints(min_auc=None, max_calibration_error=None, max_model_mib=16.0)
RNG = np.random.default_rng(0)


def blocks_of(count: int = 4) -> list[Block]:
    out = []
    for i in range(count):
        day = np.linspace(7.0 * i, 7.0 * i + 6.99, 700)
        rows = Rows(
            Encoder(("a",), {}), np.zeros((700, 1), dtype=np.float32), (RNG.uniform(size=700) < 0.4).astype(float), day
        )
        out.append(Block(rows, rows, 7.0 * i, 7.0 * i + 7.0))
    return out


BLOCKS = blocks_of()


def knows(name: str, *strengths: float) -> Candidate:
    """A candidate that knows so much about the labels of each block; a little noise keeps rows apart."""
    margins = [
        logit(np.array(0.4)) + strength * (block.rows.y - 0.4) + RNG.normal(0, 0.6, 700)
        for block, strength in zip(BLOCKS, strengths, strict=True)
    ]
    return Candidate(name, margins, Recipe())


def scored(*candidates: Candidate) -> list[Scored]:
    return score_all([knows(NOTHING, 0.5, 0.5, 0.5, 0.5), *candidates], BLOCKS, "log_loss")


def test_a_cure_that_is_clearly_better_is_adopted() -> None:
    choice = choose(scored(knows("refit", 1, 1, 1, 1)), BLOCKS, 0.9, OPEN)
    assert choice.winner is not None
    assert choice.winner.candidate.name == "refit"


def test_a_cure_that_changes_nothing_is_not_adopted() -> None:
    table = scored()
    choice = choose([table[0], *score_all([table[0].candidate], BLOCKS, "log_loss")], BLOCKS, 0.9, OPEN)
    assert choice.winner is None
    assert "nothing beats doing nothing" in choice.reason


def test_a_later_cure_displaces_an_earlier_one_when_better_in_every_block() -> None:
    choice = choose(scored(knows("refit", 1, 1, 1, 1), knows("decay", 1.6, 1.5, 1.7, 1.6)), BLOCKS, 0.9, OPEN)
    assert choice.winner is not None
    assert choice.winner.candidate.name == "decay"


def test_a_cure_that_is_better_in_one_block_alone_displaces_nobody() -> None:
    table = scored(knows("refit", 1, 1, 1, 1), knows("lucky", 1, 1, 1, 2.5))
    assert table[2].loss < table[1].loss
    choice = choose(table, BLOCKS, 0.9, OPEN)
    assert choice.winner is not None
    assert choice.winner.candidate.name == "refit"


@pytest.mark.parametrize(
    ("constraints", "word"),
    [
        (Constraints(min_auc=0.9999, max_calibration_error=None, max_model_mib=16.0), "min_auc"),
        (Constraints(min_auc=None, max_calibration_error=1e-6, max_model_mib=16.0), "max_calibration_error"),
    ],
)
def test_a_failed_gate_is_named(constraints: Constraints, word: str) -> None:
    choice = choose(scored(knows("refit", 0.8, 1, 0.9, 1)), BLOCKS, 0.9, constraints)
    assert choice.winner is None
    assert choice.reason.startswith(f"constraint {word}")


def test_the_next_best_serves_when_the_best_fails_a_gate() -> None:
    off = Candidate("off", [m + 0.6 for m in knows("x", 3, 3, 3, 3).margins])
    limits = Constraints(min_auc=None, max_calibration_error=0.05, max_model_mib=16.0)
    choice = choose(scored(off, knows("refit", 1, 1, 1, 1)), BLOCKS, 0.9, limits)
    assert choice.winner is not None
    assert choice.winner.candidate.name == "refit"


def test_one_sided_labels_fail_an_auc_gate_instead_of_passing_it() -> None:
    rows = Rows(BLOCKS[0].rows.encoder, BLOCKS[0].rows.x, np.ones(700), BLOCKS[0].rows.day)
    block = Block(rows, rows, 0.0, 7.0)
    margins = [RNG.normal(0, 0.1, 700)]
    table = score_all([Candidate(NOTHING, margins), Candidate("refit", [margins[0] + 1])], [block], "log_loss")
    choice = choose(table, [block], 0.9, Constraints(min_auc=0.6, max_calibration_error=None, max_model_mib=16.0))
    assert choice.winner is None


def test_a_recalibration_that_helps_in_one_block_alone_is_not_adopted() -> None:
    lucky = Candidate("recalibrate", knows("x", 0.5, 0.5, 0.5, 2.5).margins)
    assert choose(scored(lucky), BLOCKS, 0.9, OPEN).winner is None


def test_a_recalibration_that_helps_throughout_is_adopted() -> None:
    steady = Candidate("recalibrate", knows("x", 1, 1, 1, 1).margins)
    assert choose(scored(steady), BLOCKS, 0.9, OPEN).winner is not None
