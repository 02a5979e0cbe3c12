"""How MLflow's client is set up, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowException
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import RestException
from mlflow.telemetry import set_telemetry_client
from requests import RequestException

from homeostat.errors import HomeostatError, TransientError

# else MLflow reports each call to its makers, and draws a bar for each file; it leaves these untyped
MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]
set_telemetry_client()  # type: ignore[no-untyped-call]
MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
# By default MLflow tries a server that is away for minutes; who asks has patience of their own.
for _variable, _value in ((MLFLOW_HTTP_REQUEST_MAX_RETRIES, 1), (MLFLOW_HTTP_REQUEST_TIMEOUT, 30)):
    if not _variable.is_set():  # type: ignore[no-untyped-call]
        _variable.set(_value)  # type: ignore[no-untyped-call]


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Tell what may pass (a locked file, a server that is down) from what won't."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        if may_pass(error):
            raise TransientError(f"the model registry doesn't answer: {error}") from error
        if _status(error) in (401, 403):
            raise HomeostatError(
                f"MLflow refuses us; look at MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: {error}"
            ) from error
        raise


def may_pass(error: MlflowException | RequestException) -> bool:
    """Return whether the same call may go well later."""
    if isinstance(error, RequestException):
        return _status(error) >= 500 or _status(error) == 429
    if error.error_code in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"):
        return True
    by_http = isinstance(error, RestException) or "API request" in error.message
    return by_http and _status(error) >= 500  # a server without its database, or none at all


def _status(error: MlflowException | RequestException) -> int:
    """Return the HTTP status of an error, that of a broken server where nobody answered."""
    if isinstance(error, RequestException):
        return 503 if error.response is None else int(error.response.status_code)
    return int(error.get_http_status_code())  # type: ignore[no-untyped-call]
