"""The first champion of a product, trained on its history through the same steps as any other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from homeostat.bootstrap import Ports, build_workers
from homeostat.contract.durations import spoken
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.ports import OperatorDecision
from homeostat.records import TrainingRun
from homeostat.tail import Tail

_STEPS: Final = ("detect", "decide", "train", "judge", "promote")
_LIVE_ONLY: Final = {"detect": ("predictions", "outcomes"), "judge": ("outcomes",), "alert": ("outcomes",)}
"""What these steps take from live traffic on: history was served by no model that they could watch."""


@dataclass(frozen=True, slots=True)
class Made:
    """Who serves after a backfill.

    Args:
        champion: Its version, None where nobody serves.
        reason: Why.
        is_new: Whether this training made it.
        metrics: Of the champion, as registered.
    """

    champion: str | None
    reason: str
    is_new: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


class FirstModel:
    """Lets the healer decide at the end of a history, and the other steps answer."""

    def __init__(self, contract: Contract, stack: Ports, seed: int) -> None:
        """Take the product, its stores, and the seed of everything random."""
        self._contract = contract
        self._stack = stack
        self._seed = seed

    def train(self, began: datetime, now: datetime) -> Made:
        """Train a champion where there is none and the history is as long as the contract wants it.

        Args:
            began: When this history begins.
            now: When it ends; rows whose label is not mature by then are not learnt from.
        """
        self._skip_history()
        champion = self._stack.registry.aliases().champion
        if champion is not None:
            return Made(champion, f"version {champion} serves already", metrics=self._metrics(champion))
        workers = build_workers(self._contract, self._stack, self._seed, _STEPS)
        for worker in workers.values():
            worker.restore(now)
        for step in ("detect", "decide"):  # a look, though there is nobody to watch: the healer counts history by looks
            workers[step].run_once(now)
        if not self._stack.cases.load().is_open:
            labelled, wanted = now - self._contract.label.maturity - began, self._contract.training.cold_start_after
            if labelled < wanted:
                return Made(None, _too_short(labelled, wanted))
            self._ask(began, now)
        for step in ("decide", "train", "judge", "promote"):  # each answers the one before it
            workers[step].run_once(now)
        champion = self._stack.registry.aliases().champion
        return Made(champion, self._said(), champion is not None, self._metrics(champion) if champion else {})

    def _ask(self, began: datetime, now: datetime) -> None:
        """Ask as an operator: an instance that ran before counts its history from then, not from the file's start."""
        reason = f"first champion from the history of {began:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC"
        self._stack.registry.decide(OperatorDecision(None, "retrain", "backfill", reason))

    def _skip_history(self) -> None:
        for step, topics in _LIVE_ONLY.items():
            names = [topic_name(self._contract.product, topic) for topic in topics]
            self._stack.log.commit(step, {name: self._stack.log.end(name) for name in names})

    def _said(self) -> str:
        """Return what the training said last, or why there was none."""
        tail = Tail(self._stack.log, self._contract.product)
        tail.follow()
        runs = [record for record in tail.story if isinstance(record, TrainingRun)]
        if runs:
            return f"{runs[-1].status.replace('_', ' ')}: {runs[-1].reason}"
        return self._stack.registry.answered(None) or "the training was not answered"

    def _metrics(self, champion: str) -> Mapping[str, float]:
        return self._stack.registry.load(champion).metrics


def _too_short(labelled: timedelta, wanted: timedelta) -> str:
    return (
        f"the history spans {spoken(labelled)} of mature labels, the contract wants {spoken(wanted)} before a first "
        "training (training.cold_start_after): a running instance collects the rest"
    )
