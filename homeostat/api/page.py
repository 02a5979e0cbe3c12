"""The page that shows the description of the API."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_PAGE = "/docs"
_FILES = f"{_PAGE}/files"


def add_page(app: FastAPI) -> None:
    """Show the description at /docs, with scripts of our own: it needs no other host, and tells none who looks."""
    app.mount(_FILES, StaticFiles(packages=[("fastapi_offline", "static")]))

    @app.get(_PAGE, include_in_schema=False)
    def page(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            title=app.title,
            openapi_url=f"{root}{app.openapi_url}",
            swagger_js_url=f"{root}{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_FILES}/favicon.png",
        )
