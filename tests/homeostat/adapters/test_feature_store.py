import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from feast import FeatureStore
from feast.cli.cli import cli

from homeostat.adapters.feast_features.repo import open_repo
from homeostat.contract.load import load_contract

ROOT = Path(__file__).parents[3]


def test_feast_apply_registers_the_view_that_the_adapter_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = tmp_path / "feature_store"
    shutil.copytree(ROOT / "feature_store", repo, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".homeostat" / "feast").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)  # the command changes the folder
    result = CliRunner().invoke(cli, ["--chdir", str(repo), "apply"])
    assert result.exit_code == 0, result.output
    contract = load_contract(ROOT / "homeostat" / "examples" / "flights" / "contract.yaml")
    applied = FeatureStore(repo_path=str(repo)).get_feature_view(contract.product)
    used = open_repo(contract, tmp_path / "used", None).get_feature_view(contract.product)
    assert applied.schema == used.schema
    assert applied.entities == used.entities
    assert applied.ttl == used.ttl
    assert applied.batch_source.timestamp_field == used.batch_source.timestamp_field
