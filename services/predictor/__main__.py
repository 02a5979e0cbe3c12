"""The predictor: answers over HTTP, features from the online store, each prediction in the log.

``python -m services.predictor``, told by ``HOMEOSTAT_...`` variables what to work on. It serves the models last known
while the registry is away.
"""

import sys
from functools import partial

import uvicorn

from homeostat.api import Limits, Measured, Served, build_app, guarded_gate
from homeostat.bootstrap import followed_registry, mlflow_page, oidc_tokens, share
from homeostat.ports import ModelRegistry
from homeostat.processes.clock_desk import ClockDesk
from homeostat.processes.patience import Waits
from homeostat.processes.server import Status, Watch, serve
from homeostat.processes.service import Service, run, watched, web_config
from homeostat.serving import Deployed, build_front
from homeostat.serving import Limits as FrontLimits


def predict(service: Service) -> int:
    """Serve the API of the product."""
    product, telemetry = service.product, service.telemetry
    contract, stack = product.contract, product.stack
    gate = guarded_gate(service.settings, oidc_tokens(service.settings), service.settings.host, "HOMEOSTAT_HOST")

    def registry() -> ModelRegistry:
        with service.stores():
            return stack.registry

    models = followed_registry(registry, product.home / "served")
    deployed = Deployed(models, partial(share, "predict", contract, service.settings))
    limits = FrontLimits(waiting_s=service.settings.most_wait_ms / 1000)
    build = partial(build_front, contract, stack, service.clock, limits=limits, hook=service.hook, deployed=deployed)
    with watched(service, lambda: service.patience.missing, will_serve=True):
        front = service.patience.until_done(build)
    desk = ClockDesk(service.settings.home, "system", [front], [stack.log])
    url = service.settings.mlflow_url
    decisions = mlflow_page(contract, url) if url else None
    status = Status(product, service.clock.now, telemetry.render)
    served = {contract.product: Served(front, status, lambda: stack.ledger, decisions)}
    app = build_app(served, desk, telemetry.render, Limits(gate=gate))
    server = uvicorn.Server(web_config(Measured(app, {contract.product: contract}, telemetry), service.settings))
    waits = Waits(telemetry, [contract.product], service.process)
    return serve(Watch(server, {contract.product: front}, service.heartbeat, waits), service.life)


if __name__ == "__main__":
    sys.exit(run("predictor", predict))
