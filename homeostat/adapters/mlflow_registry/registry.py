"""Model versions and aliases in MLflow's registry: SQLite and local files here, a server by its URI."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from mlflow import MlflowClient, MlflowException
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from requests import RequestException
from sqlalchemy.exc import SADeprecationWarning

from homeostat.adapters.mlflow_registry.client import may_pass, mlflow_errors
from homeostat.adapters.mlflow_registry.file_version import FileVersion
from homeostat.errors import HomeostatError, ModelError
from homeostat.healing.tags import (
    DECISION_TAG,
    aliases_in,
    answer_in,
    answering,
    asking,
    decision_in,
    mover_in,
    share_tag,
)
from homeostat.ports import ALIASES, Aliases, ModelPackage, OperatorDecision

_REQUEST = "homeostat.request_id"
_FILES = "model"  # artifact folder of a run that holds the package's files
_AT_ONCE = 100  # MLflow takes 100 params and 100 tags in one request


class MlflowRegistry:
    """The registry of one product: a run for each version, in the experiment ``homeostat/<product>``.

    ``mlflow.pyfunc`` is left out: it takes seconds for a version and infers a Python environment, and a package
    is text files that Homeostat itself knows how to score.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path, product: str) -> None:
        """Open or create the registry; the first start on an empty SQLite file takes seconds.

        Args:
            tracking_uri: Of MLflow's store, e.g. ``sqlite:////path/mlflow.db`` or ``http://host:5000``; who asks a
                server is said by MLflow's own ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
            artifact_root: Folder of the files of versions, where the store is not a server.
            product: Name of the registered model.
        """
        for name in ("mlflow.store.db.utils", "alembic"):  # they announce each of 60 migrations
            logging.getLogger(name).setLevel(logging.WARNING)
        self._uri = tracking_uri
        self._product = product
        with warnings.catch_warnings():  # MLflow's own tables, mapped when a store is first opened
            warnings.simplefilter("ignore", SADeprecationWarning)
            self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
            self._experiment_id = self._open(artifact_root)
        self._packages: dict[str, ModelPackage] = {}
        self._file = FileVersion(tracking_uri)
        self._model: tuple[int | None, RegisteredModel] | None = None
        self._decisions: tuple[int | None, list[OperatorDecision]] | None = None

    @mlflow_errors()
    def register(self, package: ModelPackage, request_id: str) -> str:
        """Store a package once by request and return its version.

        A crash after any step leaves a run that the next call finds by its tag and goes on with.
        """
        if known := self._version_of(request_id):
            return known
        run = self._run_of(request_id) or self._client.create_run(
            self._experiment_id, tags={_REQUEST: request_id}, run_name=request_id
        )
        self._log(run, package)
        created = self._client.create_model_version(
            self._product,
            source=f"{run.info.artifact_uri}/{_FILES}",
            run_id=run.info.run_id,
            tags={**package.tags, _REQUEST: request_id},
        )
        return str(created.version)

    @mlflow_errors()
    def load(self, version: str) -> ModelPackage:
        """Return the package stored under a version; files, metrics and params are read once.

        Raises:
            ModelError: There is no such version.
        """
        stored = self._stored(version)
        if version not in self._packages:
            self._packages[version] = self._read(stored)
        return replace(self._packages[version], tags=_own_tags(stored))

    @mlflow_errors()
    def aliases(self) -> Aliases:
        """Return who serves now, also after an edit by somebody else.

        MLflow takes 4 ms to say so and is asked at every micro-batch; while SQLite says that nobody has
        written to the file, the last answer still holds.
        """
        found = self._registered()
        return aliases_in(found.aliases, found.tags)

    @mlflow_errors()
    def set_alias(self, alias: str, version: str | None, share: float | None = None) -> None:
        """Point ``alias`` to a version, the share first, or clear it with None.

        Raises:
            HomeostatError: The alias is none of champion, challenger and previous.
            ModelError: There is no such version.
        """
        if alias not in ALIASES:
            raise HomeostatError(f"no alias {alias!r}: expected champion, challenger or previous")
        if version is None:
            self._client.delete_registered_model_alias(self._product, alias)
        else:
            self._stored(version)
            self._retag(None, share_tag(version, share) if share is not None else {})
            self._client.set_registered_model_alias(self._product, alias, version)

    @mlflow_errors()
    def mover(self, alias: str, version: str | None) -> str | None:
        """Return who put an alias on a version, or took it away, where the server writes it down."""
        return mover_in(self._registered().tags, alias, version)

    @mlflow_errors()
    def tag(self, version: str | None, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a version, of the model itself with None.

        Raises:
            ModelError: There is no such version.
        """
        if version is not None:
            self._stored(version)
        self._retag(version, tags)

    @mlflow_errors()
    def describe(self, version: str, text: str | None, pages: Mapping[str, str]) -> None:
        """Put a text, if any, on a version's page and pages among its run's artifacts, in place of older ones.

        Raises:
            ModelError: There is no such version.
        """
        stored = self._stored(version)
        for name, page in pages.items():
            self._client.log_text(str(stored.run_id), page, name)
        if text is not None:
            self._client.update_model_version(self._product, version, description=text)

    @mlflow_errors()
    def decisions(self) -> list[OperatorDecision]:
        """Return the open decisions, the model's own first, then by version; one query when the file has changed."""
        now = self._file.version()
        if now is None or self._decisions is None or self._decisions[0] != now:
            where = f"name = '{self._product}' AND tags.`{DECISION_TAG}` LIKE '%'"
            versions = sorted(self._client.search_model_versions(where), key=lambda found: int(found.version))
            tagged = [(None, self._registered().tags), *((str(found.version), found.tags) for found in versions)]
            self._decisions = now, [found for where, tags in tagged if (found := decision_in(where, tags))]
        return list(self._decisions[1])

    @mlflow_errors()
    def decide(self, decision: OperatorDecision) -> None:
        """Open a decision, in place of an open one and of an older answer.

        Raises:
            ModelError: There is no such version.
        """
        self._tags(decision.version)
        self._retag(decision.version, asking(decision))

    @mlflow_errors()
    def answer(self, decision: OperatorDecision, text: str) -> None:
        """Close a decision with what became of it; one that is open no more, or says another word now, is left."""
        try:
            tags = self._tags(decision.version)
        except ModelError:  # the version was deleted, and its decision with it
            return
        if tags.get(DECISION_TAG) == decision.action:
            self._retag(decision.version, answering(text))

    @mlflow_errors()
    def answered(self, version: str | None) -> str | None:
        """Return what became of the last decision on a version, None while it is open or if there never was one."""
        return answer_in(self._tags(version))

    def _registered(self) -> RegisteredModel:
        """Return the registered model with its aliases and tags, read again when somebody has written."""
        now = self._file.version()
        if now is None or self._model is None or self._model[0] != now:
            self._model = now, self._client.get_registered_model(self._product)
        return self._model[1]

    def _tags(self, version: str | None) -> Mapping[str, str]:
        return self._registered().tags if version is None else self._stored(version).tags

    def _retag(self, version: str | None, changes: Mapping[str, str | None]) -> None:
        for key, value in changes.items():
            if version is None and value is None:
                self._client.delete_registered_model_tag(self._product, key)
            elif version is None:
                self._client.set_registered_model_tag(self._product, key, value)
            elif value is None:
                self._client.delete_model_version_tag(self._product, version, key)
            else:
                self._client.set_model_version_tag(self._product, version, key, value)

    @mlflow_errors()
    def _open(self, artifact_root: Path) -> str:
        """Make the experiment and the registered model where they are missing, and return the experiment's id."""
        experiment_id = self._experiment(artifact_root)
        self._create_model()
        return experiment_id

    def _experiment(self, artifact_root: Path) -> str:
        name = f"homeostat/{self._product}"
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        local = not self._uri.startswith(("http://", "https://"))
        try:
            return self._client.create_experiment(
                name, artifact_location=artifact_root.resolve().as_uri() if local else None
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            known = self._client.get_experiment_by_name(name)  # another process was faster
            if known is None:
                raise HomeostatError(f"MLflow refuses the experiment {name}: {error}") from error
            return str(known.experiment_id)

    def _create_model(self) -> None:
        try:
            self._client.create_registered_model(self._product)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, request_id: str) -> str | None:
        where = f"name = '{self._product}' AND tags.`{_REQUEST}` = '{request_id}'"
        versions = [int(found.version) for found in self._client.search_model_versions(where)]
        return str(min(versions)) if versions else None

    def _run_of(self, request_id: str) -> Run | None:
        runs = self._client.search_runs([self._experiment_id], f"tags.`{_REQUEST}` = '{request_id}'", max_results=1)
        return runs[0] if runs else None

    def _log(self, run: Run, package: ModelPackage) -> None:
        run_id, at_ms = run.info.run_id, int(time() * 1000)
        metrics = [Metric(key, value, at_ms, 0) for key, value in package.metrics.items()]
        params = [Param(key, value) for key, value in package.params.items()]
        tags = [RunTag(key, value) for key, value in package.tags.items()]
        for start in range(0, max(len(metrics), len(params), len(tags)), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            self._client.log_batch(run_id, metrics[part], params[part], tags[part])
        with TemporaryDirectory() as folder:
            for name, content in package.files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run_id, folder, _FILES)
        self._client.set_terminated(run_id)

    def _stored(self, version: str) -> ModelVersion:
        try:
            return self._client.get_model_version(self._product, version)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise ModelError(f"there is no version {version!r} of the model {self._product}: {error}") from error

    def _read(self, stored: ModelVersion) -> ModelPackage:
        try:
            with TemporaryDirectory() as folder:
                path = Path(download_artifacts(artifact_uri=stored.source, dst_path=folder, tracking_uri=self._uri))
                files = {file.name: file.read_bytes() for file in sorted(path.iterdir())}
            data = self._client.get_run(str(stored.run_id)).data
        except (MlflowException, OSError) as error:
            if isinstance(error, MlflowException | RequestException) and may_pass(error):
                raise
            raise ModelError(f"version {stored.version} of {self._product} can't be read: {error}") from error
        return ModelPackage(files, dict(data.metrics), dict(data.params))


def _own_tags(stored: ModelVersion) -> dict[str, str]:
    return {key: value for key, value in stored.tags.items() if key != _REQUEST}
