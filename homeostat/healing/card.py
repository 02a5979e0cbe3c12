"""The decision card: what a person wants to know before approving a challenger, from the records alone; pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from homeostat.contract.durations import written
from homeostat.contract.model import Contract
from homeostat.records import Case, CaseState, TrainingRun

Line = tuple[str, ...]
_MOST_LINES = 8  # of a table that may be long; the rest is counted
_MOST_CHANGES = 3  # told above the fold


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the card; its first line is the head."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Card:
    """All that is known of a challenger at one look."""

    contract: Contract
    case: Case
    champion: str | None
    run: TrainingRun | None  # what brought it forth; None where that is longer ago than this process remembers
    finding: str
    evidence: Mapping[str, Any]
    at: datetime

    @property
    def title(self) -> str:
        """What is to be decided."""
        return f"{self.contract.product}: version {self.case.challenger} in place of version {self.champion}?"

    @property
    def todo(self) -> str:
        """What a person may do, and what happens if nobody does."""
        words = "set the tag homeostat.decision to approve, reject or hold"
        if self.case.state is CaseState.WAITING:
            return f"The evidence speaks for it and it waits for a person: {words}."
        if self.case.held:
            return f"A person holds it in its canary: {words}."
        if self.contract.canary.approval == "manual":
            return f"Nobody but a person lets it serve: {words}."
        return f"The loop decides by itself when there is evidence enough; to decide before that, {words}."

    def sections(self) -> Iterator[Section]:
        """Give the tables that the records fill."""
        for title, lines in (
            ("Why", _pairs({"the case": self.case.reason, **self._span()})),
            ("Evidence on live traffic so far", _pairs(self._canary())),
            ("Offline receipt", self._receipt()),
            ("What moved", self._moved()),
            ("What the features are to each model", self.importance()),
            ("Slices where it does worst", self._slices()),
            ("Promise and cost", _pairs(self._terms())),
        ):
            if lines:
                yield Section(title, lines)

    def _span(self) -> dict[str, object]:
        span = self.run.receipt.get("data_span") if self.run else None
        if not self.run or not span:
            return {}
        return {
            "learned from": f"{self.run.receipt.get('rows', 0):,} rows, {span[0]} to {span[1]}",
            "drift since": _day(self.case.drift_since),
        }

    def _canary(self) -> dict[str, object]:
        seen, policy = self.evidence, self.contract.canary
        return {
            "verdict": self.finding,
            "share of traffic": self._traffic(),
            "rows compared": f"{seen.get('rows', 0):,} in {seen.get('blocks', 0):,} blocks of {written(policy.block)}",
            "rows still needed": _still(seen.get("rows", 0), seen.get("rows_needed"), seen.get("rows_needed_cautious")),
            "loss, champion": seen.get("champion_loss"),
            "loss, challenger": seen.get("challenger_loss"),
            "difference": _interval(seen),
            "mean score above the label rate": _sides(seen, "champion_calibration_error", "calibration_error"),
            "rows not scored": _sides(seen, "champion_fallback_ratio", "fallback_ratio", _share),
            "rows later than promised": _more(seen.get("later_ratio"), "{:+.2%} against the champion"),
            "score against the champion's": _more(seen.get("score_difference"), "{:+.4f} on average"),
            "in its canary since": _day(self.case.since),
        }

    def _traffic(self) -> str:
        policy = self.contract.canary
        climb = f", steps {', '.join(f'{step:.0%}' for step in policy.steps)}" if policy.share is None else ""
        share = self.evidence.get("share")
        return "" if share is None else f"{share:.0%}{climb}"

    def _receipt(self) -> list[Line]:
        candidates = self.run.receipt.get("candidates", []) if self.run else []
        if not candidates:
            return []
        head = ("candidate", "loss", "against doing nothing", "AUC")
        return [head, *((c["candidate"], _number(c["loss"]), _interval(c), _number(c["auc"])) for c in candidates)]

    def _moved(self) -> list[Line]:
        moved = [score for score in self.case.report.features if score.drifted] if self.case.report else []
        if not moved:
            return []
        moved.sort(key=lambda score: -score.size[0])
        lines = [(one.name, f"{one.size[0]:.3f}", f"{one.size[1]:.3f}") for one in moved]
        index = "PSI" if all(one.embedding is None for one in moved) else "PSI or distance"
        return [("feature", index, "limit"), *_first(lines)]

    def importance(self) -> list[Line]:
        """Return the features' shares of the answers of both models as a table, the biggest changes first."""
        found = self.run.receipt.get("importance", []) if self.run else []
        if not any("champion" in one for one in found):  # it could not be read
            return []
        lines = [
            (one["feature"], _share(one.get("challenger")), _share(one.get("champion")), _change(one)) for one in found
        ]
        return [("feature", "share in the challenger", "in the champion", "change"), *_first(lines)]

    def _slices(self) -> list[Line]:
        worst = self.evidence.get("worst_slices", ())
        lines = [(str(one["slice"]), f"{one['rows']:,}", f"{one['mean_difference']:+.5f}") for one in worst]
        return [("slice", "rows", "loss against the champion"), *lines] if lines else []

    def _terms(self) -> dict[str, object]:
        sla, prices, run = self.contract.sla, self.contract.prices, self.run
        cost = f"{run.cpu_s / 3600 * prices.usd_per_cpu_hour:.4f} USD, {run.cpu_s:,.0f} s of CPU" if run else None
        return {
            "latency promised": f"{sla.target_ratio:.2%} of predictions within {sla.latency_ms:g} ms",
            "learner": run.receipt.get("recipe", {}).get("learner") if run else None,
            "training": cost,
        }


def as_markdown(card: Card) -> str:
    """Return the card for a version's description: what fits above the fold."""
    first = list(card.sections())[:2]
    lines = [f"- {name}: {fact}" for section in first for name, fact, *_ in section.lines]
    changes = [f"{name} {change}" for name, *_, change in card.importance()[1:] if change][:_MOST_CHANGES]
    if changes:
        lines.append(f"- importance of features: {', '.join(changes)}")
    return "\n".join(
        [
            f"**{card.title}** {card.todo}",
            "",
            *lines,
            "",
            f"As of {_day(card.at)}; more in {CARD_FILE} of the source run.",
        ]
    )


CARD_FILE = "decision_card.html"
"""The card's name among the artifacts of the version's run."""

_STYLE = (
    "body{margin:1.5rem auto;max-width:52rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:#1b1f24}"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .3rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #d9dee4}"
    "td:first-child,th{color:#5d6673;font-weight:normal}p{color:#5d6673;margin:.3rem 0}"
)


def as_html(card: Card) -> str:
    """Return the whole card as a page of its own, without a script and without anything from elsewhere."""
    body = "".join(f"<h2>{escape(section.title)}</h2>{_table(section.lines)}" for section in card.sections())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(card.title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(card.title)}</h1><p>{escape(card.todo)}</p>{body}"
        f"<p>As of {_day(card.at)}, case {escape(card.case.request_id or '')}.</p></html>"
    )


def _table(lines: Sequence[Line]) -> str:
    is_wide = len(lines[0]) > 2
    rows = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line)
        for tag, line in ((("th" if is_wide and not number else "td"), line) for number, line in enumerate(lines))
    ]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _pairs(facts: Mapping[str, object]) -> list[Line]:
    """Return what is known, a line each; what no record holds is left out."""
    return [(name, _number(fact)) for name, fact in facts.items() if fact not in {None, ""}]


def _first(lines: Sequence[Line]) -> list[Line]:
    """Return the first lines of a table that may be long, and how many more there are."""
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([(f"and {more} more", *[""] * (len(lines[0]) - 1))] if more > 0 else [])]


def _change(shares: Mapping[str, Any]) -> str:
    """Return what became of a feature's share in percentage points; empty where one of the two isn't known."""
    if "champion" not in shares:
        return "new"
    if "challenger" not in shares:
        return "gone"
    new, old = shares["challenger"], shares["champion"]
    return "" if new is None or old is None else f"{100 * (new - old):+.1f} points"


def _number(fact: object) -> str:
    return f"{fact:.5f}" if isinstance(fact, float) else "" if fact is None else str(fact)


def _interval(seen: Mapping[str, Any]) -> str:
    mean, lower, upper = seen.get("mean_difference", seen.get("difference")), seen.get("lower"), seen.get("upper")
    if mean is None or lower is None or upper is None:
        return ""
    return f"{mean:+.5f} [{lower:+.5f}, {upper:+.5f}]"


def _still(rows: int, needed: int | None, cautious: int | None) -> str | None:
    """Return how many rows more a decision is likely to take."""
    if needed is None:
        return None
    unlucky = f"{max(0, cautious - rows):,}" if cautious else "out of sight"
    return f"about {max(0, needed - rows):,} of {needed:,}; {unlucky} if luck was in it"


def _sides(
    seen: Mapping[str, Any], champion: str, challenger: str, said: Callable[[float], str] = lambda x: f"{x:+.4f}"
) -> str:
    """Return what was measured of both models; empty where it was not."""
    both = [seen.get(champion), seen.get(challenger)]
    old, new = (None if value is None else said(value) for value in both)
    return "" if old is None or new is None else f"champion {old}, challenger {new}"


def _more(value: float | None, words: str) -> str:
    return "" if value is None else words.format(value)


def _share(ratio: float | None, digits: int = 1) -> str:
    return "" if ratio is None else f"{ratio:.{digits}%}"


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""
