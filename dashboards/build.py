"""The dashboards as documents."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import cost, drift, loop, sla

FOLDER = Path(__file__).parent


def documents() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    boards = {"loop": loop.board(), "sla": sla.board(), "drift": drift.board(), "cost": cost.board()}
    return {f"{name}.json": encoder.encode(board.build()) + "\n" for name, board in boards.items()}
