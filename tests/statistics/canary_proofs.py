"""Many streams of a kind without a true difference, and what was decided on them."""

from dataclasses import dataclass

import numpy as np

from homeostat.contract.policies import CanaryPolicy
from tests.statistics.canary_streams import Kind, as_labelled, label_free, stream
from tests.statistics.canary_trials import (
    by_bounds,
    by_kayenta,
    by_peeking,
    row_sums,
    spaced,
    with_guardrails,
)

BLOCKS = 1000
LOOKS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Null:
    """Decisions on streams without a true difference, by number of looks."""

    name: str
    streams: int
    looks: tuple[int, ...]
    promoted: tuple[int, ...]
    stopped: tuple[int, ...]  # guardrails included
    peeking: tuple[int, ...]  # promoted by the t-test
    kayenta_streams: int
    kayenta_better: tuple[float, ...]
    kayenta_worse: tuple[float, ...]


def null_of(
    kind: Kind, streams: int, seed: int, *, kayenta_streams: int = 0, blocks: int = BLOCKS, margin: float = 0.0
) -> Null:
    """Return what is decided on streams of a kind; with a margin, of models apart by just that margin."""
    rng, policy = np.random.default_rng(seed), CanaryPolicy(margin=margin)
    looks = tuple(n for n in LOOKS if n <= blocks)
    ours, peers, kayenta = (np.zeros((len(looks), 2)) for _ in range(3))
    for place in range(streams):
        made = stream(kind, blocks, rng)
        found = with_guardrails(by_bounds(made, policy), made, label_free(made, policy, rng), policy)
        known = as_labelled(made, blocks) if kind.bias else row_sums(made, blocks)
        peeked = by_peeking(*known, policy)
        with_kayenta = by_kayenta(made, spaced(blocks, 100), rng) if place < kayenta_streams else None
        for row, n in enumerate(looks):
            promoted, stopped = found.verdict(spaced(blocks, n))
            ours[row] += promoted, stopped
            peers[row] += peeked.verdict(spaced(blocks, n))
            if with_kayenta is not None:
                at = spaced(blocks, min(n, 100))
                kayenta[row] += with_kayenta.promote[at].any(), with_kayenta.stop[at].any()
    rates = kayenta / max(kayenta_streams, 1)
    whole = ours.astype(int)
    return Null(
        kind.name,
        streams,
        looks,
        tuple(whole[:, 0].tolist()),
        tuple(whole[:, 1].tolist()),
        tuple(peers[:, 0].astype(int).tolist()),
        kayenta_streams,
        tuple(rates[:, 0].tolist()),
        tuple(rates[:, 1].tolist()),
    )
