"""The API document at /openapi.json, and a page to browse it at /docs.

The page works offline: one HTML file, one script and one style sheet, all from this server, under a content security
policy that allows nothing else. A token typed there stays in the page's memory.
"""

from __future__ import annotations

import functools
from pathlib import Path

from aiohttp import web

from graph_service.api.authentication import PUBLIC
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import DOCUMENT

routes = TypedRoutes("document", limiter="")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@functools.cache
def _file(name: str) -> bytes:
    return (Path(__file__).parents[1] / "page" / name).read_bytes()


def _served(name: str, kind: str) -> web.Response:
    return web.Response(body=_file(name), content_type=kind, charset="utf-8", headers=HEADERS)


@routes.get("/openapi.json", auth=PUBLIC, summary="This document", produces="application/json")
async def openapi(request: web.Request) -> web.Response:
    """OpenAPI 3.1."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json", headers=HEADERS)


@routes.get("/docs", auth=PUBLIC, summary="This document, to browse", produces="text/html")
async def page() -> web.Response:
    """Works offline."""
    return _served("docs.html", "text/html")


@routes.get("/docs/docs.js", auth=PUBLIC, summary="The page's script", produces="text/javascript")
async def script() -> web.Response:
    """Loaded by /docs."""
    return _served("docs.js", "text/javascript")


@routes.get("/docs/docs.css", auth=PUBLIC, summary="The page's style", produces="text/css")
async def style() -> web.Response:
    """Loaded by /docs."""
    return _served("docs.css", "text/css")
