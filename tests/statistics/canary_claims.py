"""What is promised of a canary, held against what was counted: shown, not shown by so few streams, or broken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from tests.statistics.canary_gains import Gain
from tests.statistics.canary_proofs import Null

MOST_RATIO = 1.3  # of the rows of a paired test that is looked at once, at the right time, at equal power
MOST_OF_UNPAIRED = 0.2


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise, and between what bounds its figure lies with 95 % confidence."""

    what: str
    stated: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the figures say of it.

        >>> [Claim("", 0.05, low, high).verdict for low, high in ((0.01, 0.03), (0.03, 0.06), (0.06, 0.09))]
        ['shown', 'not shown', 'broken']
        """
        return "shown" if self.high <= self.stated else "not shown" if self.low <= self.stated else "broken"


def claims(nulls: Sequence[Null], gains: Sequence[Gain], alpha: float) -> Iterator[Claim]:
    """Give every promise on streams of the kinds for which it is made."""
    for null in nulls:
        for what, counts in (("promoted", null.promoted), ("stopped", null.stopped)):
            found = binomtest(counts[-1], null.streams).proportion_ci(0.95, "exact")
            yield Claim(f"{what} in {null.looks[-1]:,} looks: {null.name}", alpha, found.low, found.high)
    for gain in gains:
        yield Claim(f"rows to a decision, {gain.power:.0%}: {gain.name}", MOST_RATIO, *gain.ratio[1:])
        yield Claim(
            f"of an unpaired split's, {gain.power:.0%}: {gain.name}", MOST_OF_UNPAIRED, *gain.unpaired_ratio[1:]
        )


def claim_table(found: Sequence[Claim]) -> str:
    """Return the claims as Markdown."""
    lines = ["| claim | at most | 95 % interval | |", f"|{'---|' * 4}"]
    lines += [f"| {one.what} | {one.stated:g} | {one.low:.3f} to {one.high:.3f} | {one.verdict} |" for one in found]
    return "\n".join(lines)
