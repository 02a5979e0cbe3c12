"""The tests of one column of a window against its reference."""

from dataclasses import dataclass, field

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.bins import coarse
from homeostat.drift.counts import WindowCounts
from homeostat.drift.distances import distances
from homeostat.drift.ks import KsTest, ks_test
from homeostat.drift.psi import PsiTest, psi_test
from homeostat.drift.reference import Reference, training_reference
from homeostat.records import DriftScore


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """Both tests of one column, and what else there is to say of it."""

    name: str
    psi: PsiTest
    ks: KsTest | None
    tests: int = field(default=1)
    distances: dict[str, float] = field(default_factory=dict)

    @property
    def p_value(self) -> float:
        """The smaller p-value, times the number of tests (Bonferroni)."""
        smallest = self.psi.p_value if self.ks is None else min(self.psi.p_value, self.ks.p_value)
        return min(1.0, smallest * self.tests)

    def score(self, level: float, policy: DriftPolicy) -> DriftScore:
        """Return the column's score at the level in force: drifted when certain and large enough."""
        psi_limit = self.psi.limit(level / self.tests)
        drifted = self.psi.index > psi_limit and self.psi.effect >= policy.min_psi
        distance = ks_limit = None
        if self.ks is not None:
            distance, ks_limit = self.ks.distance, self.ks.limit(level / self.tests)
            drifted = drifted or (distance > ks_limit and distance >= policy.min_ks)
        index, p_value = self.psi.index, self.p_value
        return DriftScore(self.name, index, psi_limit, distance, ks_limit, p_value, drifted, self.distances)


def column_test(counts: WindowCounts, reference: Reference, j: int) -> ColumnTest:
    """Return what column ``j`` of the window says about the reference; the score is the last column."""
    profile, live = counts.counter.profile, counts.column(j)
    column = profile.columns[j]
    if text := profile.texts.get(j):
        whole = training_reference(profile)
        before, now, told = np.asarray(text.counts), counts.texts[j], distances(column, whole.columns[j], live)
        refined = text.refined(whole.columns[j], before), text.refined(live, now)
        lengths = ks_test(text.lengths_of(before), text.lengths_of(now), whole.gap_design(j))
        return ColumnTest(column.name, psi_test(*refined, whole.index_design(j)), lengths, tests=2, distances=told)
    expected = reference.columns[j]
    psi = psi_test(coarse(column, expected), coarse(column, live), reference.index_design(j))
    told = distances(column, expected, live)
    if column.categorical:
        return ColumnTest(column.name, psi, None, distances=told)
    gap = ks_test(expected[:-1], live[:-1], reference.gap_design(j))
    return ColumnTest(column.name, psi, gap, tests=2, distances=told)
