"""``make prove-drift``: how often a look alarms without drift, and how soon and how surely a change is found."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from time import monotonic

import numpy as np
from scipy.stats import chi2, t

from tests.statistics.drift_environment import peers_python
from tests.statistics.drift_kept import answers
from tests.statistics.drift_nulls import LEVELS, Looks, Series, experiments, found, told
from tests.statistics.drift_power import Place, Power, powers
from tests.statistics.drift_streams import GROUPS
from tests.statistics.prove_healing import share


def looks_table(looks: Sequence[Looks]) -> str:
    """Return the share of calm looks that alarm at each level, as Markdown with exact 95 % intervals."""
    head = "| one look without drift | looks | " + " | ".join(f"at {level:.1%}" for level in LEVELS) + " |"
    lines = [head, f"|{'---|' * (2 + len(LEVELS))}"]
    for each in looks:
        n = len(each.smallest)
        cells = (each.name, f"{n:,}", *(share(each.alarms(level), n) for level in LEVELS))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def series_table(series: Sequence[Series]) -> str:
    """Return the false cases of long series against their budget, as Markdown with exact 95 % Poisson intervals."""
    lines = [
        "| series without drift | series | looks each | budget a series | false cases a series | looks that alarm |"
    ]
    lines.append(f"|{'---|' * 6}")
    for each in series:
        n, total = len(each.cases), sum(each.cases)
        low, high = chi2.ppf(0.025, 2 * total) / 2 / n if total else 0.0, chi2.ppf(0.975, 2 * total + 2) / 2 / n
        cells = (
            each.name,
            str(n),
            f"{each.looks:,}",
            f"{each.budget:g}",
            f"{total / n:.2f} ({low:.2f} to {high:.2f})",
            f"{each.alarms / n / each.looks:.2%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def power_table(found: Sequence[Power]) -> str:
    """Return mean batches to detection and share missed of every detector by kind of stream, as Markdown.

    With 95 % intervals: Student's of the mean, exact of the share, and of looks between false alarms by drawing calm
    streams anew, for looks of one stream overlap.
    """
    kinds, names = list(dict.fromkeys(p.kind for p in found)), list(dict.fromkeys(p.detector for p in found))
    by = {(p.detector, p.kind): p for p in found}
    lines = ["| detector | looks between false alarms | " + " | ".join(kinds) + " |", f"|{'---|' * (2 + len(kinds))}"]
    for name in names:
        cells = (name, _between(by[name, kinds[0]]), *(_told(by[name, kind]) for kind in kinds))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run every experiment, print the tables, and write all figures as JSON."""
    parser = argparse.ArgumentParser(description="Shows what the drift detector promises and holds.")
    parser.add_argument("--json", type=Path, default=Path(".homeostat/drift.json"))
    parser.add_argument("--quick", action="store_true", help="a tenth of the looks, two streams of each kind")
    parser.add_argument("--share", type=float, default=1.0, help="of the looks without drift")
    parser.add_argument("--streams", type=int, default=8, help="of each kind of change")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--seed", type=int, default=20130401)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--go-on", action="store_true", help="keep the answers of a run that was stopped")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.share, chosen.streams = 0.1, 2
    place = Place(chosen.json.parent / "drift_streams", chosen.workers)
    if not chosen.go_on:
        rmtree(place.folder, ignore_errors=True)
    started = monotonic()
    nulls = without_drift(chosen.share, chosen.seed, place)
    looks, series = ([each for each in nulls if isinstance(each, kind)] for kind in (Looks, Series))
    sys.stdout.write(f"{looks_table(looks)}\n\n{series_table(series)}\n\n")
    sys.stdout.flush()
    sys.stderr.write(f"without drift: {monotonic() - started:.0f} s\n")
    python = None if chosen.no_peers else peers_python(chosen.json.parent)
    tables = {}
    for group in GROUPS:
        tables[group] = powers(group, chosen.streams, chosen.seed, python, place)
        sys.stdout.write(f"{power_table(tables[group])}\n\n")
        sys.stdout.flush()
    minutes = (monotonic() - started) / 60
    figures = {"minutes": round(minutes, 1), "nulls": [asdict(each) for each in nulls]}
    figures |= {group: [asdict(power) for power in each] for group, each in tables.items()}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(figures, indent=1))
    sys.stdout.write(f"{minutes:.0f} minutes; figures in {chosen.json}\n")


def without_drift(share: float, seed: int, place: Place) -> list[Looks | Series]:
    """Return what every experiment without drift finds, the longest first."""
    jobs = {f"{work.__name__}{args}": (told, (work, *args)) for work, *args in experiments(share, seed)}
    return [found(answer) for answer in answers(place.folder / "nulls.jsonl", jobs, place.workers).values()]


def _told(power: Power) -> str:
    """Return the mean delay in batches and how many streams were missed."""
    n = len(power.delays)
    delay = f"{np.mean(power.delays):.1f}" if n else "-"
    if n > 1:
        delay += f" ± {t.ppf(0.975, n - 1) * np.std(power.delays, ddof=1) / np.sqrt(n):.1f}"
    return delay if not power.missed else f"{delay}, missed {share(power.missed, n + power.missed)}"


def _between(power: Power) -> str:
    """Return the mean number of calm looks from one false alarm to the next."""
    alarms = np.asarray(power.calm_alarms)
    if not alarms.any():
        return f"over {power.calm_looks:,}"
    drawn = np.random.default_rng(1).choice(alarms, (2000, alarms.size)).sum(axis=1)
    most, least = np.quantile(drawn, (0.975, 0.025))
    ends = [f"{power.calm_looks / count:,.0f}" if count else "ever" for count in (most, least)]
    return f"{power.calm_looks / alarms.sum():,.0f} ({' to '.join(ends)})"


if __name__ == "__main__":
    main()
