"""A product with a vector of 3,000 numbers, 100 of them set, from the broker to the stores and the bins, by stage.

Stages stand in the order of the processes of a deployment: the ingestor has those from ``client`` to ``wire out``, the
joiner ``wire in`` and ``offline``, the detector ``prediction`` and ``bins``. All of them run here one after the other,
in one process and by its CPU clock; the peer is msgspec, which reads the same bytes and nothing more.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from uuid import uuid4

import msgspec
import numpy as np
import polars as pl
import pytest

from deploy.servers import Kafka
from homeostat.adapters.feast_features import FeastOfflineFeatures, FeastOnlineFeatures
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.batches import FeatureRows
from homeostat.codec import ARROW, decode_whole, encode
from homeostat.contract.load import parse_contract
from homeostat.contract.model import Contract
from homeostat.drift.counts import Counter as Profiled
from homeostat.drift.counts import WindowCounts
from homeostat.drift.profile import build_profile
from homeostat.features.builder import FeatureBuilder
from homeostat.features.parsing import EventParser
from homeostat.features.tables import event_reader, event_schema, label_schema, table_of
from homeostat.ports import NewMessage
from homeostat.records import Arm, FeatureRow, Prediction
from homeostat.settings import KafkaSettings
from homeostat.tabular import as_records, feature_rows, single_rows
from homeostat.worker import BATCH_ROWS

pytestmark = pytest.mark.bench

SIZE, SET, EVENTS, ENTITIES = 3_000, 100, 20_000, 1_000
WARM = 5_000  # events before: what is loaded when first asked for is no row's
WANTED = 57_870  # rows a second: five billion a day
BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
INGESTOR = ("client", "parser", "columns", "features", "online", "wire out")

CONTRACT = """
product: {product}
event:
  entity: sensor
  allowed_lateness: 2s
  fields: {{sensor: string, found: {{type: vector, size: {size}}}}}
label: {{field: fault, delay: 3s, maturity: 5s}}
features: {{found: {{field: found}}}}
canary: {{share: 0.1, max_duration: 1h}}
"""


class Bare(msgspec.Struct):
    """What the peer reads."""

    event_id: str
    event_time: datetime
    sensor: str
    found: dict[int, float]


def events() -> list[bytes]:
    rng, made = np.random.default_rng(0), []
    for k in range(WARM + EVENTS):
        places = np.sort(rng.choice(SIZE, SET, replace=False)).tolist()
        found = dict(zip(places, rng.standard_normal(SET).round(3).tolist(), strict=True))
        time = BEGIN + timedelta(seconds=k / WANTED)
        made.append(msgspec.json.encode(Bare(f"e{k:07d}", time, f"s{rng.integers(ENTITIES)}", found)))
    return made


def as_arrow(values: list[bytes]) -> bytes:
    """The same events in one message, their vectors told by index."""
    rows = [msgspec.json.decode(value, type=Bare) for value in values]
    told = [{"indices": list(row.found), "values": list(row.found.values())} for row in rows]
    found = pl.Series("found", told, pl.Struct({"indices": pl.List(pl.UInt16), "values": pl.List(pl.Float64)}))
    columns = {name: [getattr(row, name) for row in rows] for name in ("event_id", "event_time", "sensor")}
    return encode(FeatureRows(pl.DataFrame({**columns, "found": found})))[0]


class Stages:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.cpu_s: Counter[str] = Counter()
        self.rows = 0

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = process_time()
        yield
        self.cpu_s[stage] += process_time() - began

    def rate(self, *stages: str) -> float:
        return self.rows / sum(self.cpu_s[stage] for stage in stages)


def profiled(contract: Contract, sent: list[bytes]) -> Profiled:
    rows = [msgspec.json.decode(value, type=Bare).found for value in sent[:1_500]]
    lists = [[found.get(i, 0.0) for i in range(SIZE)] for found in rows]
    frame = pl.DataFrame({"found": pl.Series(lists, dtype=pl.List(pl.Float64))})
    scores = np.random.default_rng(1).random(len(rows))
    return Profiled(build_profile(frame, contract.feature_names, frozenset(), scores, expected_loss=0.5, seed=0))


class Product:
    """Everything that a row of the product goes through, but a model."""

    def __init__(self, contract: Contract, log: KafkaLog, folder: Path, sent: list[bytes], *, arrow: bool) -> None:
        self.arrow, self.reader = arrow, event_reader(contract)
        self.log, self.topic = log, f"{contract.product}.raw_events.v1"
        self.stages, self.wire_bytes = Stages(), 0
        self.parser, self.schema, self.builder = EventParser(contract), event_schema(contract), FeatureBuilder(contract)
        self.labels = label_schema(contract).to_frame()
        self.online, self.offline = FeastOnlineFeatures(contract, folder), FeastOfflineFeatures(contract, folder)
        self.counts = WindowCounts(profiled(contract, sent))

    def table(self, values: list[bytes]) -> pl.DataFrame:
        if self.arrow:
            with self.stages("columns"):
                records = [decode_whole("raw_events", value, {"content-type": ARROW}) for value in values]
                return self.reader.read([pl.DataFrame(record.rows) for record in records]).rows
        with self.stages("parser"):
            cells = [self.parser.cells(value) for value in values]
        with self.stages("columns"):
            return table_of(self.schema, cells)

    def ingest(self, offset: int) -> tuple[list[tuple[bytes, dict[str, str]]], int]:
        """One batch of messages as one of feature rows, and where the next one begins."""
        with self.stages("client"):
            messages = self.log.read(self.topic, offset, BATCH_ROWS)
        table = self.table([message.value for message in messages])
        with self.stages("features"):
            rows = self.builder.add(table, self.labels)
        with self.stages("online"):
            last = dict(zip(rows["entity_id"].to_list(), range(rows.height), strict=True))
            self.online.write(single_rows(rows[sorted(last.values())]))
        with self.stages("wire out"):
            return [encode(record) for record in as_records(rows)], messages[-1].offset + 1 if messages else offset

    def keep(self, sent: list[tuple[bytes, dict[str, str]]]) -> list[FeatureRow]:
        """Feature rows from the wire into the offline store, and one by one."""
        self.wire_bytes += sum(len(value) for value, _ in sent)
        with self.stages("wire in"):
            records = [decode_whole("features", value, headers) for value, headers in sent]
        with self.stages("offline"):
            self.offline.write_features(records)
        with self.stages("single"):
            return feature_rows(records)

    def watch(self, rows: list[FeatureRow]) -> None:
        """Predictions over the wire into the bins."""
        made = [
            Prediction(
                f"p{i}", r.event_id, r.entity_id, r.event_time, BEGIN, Arm.CHAMPION, "1", 0.5, 1.0, 1.0, r.values
            )
            for i, r in enumerate(rows)
        ]
        with self.stages("prediction"):
            sent = [encode(prediction) for prediction in made]
            read = [decode_whole("predictions", value, headers) for value, headers in sent]
        with self.stages("bins"):
            self.counts.add([row.values for row in read if isinstance(row, Prediction)], [0.5] * len(read))


@pytest.mark.parametrize("form", ["objects", "arrow"])
def test_a_sparse_vector_goes_from_the_broker_to_the_stores_and_the_bins(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    contract = parse_contract(CONTRACT.format(product=f"v{uuid4().hex[:8]}", size=SIZE), "bench")
    log = KafkaLog(KafkaSettings(brokers=kafka.brokers, client="librdkafka", timeout_s=60), contract.product)
    sent = events()
    product = Product(contract, log, tmp_path, sent, arrow=form == "arrow")
    for start in range(0, len(sent), BATCH_ROWS):
        values = sent[start : start + BATCH_ROWS]
        messages = [as_arrow(values)] if product.arrow else values
        log.append([NewMessage(product.topic, message) for message in messages], datetime.now(UTC))
    stages, decoder, offset = product.stages, msgspec.json.Decoder(Bare), 0
    while product.counts.rows < len(sent):
        if not stages.rows and product.counts.rows >= WARM:
            stages.cpu_s.clear()
            product.wire_bytes, stages.rows = 0, len(sent) - product.counts.rows
        batch, offset = product.ingest(offset)
        product.watch(product.keep(batch))
    with stages("peer"):
        for value in sent[-stages.rows :]:
            decoder.decode(value)
    log.close()
    stored = sum(path.stat().st_size for path in (tmp_path / "features").rglob("*.parquet"))
    ours, peer = stages.rate(*INGESTOR), stages.rate("peer")
    unstored = stages.rate(*(stage for stage in INGESTOR if stage != "online"))
    with capsys.disabled():
        print(f"\n{form}: {SET} of {SIZE:,} numbers, {len(sent[0]):,} bytes, {ENTITIES:,} entities; rows a CPU second:")
        for stage in stages.cpu_s:
            print(f"  {stage:10} {stages.rate(stage):>9,.0f}  ({1e6 / stages.rate(stage):6.1f} us a row)")
        print(
            f"ingestor {ours:,.0f} rows/s: {ours / WANTED:.2f} of {WANTED:,}, {ours / peer:.3f} of msgspec; but for "
            f"its online store {unstored:,.0f}, {unstored / WANTED:.2f}, {unstored / peer:.3f}; a row takes "
            f"{product.wire_bytes / stages.rows:,.0f} bytes on the wire, {stored / len(sent):,.0f} in Parquet"
        )
    assert product.counts.rows == len(sent)
    assert ours > 0.03 * peer  # guards against collapse, proves no goal
