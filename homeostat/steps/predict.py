"""Scores each event before its outcome is known."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import isfinite
from time import perf_counter
from typing import Protocol

from homeostat.canary.routing import arm_of, position, propensity, served, share_of
from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError, ModelError
from homeostat.features.query import Query
from homeostat.metric_names import FALLBACKS, LATENCY, PREDICTIONS, SLA_ATTAINMENT
from homeostat.ports import Aliases, AliasReader, ModelPackage, OnlineFeatures, OnlineRow, Telemetry
from homeostat.records import Arm, Cell, FeatureRow, Prediction, Record, derived_id
from homeostat.tabular import feature_rows
from homeostat.training.models import ScoringModel, load_model
from homeostat.vectors import is_vector

Values = tuple[Cell, ...]

CLOCK_SLACK = timedelta(minutes=1)  # clocks of callers may be this far ahead of ours
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class _Scored:
    """The scores of one batch by version, and why a version has none."""

    aliases: Aliases
    sample: Collection[int]  # rows that a challenger is to score
    scores: dict[str, dict[int, float]] = field(default_factory=dict)  # by row
    failures: dict[str, str] = field(default_factory=dict)
    scoring_ms: dict[str, float] = field(default_factory=dict)
    latency_ms: float = 0.0

    def slow(self, limit_ms: float) -> tuple[str, ...]:
        """Return the versions that would have taken longer than a limit if no other had scored the batch."""
        others_ms = self.latency_ms - sum(self.scoring_ms.values())
        return tuple(version for version, own_ms in self.scoring_ms.items() if others_ms + own_ms > limit_ms)

    def serving(self, arm: Arm) -> tuple[Arm, str | None, str | None]:
        """Return the arm and version that answer for an arm, and what failed where they are not its own."""
        order = [(Arm.CHAMPION, self.aliases.champion), (Arm.CHAMPION, self.aliases.previous)]
        if arm is Arm.CHALLENGER:
            order.insert(0, (Arm.CHALLENGER, self.aliases.challenger))
        why = None
        for serving, version in order:
            if version in self.scores:
                return serving, version, why
            why = why or self.failures.get(version or "")
        return Arm.NONE, None, why


class ServedModels(AliasReader, Protocol):
    """All that serving needs of a model registry."""

    def load(self, version: str) -> ModelPackage:
        """Return the package stored under a version.

        Raises:
            ModelError: There is no such version.
        """


class PredictStep:
    """Answers with the champion, or for its share of entities with the challenger.

    Champion and challenger score every row, so that the judge compares models on the same rows, a shadow its
    ``shadow_sample`` of them; so does ``previous`` until the champion's watch is over. A model that fails is answered
    for by the next one, and the prediction says so.
    Several threads may ask at once.
    """

    def __init__(
        self, contract: Contract, registry: ServedModels, online: OnlineFeatures, telemetry: Telemetry
    ) -> None:
        """Take where the models and the features are."""
        self._contract = contract
        self._registry = registry
        self._online = online
        self._telemetry = telemetry
        self._categorical, self._vectors = contract.categorical, contract.vectors
        self._warm = contract.canary.watch + contract.label.maturity  # until then the judge asks for what it scores
        self._models: dict[str, ScoringModel] = {}  # replaced, never changed: another thread may be reading it
        self._within_sla = 0
        self._served = 0

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Score feature rows and return one prediction for each.

        The row in hand is what the event could know. The online store may hold a later event of the entity
        by now, which can have the same time, or none at all where it evicts.
        """
        rows = feature_rows(records)
        started = perf_counter()
        return list(self._predicted(rows, [row.values for row in rows], now, started))

    def answer(self, queries: Sequence[Query], now: datetime) -> list[Prediction | InvalidRecordError]:
        """Score entities by their stored features; a query that lacks a feature gets the error in its place.

        The caller publishes the predictions: they have to be in the log before anybody acts on them.
        """
        started = perf_counter()
        stored = self._online.read([query.entity_id for query in queries])
        found = [self._looked_up(query, row, now) for query, row in zip(queries, stored, strict=True)]
        asked = [(q, v) for q, v in zip(queries, found, strict=True) if not isinstance(v, InvalidRecordError)]
        rows, values = [query for query, _ in asked], [v for _, v in asked]
        predictions = iter(self._predicted(rows, values, now, started) if asked else [])
        return [v if isinstance(v, InvalidRecordError) else next(predictions) for v in found]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Need no memory: what serves is in the registry."""

    def tick(self, now: datetime) -> list[Record]:  # noqa: ARG002 - the worker's shape
        """Have nothing to do as time passes."""
        return []

    def _looked_up(self, query: Query, stored: OnlineRow | None, now: datetime) -> Values | InvalidRecordError:
        names = self._contract.feature_names
        if fault := _time_fault(query.event_time, now) or self._fault(query.given):
            return InvalidRecordError(fault)
        if stored is None and (missing := [name for name in names if name not in query.given]):
            return InvalidRecordError(
                f"entity '{query.entity_id}' has no stored features, and {', '.join(missing)} "
                "are not given: send an event of it first, or give them with the request"
            )
        values = stored.values if stored else (None,) * len(names)
        return tuple(query.given.get(name, value) for name, value in zip(names, values, strict=True))

    def _fault(self, given: Mapping[str, Cell]) -> str | None:
        """Return what is wrong with features given by a caller: whatever they are, no model may choke on them."""
        for name, value in given.items():
            if name not in self._contract.features:
                return f"features.{name}: no such feature; expected some of {', '.join(self._contract.feature_names)}"
            if value is not None and (expected := self._not_met(name, value)):
                return f"features.{name} is {value!r:.60}, expected {expected} or null"
        return None

    def _not_met(self, name: str, value: Cell) -> str | None:
        """Return what a feature has to be, None where the value is."""
        if name in self._categorical:
            return None if isinstance(value, str) else "a text"
        if size := self._vectors.get(name):
            return None if is_vector(value, size) else f"a vector of {size} finite numbers"
        return None if _is_finite(value) else "a finite number"

    def _predicted(
        self, rows: Sequence[FeatureRow | Query], values: list[Values], now: datetime, started: float
    ) -> list[Prediction]:
        scored = self._score(rows, values, now)
        scored = replace(scored, latency_ms=(perf_counter() - started) * 1000)
        predictions = self._predictions(rows, values, scored, now)
        self._measure(predictions, scored.latency_ms)
        return predictions

    def _score(self, rows: Sequence[FeatureRow | Query], values: list[Values], now: datetime) -> _Scored:
        aliases = served(self._registry.aliases())
        known = dict.fromkeys((aliases.champion, aliases.challenger, aliases.previous))
        self._models = {version: model for version, model in self._models.items() if version in known}
        scored = _Scored(aliases, self._sample(rows, aliases))
        if not values:
            return scored
        columns = dict(zip(self._contract.feature_names, zip(*values, strict=True), strict=True))
        is_warm = aliases.since is None or now < aliases.since + self._warm
        for version in filter(None, known):
            if version == aliases.challenger and len(scored.sample) < len(rows):
                picked = {name: [column[i] for i in scored.sample] for name, column in columns.items()}
                self._try(version, scored.sample, picked, scored)
            elif version != aliases.previous or is_warm or aliases.champion not in scored.scores:
                self._try(version, range(len(rows)), columns, scored)
        return scored

    def _sample(self, rows: Sequence[FeatureRow | Query], aliases: Aliases) -> Collection[int]:
        """Return the rows that a challenger is to score, in order: all of them, but in a shadow."""
        policy, challenger = self._contract.canary, aliases.challenger
        if challenger is None or policy.shadow_sample == 1 or share_of(aliases, policy) > 0:
            return range(len(rows))
        at = (i for i, row in enumerate(rows) if position(row.event_id, challenger) < policy.shadow_sample)
        return dict.fromkeys(at)

    def _try(
        self, version: str, asked: Collection[int], columns: Mapping[str, Sequence[Cell]], scored: _Scored
    ) -> None:
        if not asked:
            return
        try:
            model, started = self._model(version), perf_counter()
            scores = _finite(model.score_cells(columns).tolist())
            scored.scoring_ms[version] = (perf_counter() - started) * 1000
            scored.scores[version] = dict(zip(asked, scores, strict=True))
        except ModelError as error:
            scored.failures[version] = f"version {version} failed: {error}"

    def _model(self, version: str) -> ScoringModel:
        model = self._models.get(version)
        if model is None:
            model = load_model(self._registry.load(version).files)
            self._models = {**self._models, version: model}
        return model

    def _predictions(
        self, rows: Sequence[FeatureRow | Query], values: Sequence[Values], scored: _Scored, now: datetime
    ) -> list[Prediction]:
        challenger, share = scored.aliases.challenger, share_of(scored.aliases, self._contract.canary)
        slow = scored.slow(self._contract.sla.latency_ms)
        answers = {arm: scored.serving(arm) for arm in (Arm.CHAMPION, Arm.CHALLENGER)}
        predictions = []
        for i, row in enumerate(rows):
            wanted = arm_of(row.entity_id, share, challenger) if challenger else Arm.CHAMPION
            arm, version, fallback = answers[wanted]
            predictions.append(
                Prediction(
                    prediction_id=derived_id("prediction", row.event_id),
                    event_id=row.event_id,
                    entity_id=row.entity_id,
                    event_time=row.event_time,
                    predicted_at=now,
                    arm=arm,
                    version=version,
                    score=scored.scores[version][i] if version else None,
                    propensity=propensity(wanted, share) if challenger else 1.0,
                    latency_ms=scored.latency_ms,
                    values=values[i],
                    scores={known: scores[i] for known, scores in scored.scores.items() if i in scores},
                    fallback=fallback,
                    on_request=isinstance(row, Query),
                    slow=slow,
                    spared=(challenger,) if challenger and i not in scored.sample else (),
                )
            )
        return predictions

    def _measure(self, predictions: Sequence[Prediction], latency_ms: float) -> None:
        product = self._contract.product
        counts: dict[tuple[str, Arm], int] = {}
        for p in predictions:
            counts[p.version or "none", p.arm] = counts.get((p.version or "none", p.arm), 0) + 1
        for (version, arm), rows in counts.items():
            self._telemetry.count(PREDICTIONS, rows, product=product, version=version, arm=arm)
            self._telemetry.observe(LATENCY, latency_ms / 1000, product=product, version=version, arm=arm)
        fallbacks = sum(p.fallback is not None for p in predictions)
        if fallbacks:
            self._telemetry.count(FALLBACKS, fallbacks, product=product, version=predictions[0].version or "none")
        self._served += len(predictions)
        self._within_sla += len(predictions) if latency_ms <= self._contract.sla.latency_ms else 0
        self._telemetry.gauge(SLA_ATTAINMENT, self._within_sla / max(self._served, 1), product=product)


def _finite(scores: list[float]) -> list[float]:
    if not all(map(isfinite, scores)):  # the log has no place for one, and no case would ever be judged by it
        raise ModelError("it gives a score that is no number")
    return scores


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def _time_fault(time: datetime, now: datetime) -> str | None:
    if time.tzinfo is None:
        return f"event_time {time.isoformat()} has no zone: expected a time like 2030-05-01T12:00:00Z"
    if time > now + CLOCK_SLACK:
        return f"event_time {time.isoformat()} is {(time - now).total_seconds():.0f} s ahead of the clock"
    return None
