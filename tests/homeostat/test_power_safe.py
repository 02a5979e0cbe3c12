"""Whether the embedded log waits for the disk follows from the environment."""

from pathlib import Path

import pytest

from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.bootstrap.stack import open_log
from homeostat.contract.load import load_contract
from homeostat.settings import Settings

CONTRACT = Path(__file__).parents[1] / "loop" / "turbines.yaml"


@pytest.mark.parametrize(("said", "synchronous"), [(None, 1), ("true", 2)])
def test_the_log_waits_for_the_disk_where_the_environment_says_so(
    said: str | None, synchronous: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said:
        monkeypatch.setenv("HOMEOSTAT_POWER_SAFE", said)
    log = open_log(load_contract(CONTRACT), tmp_path, Settings())
    assert isinstance(log, SqliteLog)
    assert log._connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
