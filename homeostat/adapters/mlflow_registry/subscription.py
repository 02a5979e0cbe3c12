"""Asks MLflow's server to knock when somebody edits the registry."""

from mlflow import MlflowClient, MlflowException
from mlflow.entities.webhook import Webhook, WebhookEventStr

from homeostat.adapters.mlflow_registry.client import mlflow_errors
from homeostat.errors import HomeostatError

EVENTS: tuple[WebhookEventStr, ...] = (
    "model_version_tag.set",
    "model_version_alias.created",
    "model_version_alias.deleted",
)  # there is none for tags of the registered model itself
_LONGEST = 62  # characters of a webhook's name


@mlflow_errors()
def subscribe(tracking_uri: str, name: str, url: str, secret: str) -> None:
    """Register a webhook once by its name; one that is there gets the address and the secret of now.

    Args:
        tracking_uri: Of the server.
        name: Letters, digits, dots, underscores and hyphens; cut where it is too long for MLflow.
        url: Where the server reaches us.
        secret: It signs each delivery with.

    Raises:
        TransientError: The server doesn't answer.
        HomeostatError: It refuses us, or the address.
    """
    client, name = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri), name[:_LONGEST]
    known = next((webhook.webhook_id for webhook in _all(client) if webhook.name == name), None)
    try:
        if known is None:
            client.create_webhook(name, url, list(EVENTS), secret=secret)
        else:
            client.update_webhook(known, url=url, events=list(EVENTS), secret=secret, status="ACTIVE")
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise HomeostatError(
            f"MLflow refuses HOMEOSTAT_MLFLOW__WEBHOOK_URL, {url}; by itself it takes only https and addresses "
            f"outside: see MLFLOW_WEBHOOK_ALLOWED_SCHEMES and MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS of its server: {error}"
        ) from error


def _all(client: MlflowClient) -> list[Webhook]:
    found: list[Webhook] = []
    token = None
    while True:
        page = client.list_webhooks(page_token=token)
        found += page
        token = page.token
        if not token:
            return found
