"""Everything that is known of two models at one look: with labels, without them, and by slice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from homeostat.canary.evidence import GROUPS, Paired, nothing
from homeostat.canary.spread import Floats
from homeostat.contract.policies import CanaryPolicy

BINS = 20
"""Parts of [0, 1], of equal width, in which scores are counted."""


@dataclass(frozen=True, slots=True)
class Health:
    """How many rows a model scored, of those that any model scored; needs no label."""

    scored: int = 0
    failed: int = 0

    @property
    def seen(self) -> int:
        """Rows that any model scored."""
        return self.scored + self.failed

    @property
    def failed_ratio(self) -> float:
        """Share of its rows that the model did not score."""
        return self.failed / max(self.seen, 1)

    def is_failing(self, policy: CanaryPolicy) -> bool:
        """Return whether more than the policy allows failed, of enough rows to say so."""
        return self.seen >= policy.min_rows and self.failed_ratio > policy.max_fallback_ratio


@dataclass(frozen=True, slots=True)
class Shift:
    """How two models answer, without labels: sums by block and group of entities, over the rows both answered."""

    rows: Floats = field(default_factory=lambda: np.zeros((0, GROUPS)))  # shape (n_blocks, n_groups)
    difference: Floats = field(
        default_factory=lambda: np.zeros((0, GROUPS))
    )  # of scores, the rival's minus the other's
    incumbent_bins: Floats = field(default_factory=lambda: np.zeros((0, GROUPS, BINS)))  # rows by bin of the score
    rival_bins: Floats = field(default_factory=lambda: np.zeros((0, GROUPS, BINS)))
    slower: Floats = field(default_factory=lambda: np.zeros((0, GROUPS)))  # rows late by the rival minus by the other
    seen: Floats = field(default_factory=lambda: np.zeros((0, GROUPS)))  # rows that any model answered
    incumbent_failed: Floats = field(default_factory=lambda: np.zeros((0, GROUPS)))  # of those seen
    rival_failed: Floats = field(default_factory=lambda: np.zeros((0, GROUPS)))


@dataclass(frozen=True, slots=True)
class Trial:
    """A rival beside the model that serves, in complete blocks of the same rows."""

    paired: Paired = field(default_factory=nothing)  # labelled rows
    rival: Health = Health()
    incumbent: Health = Health()
    shift: Shift = field(default_factory=Shift)
    slices: Mapping[str, Paired] = field(default_factory=dict)  # by name and value, like "colour red"
