"""The API of an instance: one set of routes for each product, and what concerns them all."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, FastAPI

from homeostat.api.bodies import Limits
from homeostat.api.decisions import DecisionRoutes
from homeostat.api.describe import Description
from homeostat.api.direct import DirectApi, direct
from homeostat.api.door import ClockDesk, Served
from homeostat.api.failures import handle_failures
from homeostat.api.instance import ClockRoutes, Degraded, add_watching
from homeostat.api.page import add_page
from homeostat.api.routes import ProductRoutes

_ABOUT = (
    "Send events and labels, ask for predictions. What is accepted is durable: it survives a kill -9 of every process. "
    "One bad row refuses a request whole; where its good events are stored all the same, the answer says so. "
    "Every error is a problem by RFC 9457 that names each bad place. "
    "A whole number may be written 3 or 3.0; of a key given twice in a row the last one counts."
)


def build_app(
    products: Mapping[str, Served],
    clock: ClockDesk,
    metrics: Callable[[], bytes],
    limits: Limits | None = None,
    *,
    degraded: Degraded = dict,
) -> FastAPI:
    """Return the web application of an instance.

    Args:
        products: What is served, by name.
        clock: Of the instance.
        metrics: Returns the metrics of all processes in Prometheus' text format; called in a thread.
        limits: How large a request may be, and who may ask.
        degraded: Says what is the matter with the processes beside this one, which serving does not need.
    """
    limits = limits or Limits()
    app = DirectApi(
        title="Homeostat",
        description=_ABOUT,
        version="1",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_tags=[
            *({"name": name, "description": served.front.contract.description} for name, served in products.items()),
            {"name": "instance", "description": "Health, metrics and the clock."},
        ],
    )
    app.models = Description()
    handle_failures(app, products)
    add_page(app)
    ready = {name: served.front.ready for name, served in products.items()}
    add_watching(app, ready, metrics, degraded=degraded)
    router = APIRouter(prefix="/v1")
    ClockRoutes(clock, limits).add_to(router)
    routes = [ProductRoutes(served, clock, limits) for served in products.values()]
    for of_product in routes:
        of_product.add_to(router, app.models)
    for name, served in products.items():
        DecisionRoutes(name, served.desk, limits).add_to(router)
    app.direct = {
        f"{router.prefix}{path}": direct(route, limits.gate) for r in routes for path, route in r.paths.items()
    }
    app.include_router(router)
    return app
