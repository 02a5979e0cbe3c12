"""``make prove-canary``: how often a canary decides wrongly however often it is looked at, and how soon rightly."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic

from homeostat.contract.policies import CanaryPolicy
from tests.statistics.canary_claims import claim_table, claims
from tests.statistics.canary_gains import Gain, gains_of
from tests.statistics.canary_proofs import BLOCKS, Null, null_of
from tests.statistics.canary_steps import Climbed, climbed_of
from tests.statistics.canary_streams import Kind, error_for
from tests.statistics.prove_healing import share

WEATHER = {"block_share": 0.3, "unknown": 0.7}
USERS = {"heavy": True, "user_share": 0.3, "unknown": 0.7}
EVERYTHING = {"heavy": True, "fleeting": True, "block_share": 0.2, "user_share": 0.2, "unknown": 0.5}
MARGIN = 0.02
NULLS = (
    Kind("independent rows"),
    Kind("rows of a block share their weather", **WEATHER),
    Kind("and half of it the next block's", **WEATHER, carry=0.5),
    Kind("uneven users", **USERS),
    Kind("uneven users who come and go", **USERS, fleeting=True),
    Kind("weather, carried on, and uneven users", **EVERYTHING, carry=0.4),
    Kind("ones are labelled 48 blocks before zeros", bias=0.2, mean=0.0),
)
LONG = Kind("beyond what is promised: weather of ten blocks", block_share=0.2, unknown=0.5, carry=0.9)
KAYENTA = (NULLS[0], NULLS[2], NULLS[4])  # its intervals take all pairs of points: a few streams are enough
GAINS = (0.04, 0.03, 0.02)
SHARED_GAINS = (Kind("weather, carried on", **WEATHER, carry=0.5), Kind("uneven users", **USERS))


def kinds_of_gain() -> list[Kind]:
    """Return streams on which the challenger is better, by a share of the champion's loss."""
    plain = [
        replace(NULLS[0], name=f"loss {gain:.1%} lower", challenger_error=error_for(NULLS[0], -gain)) for gain in GAINS
    ]
    shared = [
        replace(kind, name=f"loss {GAINS[0]:.1%} lower, {kind.name}", challenger_error=error_for(kind, -GAINS[0]))
        for kind in SHARED_GAINS
    ]
    return [*plain, *shared]


def null_table(nulls: Sequence[Null]) -> str:
    """Return how often canaries of equal models were decided, as Markdown with exact 95 % intervals."""
    looks = " / ".join(f"{n:,}" for n in nulls[0].looks)
    head = f"| no true difference | promoted in {max(nulls[0].looks):,} looks | stopped | promoted in {looks} looks "
    head += "| stopped | t-test that peeks: promoted | Mann-Whitney as Kayenta: better | worse |"
    lines = [head, f"|{'---|' * 8}"]
    for null in nulls:
        cells = (
            null.name,
            share(null.promoted[-1], null.streams),
            share(null.stopped[-1], null.streams),
            *(_shares([n / null.streams for n in counts]) for counts in (null.promoted, null.stopped, null.peeking)),
            _shares(null.kayenta_better) if null.kayenta_streams else "-",
            _shares(null.kayenta_worse) if null.kayenta_streams else "-",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def gain_table(gains: Sequence[Gain]) -> str:
    """Return the rows to a promotion against those of other tests of the same power, as Markdown."""
    head = "| gain | power | rows to a decision, mean (median) | paired test, one look at the right time | ratio "
    head += "| unpaired halves | ratio | paired t-test on blocks | stopped "
    head += "| rows needed as told at 1,000 rows: over those it took |"
    lines = [head, f"|{'---|' * 10}"]
    for gain in gains:
        cells = (
            gain.name,
            f"{gain.power:.0%}",
            f"{gain.rows:,.0f} ({gain.median_rows:,.0f})",
            f"{gain.paired_rows:,.0f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*gain.ratio),
            f"{gain.unpaired_rows:,.0f}",
            "{:.3f} ({:.3f} to {:.3f})".format(*gain.unpaired_ratio),
            f"{gain.t_test_rows:,.0f}",
            share(gain.stopped, gain.streams),
            f"{gain.told:.2f}; enough in {gain.cautious:.0%}" if gain.told else "-",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def kinds_of_steps() -> list[Kind]:
    """Return streams whose canaries climb 5, 25 and 100 % of traffic."""
    apart = ((-GAINS[0], f"loss {GAINS[0]:.1%} lower"), (GAINS[0], f"loss {GAINS[0]:.1%} higher"))
    changed = [replace(NULLS[0], name=name, challenger_error=error_for(NULLS[0], by)) for by, name in apart]
    return [NULLS[0], NULLS[2], NULLS[4], *changed]


def step_table(found: Sequence[Climbed]) -> str:
    """Return what canaries by steps come to, beside those of one step on the same streams, as Markdown."""
    head = "| by steps of 5, 25, 100 % | promoted | in one step | stopped | rows to a decision, median | in one step "
    lines = [head + "| rows answered by the challenger |", f"|{'---|' * 7}"]
    for one in found:
        cells = (
            one.name,
            share(one.promoted, one.streams),
            f"{one.promoted_at_once / one.streams:.1%}",
            share(one.stopped, one.streams),
            *("-" if rows is None else f"{rows:,.0f}" for rows in (one.rows, one.rows_at_once)),
            f"{one.answered:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Simulate every kind of stream, print the tables, write all figures as JSON; 1 if a claim is broken, else 0."""
    parser = argparse.ArgumentParser(description="Shows that a canary may be looked at all the time.")
    parser.add_argument("--json", type=Path, default=Path(".homeostat/canary.json"))
    parser.add_argument("--streams", type=int, default=1500)
    parser.add_argument("--gain-streams", type=int, default=2000)
    parser.add_argument("--kayenta-streams", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20130301)
    chosen = parser.parse_args()
    started = monotonic()
    climbed = [climbed_of(kind, chosen.streams, chosen.seed, BLOCKS) for kind in kinds_of_steps()]
    sys.stderr.write(f"steps: {monotonic() - started:.0f} s\n")
    nulls, gains = [], []
    for kind in (*NULLS, LONG):
        peers = chosen.kayenta_streams if kind in KAYENTA else 0
        nulls.append(null_of(kind, chosen.streams, chosen.seed, kayenta_streams=peers))
        sys.stderr.write(f"{kind.name}: {monotonic() - started:.0f} s\n")
    edge = replace(NULLS[0], name=f"worse by the margin, {MARGIN:.0%}", challenger_error=error_for(NULLS[0], MARGIN))
    nulls.append(null_of(edge, chosen.streams, chosen.seed, margin=MARGIN))
    promised = [null for null in nulls if null.name not in {LONG.name, edge.name}]
    for kind in kinds_of_gain():
        gains += gains_of(kind, chosen.gain_streams, chosen.seed, powers=(0.8, 0.9))
        sys.stderr.write(f"{kind.name}: {monotonic() - started:.0f} s\n")
    minutes = (monotonic() - started) / 60
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    tables = {"nulls": nulls, "gains": gains, "steps": climbed}
    figures = {"minutes": round(minutes, 1)} | {name: [asdict(row) for row in rows] for name, rows in tables.items()}
    chosen.json.write_text(json.dumps(figures, indent=1))
    held = [*claims(promised, gains, CanaryPolicy().alpha)]
    shown = (
        claim_table(held),
        null_table(nulls),
        gain_table(gains),
        step_table(climbed),
        f"{minutes:.0f} minutes; figures in {chosen.json}",
    )
    sys.stdout.write("\n\n".join(shown) + "\n")
    return int(any(one.verdict == "broken" for one in held))


def _shares(rates: Sequence[float]) -> str:
    return " / ".join(f"{100 * rate:.1f}" for rate in rates) + " %"


if __name__ == "__main__":
    sys.exit(main())
