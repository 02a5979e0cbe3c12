"""Whether the versions behind the aliases are there and can serve."""

from pathlib import Path

from homeostat.bootstrap import mlflow_file
from homeostat.contract.model import Contract
from homeostat.drift.profile import FILE as PROFILE_FILE
from homeostat.drift.profile import Profile
from homeostat.errors import ModelError
from homeostat.inspection.doctor.finding import Finding, ok, problem
from homeostat.ports import ALIASES
from homeostat.training.models import load_model


def models(home: Path, known: Contract) -> list[Finding]:
    """Return whether each alias points to a version whose files load and have the contract's features."""
    registry = mlflow_file(known, home)
    found = registry.aliases()
    held = {alias: version for alias in ALIASES if (version := getattr(found, alias))}
    if not held:
        return [ok("models", "no champion yet")]
    return [_model(alias, version, registry.folder_of(version), known) for alias, version in held.items()]


def _model(alias: str, version: str, folder: Path | None, known: Contract) -> Finding:
    todo = f"point {alias} to another version in the MLflow UI, or restore the files from a copy"
    if alias == "champion":
        todo = "`homeostat rollback` gives the traffic back to the version before, or restore the files from a copy"
    if folder is None:
        return problem("models", f"{alias} is version {version}, which is not in the registry", todo)
    try:
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        load_model(files)
        profile = Profile.from_bytes(files.get(PROFILE_FILE, b""))
    except (OSError, ModelError) as error:
        return problem("models", f"{alias}, version {version}, can't be loaded: {error}", todo)
    if profile.features != known.feature_names:
        what = f"{alias}, version {version}, was trained on other features than the contract names"
        return problem("models", what, "put the old contract back, or start the product anew under another name")
    return ok("models", f"{alias} is version {version}, its files load")
