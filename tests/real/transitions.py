"""Changes of who serves on real servers with a kill -9 in the middle: what carries them out, and who watches."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from time import monotonic

import numpy as np
import polars as pl

from deploy.servers import Mlflow
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.canary.routing import arm_of
from homeostat.codec import encode
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.flow import topic_name
from homeostat.healing.closing import SHARE, promotion_in, verdict_id_of
from homeostat.healing.serving import serving_at
from homeostat.ports import Aliases, LedgerEntry, ModelPackage, NewMessage, OperatorDecision
from homeostat.records import Action, Arm, CanaryVerdict, CaseState, Promotion, TrainingRun, TrainingStatus, derived_id
from homeostat.settings import KafkaSettings
from homeostat.tail import Tail
from homeostat.training.models import dump_model
from homeostat.training.recipe import Recipe, fit

from .deployment import Deployment
from .drill import CONTRACT
from .dying import NOTES, PLAN
from .running import until
from .watchers import Clients, Eye

PREDICTORS = ("predictor", "predictor-2")
CHANGES = frozenset({"start", "step", "promote", "reject", "rollback"})
SETTLES_S = 180  # MLflow starts anew in ten seconds, on a busy machine in a minute


@dataclass(frozen=True)
class Death:
    """Who dies where in a change."""

    change: str
    point: str
    victim: str


@dataclass(frozen=True)
class Change:
    """What was seen of one change of who serves."""

    change: str
    point: str
    victim: str
    settled_s: float  # from the word to the last store and predictor
    answered: int
    broken: int  # connections that broke with a killed predictor; the request went to the other one
    failed: int
    apart_s: float  # between the first answer of the new champion and the last one of the old


class Stage:
    """A healer, a judge and two predictors on real servers; the trainer is played, and what the judge says of rows."""

    def __init__(self, folder: Path, servers: Mapping[str, str], mlflow: Mlflow) -> None:
        self.product = f"turns_{token_hex(4)}"
        self.contract = contract_of(folder, self.product)
        self._mlflow = mlflow
        self._plan, self._notes = folder / "plan.json", folder / "notes"
        self._notes.touch()
        self._waits_for = ""  # what a change is not settled without
        told = dict(servers) | {PLAN: str(self._plan), NOTES: str(self._notes)}
        modules = {"predictor-2": ("services.predictor",), "healer": ("tests.real.dying", "healer")}
        self.registry, self._eyes = (MlflowRegistry(mlflow.url, folder, self.product) for _ in range(2))
        self._package = package(self.contract)
        self.registry.set_alias("champion", self.registry.register(self._package, "first"))
        self.deployment = Deployment(
            folder / "home", folder / "contract.yaml", told, (*PREDICTORS, "healer", "judge"), modules
        )
        self._cases = SqlCases(servers["HOMEOSTAT_SQL__URL"], self.product)
        self.ledger = SqlLedger(servers["HOMEOSTAT_SQL__URL"], self.product)
        self._log = KafkaLog(KafkaSettings(brokers=servers["HOMEOSTAT_KAFKA__BROKERS"]), self.product)
        urls = {name: f"http://127.0.0.1:{self.deployment.ports[name]}" for name in PREDICTORS}
        self.clients, self.eye = Clients(urls, self.product), Eye(self._eyes)

    def open(self) -> None:
        """Let version 1 serve and clients ask."""
        self.deployment.wait_until_ready()
        until(lambda: self._cases.load().champion == "1", SETTLES_S, self.story)
        self.eye.start()
        self.clients.start()

    def close(self) -> None:
        for thread in (self.eye, self.clients):
            if thread.is_alive():
                thread.stop()
        self.deployment.stop()

    def carried_out(self, change: str, death: Death | None = None) -> Change:
        """Bring a change about, let somebody die on the way, and hold what is then against what has to be."""
        before, expected = self._ready_for(change)
        entries, answered, broken = len(self.changes()), self.clients.answered, self.clients.broken
        self._notes.write_text("")
        if death is not None:
            pids = {"healer": lambda: None, "mlflow": lambda: self._mlflow.pid}
            pid = pids.get(death.victim, lambda: self.deployment.pid(death.victim))()
            draft = self._plan.with_suffix(".draft")
            draft.write_text(json.dumps({"point": death.point, "pid": pid}))
            draft.replace(self._plan)
        begun = monotonic()
        self._begin(change, before)
        until(lambda: self._is_settled(change, expected, entries), SETTLES_S, self.story)
        settled_s = monotonic() - begun
        self.deployment.wait_until_ready()
        self._check(change, before, begun, entries)
        return Change(
            change, death.point if death else "", death.victim if death else "nobody", settled_s,
            self.clients.answered - answered, self.clients.broken - broken, len(self.clients.failed),
            self._apart(before.champion, begun),
        )  # fmt: skip

    def points(self) -> list[str]:
        """Return where somebody may die in the change carried out last: before it, and after each call."""
        calls = list(dict.fromkeys(self._notes.read_text().splitlines()))
        return [f"before {calls[0]}", *(f"after {call}" for call in calls)]

    def changes(self) -> list[LedgerEntry]:
        return [entry for entry in self.ledger.entries() if entry.kind in CHANGES]

    def story(self) -> object:
        """Return all that may say why something does not happen."""
        return (
            self._waits_for, self._plan.read_text() if self._plan.exists() else "",
            self.clients.champions(0), self.clients.arms(0), self.clients.failed[:3],
            self._known(), self._cases.load(), self._notes.read_text(),
            [(e.kind, e.payload.get("version")) for e in self.ledger.entries()][-6:],
            self.deployment.waits(), self.deployment.logs(),
        )  # fmt: skip

    def _known(self) -> Aliases | None:
        try:
            return self.registry.aliases()
        except TransientError:
            return None

    def _ready_for(self, change: str) -> tuple[Aliases, Aliases]:
        """Return the aliases before and after a change, with a case open for one that starts a canary."""
        before = self.registry.aliases()
        champion, challenger = before.champion, before.challenger
        if change == "start":
            self.registry.decide(OperatorDecision(None, "retrain"))
            until(lambda: self._cases.load().state is CaseState.TRAINING, SETTLES_S, self.story)
            until(lambda: not self.registry.decisions(), SETTLES_S, self.story)
            version = self.registry.register(self._package, str(self._cases.load().request_id))
            return before, replace(before, challenger=version, share=self.contract.canary.climb[0])
        if change == "step":
            return before, replace(before, share=self.contract.canary.climb[1])
        if change == "reject":
            return before, replace(before, challenger=None, share=None)
        if change == "rollback":
            return before, Aliases(before.previous, None, before.previous)
        return before, Aliases(challenger, None, champion)

    def _begin(self, change: str, before: Aliases) -> None:
        if change == "start":
            self._train()
        elif change == "step":
            self._step(before)
        elif change == "moved":
            self.registry.set_alias("champion", before.challenger)
        elif change == "rollback":
            self.registry.decide(OperatorDecision(before.champion, "rollback"))
        else:
            word = "reject" if change == "reject" else "approve"
            self.registry.decide(OperatorDecision(before.challenger, word))

    def _train(self) -> None:
        request_id = str(self._cases.load().request_id)
        version, now = self.registry.register(self._package, request_id), datetime.now(UTC)
        run = TrainingRun(
            derived_id(request_id, "run"), request_id, TrainingStatus.CANDIDATE, version, "played", 1.0, now
        )
        self._log.append([NewMessage(topic_name(self.product, "training_runs"), *encode(run))], now)

    def _step(self, before: Aliases) -> None:
        request_id, now = str(self._cases.load().request_id), datetime.now(UTC)
        evidence = {"champion": before.champion, SHARE: self.contract.canary.climb[1]}
        verdict_id = verdict_id_of(request_id, Action.STEP, before.challenger, evidence)
        verdict = CanaryVerdict(verdict_id, request_id, now, Action.STEP, before.challenger, "played", evidence)
        self._log.append([NewMessage(topic_name(self.product, "canary_verdicts"), *encode(verdict))], now)

    def _is_settled(self, change: str, expected: Aliases, entries: int) -> bool:
        if not self._mlflow.is_running():
            self._mlflow.kill()  # whatever it left
            self._mlflow.start()
        conditions: dict[str, Callable[[], bool]] = {
            "death": lambda: not self._plan.exists(),
            "aliases": lambda: self.registry.aliases() == expected,
            "case": lambda: self._is_kept(expected),
            "decisions": lambda: not self.registry.decisions(),
            "answers": lambda: self._is_served(expected),
            "ledger": lambda: len(self.changes()) > entries,
            "log": lambda: self._is_told(change),
        }
        try:
            self._waits_for = next((name for name, holds in conditions.items() if not holds()), "")
        except TransientError:  # MLflow was killed between two questions
            self._waits_for = "registry"
        return not self._waits_for

    def _is_kept(self, expected: Aliases) -> bool:
        case = self._cases.load()
        on_trial = (case.challenger, case.share) if case.on_trial else (None, None)
        return Aliases(case.champion, on_trial[0], case.previous, on_trial[1]) == expected

    def _is_served(self, expected: Aliases) -> bool:
        """Whether both predictors answer by the champion, and each entity by the arm that its share gives it."""
        wanted = {expected.champion}
        if {versions[-1] if versions else None for versions in self.clients.champions(0).values()} != wanted:
            return False
        share, challenger = expected.share or 0.0, str(expected.challenger)
        return all(arms[-1] == arm_of(one, share, challenger) for (_, one), arms in self.clients.arms(0).items())

    def _is_told(self, change: str) -> bool:
        """Whether the change is in the log, and the verdict behind it is read."""
        name = topic_name(self.product, "canary_verdicts")
        is_read = self._log.committed("promote", name) == self._log.end(name)
        if change == "step":  # which nobody is told of
            return is_read
        told = Tail(self._log, self.product).newest("promotions", 5)  # a new healer says once more what was said before
        wanted = promotion_in(self.changes()[-1]).promotion_id
        return is_read and wanted in {one.promotion_id for one in told if isinstance(one, Promotion)}

    def _check(self, change: str, before: Aliases, begun: float, entries: int) -> None:
        now = self.registry.aliases()
        order = [before.champion] if now.champion == before.champion else [before.champion, now.champion]
        assert self.eye.champions(begun) == order, self.eye.seen
        for versions in self.clients.champions(begun).values():  # from one to the other once, and never back
            assert versions in (order, order[-1:]), (order, versions)
        if change == "step":  # no entity is sent back
            assert all(arms in (arms[:1], [Arm.CHAMPION, Arm.CHALLENGER]) for arms in self.clients.arms(begun).values())
        (entry,) = self.changes()[entries:]
        assert entry.kind == (change if change in CHANGES else "promote")
        served = serving_at(self.ledger.entries(), datetime.now(UTC))
        assert (served.champion, served.challenger, served.share) == (now.champion, now.challenger, now.share)
        known = len(self.ledger.entries())  # the healer may write one more before the next line
        assert self.ledger.verify() >= known
        assert not self.clients.failed, self.clients.failed[:3]

    def _apart(self, old: str | None, begun: float) -> float:
        """Return the seconds in which one predictor answered by the new champion and the other by the old."""
        found = self.clients.by_champion(begun)
        new, last = [one.at for one in found if one.version != old], [one.at for one in found if one.version == old]
        return max(0.0, last[-1] - new[0]) if new and last else 0.0


def contract_of(folder: Path, product: str) -> Contract:
    """Write the drill's contract for another product, with canaries as often as wished, and return it."""
    text = CONTRACT.read_text().replace("product: turbines", f"product: {product}")
    text = text.replace("share: 0.2", "steps: [0.25, 0.5]")
    (folder / "contract.yaml").write_text(f"{text}\nbudget: {{max_trainings: 1000}}\n")
    return load_contract(folder / "contract.yaml")


def package(contract: Contract) -> ModelPackage:
    """Return a model that scores turbines."""
    rng, rows, now = np.random.default_rng(1), 400, datetime.now(UTC)
    load = rng.normal(size=rows)
    columns: dict[str, object] = {
        "event_id": [str(i) for i in range(rows)],
        "event_time": [now - timedelta(hours=rows - i) for i in range(rows)],
        "label": (rng.uniform(size=rows) < 1 / (1 + np.exp(-2 * load))).astype(float),
        "maker": rng.choice(["acme", "bolt"], rows),
        "load": load,
        "wind": rng.normal(size=rows),
        "gust": load,
        "fails_maker_2d": rng.uniform(size=rows),
    }
    model = fit(
        Recipe(learner="linear", rounds=0), pl.DataFrame(columns), tuple(contract.features), contract.categorical,
        until=now, seed=1, threads=1,
    )  # fmt: skip
    return ModelPackage(dump_model(model))
