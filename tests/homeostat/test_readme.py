"""The product with a vector that README shows: its contract, its event and its label are taken as they stand."""

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.adapters.memory_features import MemoryOnlineFeatures
from homeostat.contract.load import parse_contract
from homeostat.records import FeatureRow, Label, RawEvent, RawLabel
from homeostat.steps.ingest import IngestStep
from homeostat.vectors import vector_of

README = Path(__file__).parents[2] / "README.md"


def test_the_vector_product_of_the_readme_takes_its_event_and_its_label() -> None:
    text = README.read_text()
    shown = text[text.index("    product: sensors") : text.index("In another terminal, with the names")]
    contract, rows = dedent(shown).strip().split("\n\n")
    event, label = rows.splitlines()
    step = IngestStep(parse_contract(contract, "README.md"), MemoryOnlineFeatures(), MemoryTelemetry())
    made = step.handle([RawEvent(event.encode()), RawLabel(label.encode())], datetime(2026, 11, 22, tzinfo=UTC))
    values = (vector_of({17: 0.5, 2_999: -2.0}, 3_000), 0.8)
    assert made == [
        FeatureRow("e1", "s7", datetime(2026, 11, 21, 10, tzinfo=UTC), values),
        Label("e1", datetime(2026, 11, 21, 18, tzinfo=UTC), 1.0),
    ]
