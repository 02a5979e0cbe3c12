"""``make prove-healing``: twenty streams of each kind through the whole loop, as a Markdown table and as JSON."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median

from scipy.stats import binomtest

from homeostat.examples.streams.kinds import Kind
from tests.statistics.by_commands import run_by_commands
from tests.statistics.known_truth import Run, run

FIRST_SEED = 100  # what was tuned was tuned on seeds 0 to 19: the proof has seen none of them
COLUMNS = (
    "stream",
    "healed",
    "excess left: served",
    "oracle",
    "rows from change to promotion: median, max",
    "changes answered",
    "retrainings a run",
    "promotions a run",
    "rejections a run",
    "promotions of a worse model",
)
CALM_COLUMNS = ("stream", "runs with a promotion", "promotions", "of a worse model", "retrainings a run")


def table(runs: Sequence[Run]) -> str:
    """Return the figures by kind as Markdown: shares with their 95 % Clopper-Pearson intervals."""
    kinds = dict.fromkeys(made.kind for made in runs if made.kind != Kind.CALM)
    calm = [made for made in runs if made.kind == Kind.CALM]
    lines = [*_head(COLUMNS), *(_line([made for made in runs if made.kind == kind]) for kind in kinds)] if kinds else []
    lines += ["", *_head(CALM_COLUMNS), _calm_line(calm)] if calm else []
    return "\n".join(lines)


def share(hits: int, of: int) -> str:
    """Return a share with its exact interval.

    >>> share(19, 20)
    '19 of 20 (75 to 100 %)'
    """
    found = binomtest(hits, of).proportion_ci(0.95, "exact")
    return f"{hits} of {of} ({100 * found.low:.0f} to {100 * found.high:.0f} %)"


def _head(columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]


def _line(runs: Sequence[Run]) -> str:
    waited = [delay for made in runs for delay in made.delays]
    known = [delay for delay in waited if delay is not None]
    promotions = sum(made.promotions for made in runs)
    wrong = share(sum(made.wrong for made in runs), promotions) if promotions else "none"
    cells = [
        runs[0].kind.replace("_", " "),
        share(sum(made.healed for made in runs), len(runs)),
        f"{median(made.left for made in runs):.0%}",
        f"{median(made.oracle / made.frozen for made in runs):.0%}",
        f"{median(known):,.0f}, {max(known):,}" if known else "never",
        share(len(known), len(waited)),
        _mean([made.retrainings for made in runs]),
        _mean([made.promotions for made in runs]),
        _mean([made.rejections for made in runs]),
        wrong,
    ]
    return f"| {' | '.join(cells)} |"


def _calm_line(runs: Sequence[Run]) -> str:
    promotions = sum(made.promotions for made in runs)
    promoted = share(sum(made.promotions > 0 for made in runs), len(runs))
    wrong, tried = sum(made.wrong for made in runs), _mean([made.retrainings for made in runs])
    return f"| calm | {promoted} | {promotions} | {wrong} | {tried} |"


def _mean(counts: Sequence[int]) -> str:
    return f"{sum(counts) / len(counts):.1f}"


def one(job: tuple[Kind, int]) -> Run:
    """Play one stream by its kind and seed: what a worker process does."""
    return run(*job)


def one_by_commands(job: tuple[Kind, int]) -> Run:
    """The same by the commands that a user types."""
    return run_by_commands(*job)


def main() -> None:
    """Play all streams, print the table, and write every run as JSON."""
    parser = argparse.ArgumentParser(description="Shows that the loop heals streams with a known truth.")
    parser.add_argument("--json", type=Path, default=Path(".homeostat/healing.json"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--kinds", nargs="*", type=Kind, default=list(Kind))
    parser.add_argument(
        "--commands", action="store_true", help="by backfill, up and replay, not in one process: minutes a stream"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--go-on", action="store_true", help="keep the runs that --json has, and play the others")
    chosen = parser.parse_args()
    wanted = [(kind, chosen.first_seed + i) for i in range(chosen.seeds) for kind in chosen.kinds]
    known = read(chosen.json) if chosen.go_on and chosen.json.exists() else {}
    play = one_by_commands if chosen.commands else one
    with ProcessPoolExecutor(chosen.workers) as pool:
        coming = [pool.submit(play, job) for job in wanted if job not in known]
        for done in as_completed(coming):
            made = done.result()
            known[Kind(made.kind), made.seed] = made
            write(chosen.json, known.values())
            sys.stderr.write(f"{made.kind} {made.seed}: {made.left:.0%} left\n")
    runs = [known[job] for job in sorted(wanted, key=lambda job: (list(Kind).index(job[0]), job[1]))]
    sys.stdout.write(f"{table(runs)}\n\n{len(runs)} runs; all figures in {chosen.json}\n")


def read(file: Path) -> dict[tuple[Kind, int], Run]:
    """Return the runs in a file by kind and seed."""
    names = [field.name for field in fields(Run)]
    runs = [Run(**{name: said[name] for name in names}) for said in json.loads(file.read_text())]
    return {(Kind(run.kind), run.seed): run for run in runs}


def write(file: Path, runs: Iterable[Run]) -> None:
    """Write all runs there are so far: a proof of hours may be stopped and go on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps([{**asdict(made), "healed": made.healed} for made in runs], indent=1))
    draft.replace(file)


if __name__ == "__main__":
    main()
