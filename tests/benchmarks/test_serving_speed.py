"""The front on the embedded stack against LightGBM alone: what durability, features and the log cost."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from queue import SimpleQueue
from threading import Thread
from time import perf_counter

import msgspec
import numpy as np
import polars as pl
import pytest

from homeostat.adapters.system_clock import SystemClock
from homeostat.bootstrap import embedded_stack
from homeostat.contract.model import Contract
from homeostat.features.query import Query
from homeostat.ports import ModelPackage
from homeostat.serving import build_front
from homeostat.training.models import dump_model
from homeostat.training.recipe import Recipe, fit

pytestmark = pytest.mark.bench

NUMBERS = [f"x{i}" for i in range(10)]
CONTRACT = Contract.model_validate(
    {
        "product": "speed",
        "event": {"entity": "k", "fields": {"k": "string", "c": "string", **dict.fromkeys(NUMBERS, "number")}},
        "label": {"field": "y", "delay": "1h", "maturity": "1d"},
        "features": {
            **{name: {"field": name} for name in NUMBERS},
            "c": {"field": "c"},
            "product": {"expression": "x0 * x1"},
            "n_1h": {"aggregate": "count", "by": ["k"], "over": "1h"},
            "mean_1h": {"aggregate": "mean", "of": "x0", "by": ["k"], "over": "1h"},
            "label_1d": {"aggregate": "mean", "of": "y", "by": ["c"], "over": "1d"},
        },
    },
    strict=False,
)
TREES = 200
SINGLE = 600


def trees():
    rng = np.random.default_rng(0)
    rows, names = 20_000, CONTRACT.feature_names
    columns = {name: rng.normal(size=rows) for name in names} | {"c": rng.choice(list("abcdefgh"), rows)}
    start = datetime(2030, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(columns).with_columns(
        event_id=pl.int_range(rows).cast(pl.String),
        event_time=pl.lit(start) + pl.duration(seconds=pl.int_range(rows)),
        label=pl.Series((rng.uniform(size=rows) < 1 / (1 + np.exp(-columns["x0"] - columns["x1"]))).astype(float)),
    )
    recipe = Recipe(learner="lightgbm", rounds=TREES)
    return fit(recipe, frame, names, CONTRACT.categorical, until=start + timedelta(days=1), seed=1, threads=1)


@pytest.fixture(scope="module")
def model():
    return trees()


@pytest.fixture(scope="module")
def front(tmp_path_factory, model):
    stack = embedded_stack(CONTRACT, tmp_path_factory.mktemp("speed"))
    stack.registry.set_alias("champion", stack.registry.register(ModelPackage(dump_model(model)), "r1"))
    built = build_front(CONTRACT, stack, SystemClock())
    built.start()
    yield built
    built.stop()


numbers = count()


def event():
    number = next(numbers)
    rng = np.random.default_rng(number)
    fields = dict(zip(NUMBERS, rng.normal(size=len(NUMBERS)).tolist(), strict=True))
    return msgspec.json.encode(
        {
            "event_id": f"e{number}",
            "k": f"k{number % 500}",
            "c": "abcdefgh"[number % 8],
            "event_time": datetime.now(UTC),
            **fields,
        }
    )


def query():
    number = next(numbers)
    return Query(f"q{number}", f"k{number % 500}", datetime.now(UTC))


def asked(front, make, callers, requests=SINGLE):
    """Return the latency of each request of one row in ms, and the rows per second of all callers."""
    rows = [make() for _ in range(requests)]

    def ask(row):
        start = perf_counter()
        [answer] = front.predict([row]).result(30)
        assert answer.score is not None
        return (perf_counter() - start) * 1e3

    start = perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        taken = list(pool.map(ask, rows))
    return np.array(taken), requests / (perf_counter() - start)


def booster_alone(model, rows=2000):
    matrix = np.random.default_rng(1).normal(size=(rows, len(CONTRACT.feature_names))).astype(np.float32)
    booster = model.core._booster
    taken = []
    for row in matrix:
        start = perf_counter()
        booster.predict(row[None], raw_score=True, num_threads=1)
        taken.append((perf_counter() - start) * 1e3)
    return np.array(taken)


def handed_over(callers, requests=SINGLE):
    """Return the latency in ms of asking a thread that has nothing to do: what threads cost on this machine now."""
    asked_for = SimpleQueue()

    def answer():
        while (future := asked_for.get()) is not None:
            future.set_result(None)

    def ask(_):
        start, future = perf_counter(), Future()
        asked_for.put(future)
        future.result()
        return (perf_counter() - start) * 1e3

    thread = Thread(target=answer)
    thread.start()
    with ThreadPoolExecutor(callers) as pool:
        taken = list(pool.map(ask, range(requests)))
    asked_for.put(None)
    thread.join()
    return np.array(taken)


@pytest.mark.parametrize("callers", [1, 8])
@pytest.mark.parametrize("make", [event, query], ids=["event", "query"])
def test_single_rows_are_answered_within_milliseconds(front, model, capsys, make, callers):
    front.predict([event() for _ in range(500)]).result(60)  # every entity has features
    asked(front, make, callers, 100)
    peer = booster_alone(model)
    own, rate = asked(front, make, callers)
    p50, p99 = np.percentile(own, [50, 99])
    threads = np.percentile(handed_over(callers), 99)
    with capsys.disabled():
        print(
            f"\n{make.__name__} rows, {callers} callers: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {rate:,.0f} rows/s "
            f"(asking an idle thread: p99 {threads:.2f} ms); "
            f"Booster.predict alone p50 {np.median(peer):.3f} ms, {1e3 / peer.mean():,.0f} rows/s "
            f"({p50 / np.median(peer):.1f}x its time, {rate * peer.mean() / 1e3:.2f}x its rate)"
        )
    assert p99 < CONTRACT.sla.latency_ms


def test_batches_are_sent_and_predicted_by_the_thousand(front, model, capsys):
    peer = booster_alone(model)
    batches = [[event() for _ in range(1000)] for _ in range(10)]
    start = perf_counter()
    for batch in batches:  # one after the other: what waits longer than the contract allows is refused
        assert len(front.predict(batch).result(120)) == 1000
    rate = 10_000 / (perf_counter() - start)
    with capsys.disabled():
        print(
            f"\nbatches of 1,000 events: {rate:,.0f} rows/s stored, ingested, predicted; "
            f"{rate * peer.mean() / 1e3:.2f}x the rate of Booster.predict on single rows"
        )
    assert rate > 500
