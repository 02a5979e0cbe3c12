"""The tests of one column of a window against its reference."""

from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import NormalDist

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.bins import coarse
from homeostat.drift.counts import WindowCounts
from homeostat.drift.damage import moved_share
from homeostat.drift.distances import distances
from homeostat.drift.embedding import EmbeddingTest
from homeostat.drift.ks import KsTest, ks_test
from homeostat.drift.numbers import NumbersTest
from homeostat.drift.psi import PsiTest, psi_test
from homeostat.drift.reference import Reference, training_reference
from homeostat.records import DriftScore

_NAMED = 5  # numbers of a vector in a report
_LONGER = (2, 4, 8)  # times the training: what may be waited for


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """The tests of one column, and what else there is to say of it."""

    name: str
    psi: PsiTest
    ks: KsTest | None
    tests: int = field(default=1)
    distances: dict[str, float] = field(default_factory=dict)
    embedding: EmbeddingTest | None = None  # of a vector
    numbers: NumbersTest | None = None  # of a vector, each by itself

    @property
    def p_value(self) -> float:
        """The smallest p-value, times the number of tests (Bonferroni)."""
        smallest = min(test.p_value for test in (self.psi, self.ks, self.embedding, self.numbers) if test is not None)
        return min(1.0, smallest * self.tests)

    def moved(self, reference: np.ndarray, live: np.ndarray) -> float:
        """Return the share of rows that lie elsewhere than they would have, of counts by bin.

        Of a vector it is what a normal column would show that lies as far apart as the embeddings do.
        """
        share = moved_share(reference, live)
        if self.embedding is None or self.embedding.effect <= 0:
            return share
        return max(share, 2 * NormalDist().cdf(self.embedding.effect**0.5 / 2) - 1)

    def shown(self, effect: float) -> float:
        """Return the p-value of a normal column, or vector, that moves by so many deviations and by nothing else."""
        if self.embedding is not None:
            smallest = self.embedding.tail(effect**2)
        else:
            smallest = self.psi.tail(effect**2)
            if self.ks is not None:
                smallest = min(smallest, self.ks.tail(2 * NormalDist().cdf(effect / 2) - 1))
        return min(1.0, smallest * self.tests)

    def longer(self, times: float) -> "ColumnTest":
        """Return the tests as so many times the training would have them."""
        return replace(
            self,
            psi=self.psi.longer(times),
            ks=self.ks.longer(times) if self.ks else None,
            embedding=self.embedding.longer(times) if self.embedding else None,
        )

    def needs(self, calm: float, policy: DriftPolicy) -> tuple[float, int | None]:
        """Return what it takes that a move of just the floor shows: a rate of false alarms, or a longer training.

        Args:
            calm: The level of a column in a look where nothing drifts, as a share of the look's rate.
            policy: The floor and the rate in force.

        Returns:
            The least rate, and how many times the training would do at the rate in force: 2, 4 or 8, None where
            none is needed or none of them does.
        """
        effect, rate = policy.min_psi**0.5, policy.false_discovery_rate
        least = self.shown(effect) / calm
        if least <= rate:
            return least, None
        longer = (times for times in _LONGER if self.longer(times).shown(effect) <= rate * calm)
        return min(1.0, least), next(longer, None)

    def score(self, level: float, calm: float, policy: DriftPolicy) -> DriftScore:
        """Return the column's score at the level in force: drifted when certain and large enough.

        Args:
            level: In force.
            calm: What it is where nothing drifts, as a share of the look's rate of false alarms.
            policy: The floors and that rate.
        """
        psi_limit = self.psi.limit(level / self.tests)
        drifted = self.psi.index > psi_limit and self.psi.effect >= policy.min_psi
        distance = ks_limit = None
        if self.ks is not None:
            distance, ks_limit = self.ks.distance, self.ks.limit(level / self.tests)
            drifted = drifted or (distance > ks_limit and distance >= policy.min_ks)
        apart = apart_limit = None
        if self.embedding is not None:
            # the same floor as the index: both are in units of the symmetric divergence for small shifts
            apart, apart_limit = self.embedding.distance, self.embedding.limit(level / self.tests)
            drifted = drifted or (apart > apart_limit and self.embedding.effect >= policy.min_psi)
        # by itself or not at all: thousands of others would dilute a number in any sum
        moved = self.numbers.moved(level / self.tests, policy.min_psi) if self.numbers is not None else {}
        floor_rate, floor_training = self.needs(calm, policy)
        return DriftScore(
            name=self.name,
            psi=self.psi.index,
            psi_limit=psi_limit,
            ks=distance,
            ks_limit=ks_limit,
            p_value=self.p_value,
            drifted=drifted or bool(moved),
            distances={**self.distances, **dict(islice(moved.items(), _NAMED))},
            embedding=apart,
            embedding_limit=apart_limit,
            floor_rate=floor_rate,
            floor_training=floor_training,
        )


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
    if vector := reference.vectors.get(j):
        apart = vector.test(counts.vectors[j], int(live[:-1].sum()))
        each = None if vector.numbers is None else vector.numbers.test(counts.numbers[j], float(live[:-1].sum()))
        tests = 1 + (apart is not None) + (each is not None)
        return ColumnTest(column.name, psi, None, tests, told, apart, each)
    if column.categorical:
        return ColumnTest(column.name, psi, None, distances=told)
    gap = ks_test(expected[:-1], live[:-1], reference.gap_design(j))
    return ColumnTest(column.name, psi, gap, tests=2, distances=told)
