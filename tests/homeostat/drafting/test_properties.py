"""Whatever a file holds, it ends in a sound contract or in one clear error."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.contract.load import parse_contract
from homeostat.drafting.draft import draft_of
from homeostat.drafting.interview import Interview, Wishes
from homeostat.drafting.sample import read_sample
from homeostat.drafting.writing import contract_text
from homeostat.errors import HomeostatError
from homeostat.features.columns import EventColumns

PRINTED = st.characters(codec="utf-8", exclude_characters="\0")
CELL = st.one_of(
    st.sampled_from(["", "NA", "0", "1", "yes", "no", "late", "on time", "-", "inf", "nan", "1e999", "01", '"']),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.datetimes().map(lambda t: t.isoformat()),
    st.dates().map(lambda d: d.strftime("%d/%m/%Y")),
    st.text(PRINTED, max_size=12),
)  # fmt: skip
HEADER = st.one_of(
    st.sampled_from(["event_time", "ts", "late", "y", "customer_id", "id", "no", "label", "label_time", "*", "^a$"]),
    st.text(PRINTED, max_size=80),
)  # fmt: skip
TYPED = [
    (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    (pl.UInt64(), st.integers(0, 2**64 - 1)),
    (pl.Float32(), st.floats(width=32)),
    (pl.Boolean(), st.booleans() | st.none()),
    (pl.Datetime("ns"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),  # noqa: DTZ001
    (pl.Datetime("us", "Asia/Tokyo"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),  # noqa: DTZ001
    (pl.Date(), st.dates()),
    (pl.Categorical(), st.sampled_from("ab")),
    (pl.Decimal(10, 2), st.decimals(-1000, 1000, places=2)),
    (pl.List(pl.Int64), st.lists(st.integers(0, 9))),
    (pl.Duration(), st.timedeltas(timedelta(-999), timedelta(999))),
    (pl.Null(), st.none()),
]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def ends_well(content: bytes, name: str = "data.csv") -> str | None:
    """Return the contract of a file, None after a clear error."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        said = None
        try:
            text = contract_text(draft_of(path, read_sample(path), Interview(Wishes(), accept=True)))
        except HomeostatError as error:
            said = str(error)
    if said is not None:
        assert said
        assert "please report" not in said
        return None
    EventColumns(parse_contract(text, "drafted"))
    return text


@QUICK
@given(st.binary(max_size=300))
def test_any_bytes_end_in_a_contract_or_an_error(content: bytes) -> None:
    ends_well(content)


@QUICK
@given(st.text(max_size=400), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_any_text_ends_in_a_contract_or_an_error(content: str, encoding: str) -> None:
    ends_well(content.encode(encoding, errors="replace"))


@QUICK
@given(st.data(), st.lists(HEADER, min_size=2, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_any_table_ends_in_a_contract_or_an_error(data: st.DataObject, header: list[str], separator: str) -> None:
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(header), max_size=len(header)), max_size=12))
    names = [name or f"c{i}" for i, name in enumerate(dict.fromkeys(header))]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(dict.fromkeys(names))}
    ends_well(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_csv(separator=separator).encode())


@QUICK
@given(
    st.data(),
    st.sampled_from([1e-3, 60.0, 3_600.0, 86_400.0, 3e7]),
    st.floats(0, 1e8),
    st.integers(2, 80),
    st.lists(st.tuples(HEADER, CELL, CELL), max_size=4),
)
def test_any_stream_with_time_and_target_gives_a_contract(
    data: st.DataObject, step_s: float, delay_s: float, rows: int, others: list[tuple[str, str, str]]
) -> None:
    times = [f"{631152000 + i * step_s:.3f}" for i in range(rows)]
    known = [f"{631152000 + i * step_s + delay_s * (1 + i % 3):.3f}" for i in range(rows)]
    columns = {"event_time": times, "label_time": known, "y": [str(i % 2) for i in range(rows)]}
    for name, a, b in others:
        if name.strip():
            columns.setdefault(name, data.draw(st.lists(st.sampled_from([a, b, ""]), min_size=rows, max_size=rows)))
    text = ends_well(pl.DataFrame(columns).write_csv().encode())
    inside = 631152000 + (rows * step_s + 3 * delay_s) < 4e9
    assert text is not None or not inside or rows < 3


@QUICK
@given(st.lists(st.one_of([st.tuples(st.just(d), st.lists(v, min_size=9, max_size=9)) for d, v in TYPED]), min_size=1))
def test_any_parquet_ends_in_a_contract_or_an_error(columns: list[tuple[pl.DataType, list[object]]]) -> None:
    frame = pl.DataFrame([pl.Series(f"c{i}", cells, dtype, strict=False) for i, (dtype, cells) in enumerate(columns)])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        frame.write_parquet(path)
        ends_well(path.read_bytes(), "data.parquet")
