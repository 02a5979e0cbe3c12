"""A drill: real servers, all processes, traffic with bad records in it, and kills; then everything is counted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from homeostat.errors import InvalidRecordError, TransientError
from homeostat.flow import topic_name
from homeostat.ports import EventLog, NewMessage

from .deployment import PROCESSES, SERVING
from .evidence import PRODUCT
from .traffic import event, label

CONTRACT = Path(__file__).parent / "drill.yaml"
HISTORY_ROWS, HISTORY_DAYS = 1_600, 8
_HOUR = timedelta(hours=1)


class Schedule(NamedTuple):
    """Who is killed, in order: at first while whatever serves is left alone, then anybody."""

    aside: tuple[str, ...]
    anybody: tuple[str, ...]

    @classmethod
    def drawn(cls, kills: int, rng: np.random.Generator) -> Self:
        """Draw so many: everybody once in each round, so that nobody is left out of as many kills as processes."""
        rounds = [rng.permutation(PROCESSES).tolist() for _ in range(-(-kills // len(PROCESSES)))]
        order = [victim for once in rounds for victim in once][:kills]
        first = [i for i, victim in enumerate(order) if victim not in SERVING][: kills // 2]
        anybody = [victim for i, victim in enumerate(order) if i not in set(first)]
        return cls(tuple(order[i] for i in first), tuple(anybody))


@dataclass
class Rough:
    """What the rough producer sent, by what has to become of it."""

    good: dict[str, str] = field(default_factory=dict)  # entity by event id
    labels: dict[str, float] = field(default_factory=dict)
    bad: set[bytes] = field(default_factory=set)
    refused: int = 0  # by the broker or the client, at once
    doubled: int = 0
    late: int = 0


class RoughProducer(Thread):
    """Writes to the raw topics as a careless producer does: half records, late, doubled, from the future, too large."""

    def __init__(self, log: EventLog, late: timedelta) -> None:
        """Take the log, and how late its late events are."""
        super().__init__(daemon=True)
        self.sent = Rough()
        self._log = log
        self._late = late
        self._over = Event()
        self._events, self._labels = (topic_name(PRODUCT, topic) for topic in ("raw_events", "raw_labels"))

    def run(self) -> None:
        turn = 0
        while not self._over.wait(0.2):
            turn += 1
            self._send(turn)

    def stop(self) -> None:
        self._over.set()
        self.join(90)

    def _send(self, turn: int) -> None:
        now = datetime.now(UTC)
        late = event(f"late{turn}", f"r{turn % 5}") | {"event_time": (now - self._late).isoformat()}
        old = event(f"old{turn}", "r1") | {"event_time": (now - 2 * _HOUR).isoformat()}
        good = event(f"good{turn}", f"r{turn % 5}")
        future = event(f"future{turn}", "r1") | {"event_time": (now + 48 * _HOUR).isoformat()}
        bad = [
            b'{"event_id": "half%d"' % turn,
            b"\xff\xfe %d" % turn,
            *(json.dumps(row).encode() for row in (future, old)),
        ]
        values = [json.dumps(row).encode() for row in (good, late, good)]
        if not self._appended(self._events, [*values, *bad]):
            return
        self.sent.doubled += 1
        self.sent.late += 1
        self.sent.bad.update(bad)
        self.sent.good.update({row["event_id"]: row["turbine"] for row in (good, late)})
        known = [label(row["event_id"], fails=turn % 2 == 0) for row in (good, late)]
        if self._appended(self._labels, [json.dumps(row).encode() for row in known]):
            self.sent.labels.update({row["event_id"]: float(row["fails"]) for row in known})
        self._send_too_large()

    def _send_too_large(self) -> None:
        try:
            self._log.append([NewMessage(self._events, b"x" * (20 << 20))], datetime.now(UTC))
        except InvalidRecordError:
            self.sent.refused += 1

    def _appended(self, topic: str, values: Iterable[bytes]) -> bool:
        """Send until it is acknowledged, as any producer has to; False when the drill ends before."""
        messages = [NewMessage(topic, value) for value in values]
        while not self._over.is_set():
            try:
                self._log.append(messages, datetime.now(UTC))
            except TransientError:
                sleep(0.2)
            else:
                return True
        return False


def write_history(path: Path, seed: int = 5) -> Path:
    """Write some days of turbines that end yesterday, for a first champion."""
    rng = np.random.default_rng(seed)
    start = datetime.now(UTC) - timedelta(days=HISTORY_DAYS + 2)
    load = rng.normal(0, 1, HISTORY_ROWS)
    days = np.sort(rng.uniform(0, HISTORY_DAYS, HISTORY_ROWS))
    pl.DataFrame(
        {
            "turbine": [f"t{i % 40}" for i in range(HISTORY_ROWS)],
            "maker": rng.choice(["acme", "bolt"], HISTORY_ROWS),
            "load": load.round(3),
            "wind": rng.normal(0, 1, HISTORY_ROWS).round(3),
            "event_time": [(start + timedelta(days=day)).isoformat() for day in days],
            "fails": np.where(rng.uniform(size=HISTORY_ROWS) < 1 / (1 + np.exp(-1.5 * load)), "yes", "no"),
        }
    ).write_csv(path)
    return path


def maturing(path: Path, after_s: int) -> Path:
    """Write the drill's contract with another maturity of its labels, and canaries that end; return where.

    A training may take whatever looks better at all, so that some cases have a canary; and as many as are asked for.
    """
    text = CONTRACT.read_text().replace("maturity: 3m", f"maturity: {after_s}s")
    text = text.replace("max_duration: 6d", f"max_duration: {canary_s(after_s)}s")
    text = text.replace("training: {", "training: {confidence: 0.51, ")
    path.write_text(f"{text}\nbudget: {{max_trainings: 1000}}\n")
    return path


def canary_s(maturity_s: int) -> int:
    """How long a canary may last: longer than its labels take, as a contract has to have it."""
    return maturity_s + 15
