"""Watchers of a change of who serves: clients that ask all the time, and an eye on the registry's aliases."""

from collections.abc import Mapping
from itertools import groupby
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

import httpx

from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.errors import TransientError
from homeostat.ports import Aliases
from homeostat.records import Arm

ENTITIES = 16
FEATURES = {"maker": "acme", "load": 0.5, "wind": 0.1, "gust": 0.05, "fails_maker_2d": 0.2}


class Answer(NamedTuple):
    """What a client was told: when, by whom, on which entity and by which model."""

    at: float
    who: str
    entity: str
    arm: str
    version: str


class Clients(Thread):
    """Ask two predictors in turn, as a Service of Kubernetes does: who is not ready gets no traffic.

    A request whose connection breaks is sent once more, to the other one, and counted as broken.
    """

    def __init__(self, urls: Mapping[str, str], product: str) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self.answered = self.broken = 0
        self.failed: list[str] = []
        self._urls, self._product = urls, product
        self._out: set[str] = set()
        self._over = Event()

    def run(self) -> None:
        turn = 0
        with httpx.Client(timeout=20) as http:
            while not self._over.wait(0.02):
                turn += 1
                self._ask(http, turn)

    def stop(self) -> None:
        self._over.set()
        self.join(60)

    def champions(self, since: float) -> dict[str, list[str]]:
        """Return the champions that each predictor answered by, in order, each run of the same one once."""
        return {
            name: [v for v, _ in groupby(one.version for one in self.by_champion(since) if one.who == name)]
            for name in self._urls
        }

    def by_champion(self, since: float) -> list[Answer]:
        """Return what champions have answered since a moment."""
        return [one for one in self.answers if one.at >= since and one.arm == Arm.CHAMPION]

    def arms(self, since: float) -> dict[tuple[str, str], list[str]]:
        """Return the arms that answered by predictor and entity, in order, each run of the same one once."""
        found: dict[tuple[str, str], list[str]] = {}
        for one in self.answers:
            if one.at >= since and (arms := found.setdefault((one.who, one.entity), []))[-1:] != [one.arm]:
                arms.append(one.arm)
        return found

    def _ask(self, http: httpx.Client, turn: int) -> None:
        names = sorted(self._urls)[:: 1 if turn % 2 else -1]
        row = {"entity": f"t{turn // 2 % ENTITIES}", "features": FEATURES}
        for name in names:
            if name in self._out and not self._is_back(http, name):
                continue
            try:
                answer = http.post(f"{self._urls[name]}/v1/{self._product}/predict", json={"rows": [row]})
            except httpx.TransportError:
                self._out.add(name)
                self.broken += 1
                continue
            if not answer.is_success or answer.json()["predictions"][0]["score"] is None:
                self.failed.append(f"{name}: {answer.status_code} {answer.text}")
                return
            self.answered += 1
            (found,) = answer.json()["predictions"]
            self.answers.append(Answer(monotonic(), name, str(row["entity"]), found["arm"], found["version"]))
            return
        self.failed.append(f"no predictor answered: {names}")

    def _is_back(self, http: httpx.Client, name: str) -> bool:
        try:
            is_back = http.get(f"{self._urls[name]}/readyz").is_success
        except httpx.TransportError:
            return False
        if is_back:
            self._out.discard(name)
        return is_back


class Eye(Thread):
    """Looks at the registry's aliases all the time that it answers."""

    def __init__(self, registry: MlflowRegistry) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[float, Aliases]] = []
        self._registry = registry
        self._over = Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                aliases = self._registry.aliases()
            except TransientError:
                continue
            if not self.seen or self.seen[-1][1] != aliases:
                self.seen.append((monotonic(), aliases))

    def stop(self) -> None:
        self._over.set()
        self.join(60)

    def champions(self, since: float) -> list[str | None]:
        """Return the champions since a moment, that of the moment first, each run of the same one once."""
        before = [aliases.champion for at, aliases in self.seen if at < since][-1:]
        after = [aliases.champion for at, aliases in self.seen if at >= since]
        return [champion for champion, _ in groupby(before + after)]
