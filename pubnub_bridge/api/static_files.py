"""The pages and what they load: from `web/`, and third-party files from WEB_LIBRARIES. Knows files; no person and no key.

Only files that were there at the start are served, each by its own name, so no path leads anywhere else. What a page
may do is said by its Content-Security-Policy: scripts and styles from here alone, one inline script by its hash (the
import map), calls to here and to PubNub's origin. Pages are never kept by a browser; everything else by its ETag.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from graph_service.graph.queries import data_folder
from pubnub_bridge.settings import Settings

TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".ts": "text/plain",
}
"""What is served; other files, such as licences and maps, are not."""
LIBRARIES = {
    "pubnub": "pubnub/pubnub.min.js",
    "uplot": "uplot/uPlot.esm.js",
    "cytoscape": "cytoscape/cytoscape.esm.min.mjs",
}
"""What the pages need of others, by name; each is a file below WEB_LIBRARIES."""
PAGES = {"/": "index.html", "/console": "console/index.html"}
"""Addresses of pages, and the file that each one is."""
SAFE = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)

log = structlog.get_logger(__name__)


@dataclass
class File:
    """One file. Read again when it was changed, so that who works on a page need not restart."""

    path: Path
    kind: str
    body: bytes = b""
    etag: str = ""
    _stamp: int = -1

    def read(self) -> File:
        """Itself, as it is on the disk now."""
        stamp = self.path.stat().st_mtime_ns
        if stamp != self._stamp:
            self.body = self.path.read_bytes()
            self.etag = hashlib.sha256(self.body).hexdigest()[:32]
            self._stamp = stamp
        return self


class Pages:
    """Everything that is served, by its address."""

    def __init__(self, settings: Settings) -> None:
        self._files = dict(_found(data_folder("web"), "/web/"))
        self._calls = origin_source(settings.pubnub_origin, settings.pubnub_tls)
        self._demo = settings.demo_login
        if settings.web_libraries:
            self._files |= dict(_found(settings.web_libraries, "/web/lib/"))
        self.missing = [name for name, path in LIBRARIES.items() if f"/web/lib/{path}" not in self._files]
        """Names of the third-party libraries that are not there."""

    def mount(self, app: web.Application) -> None:
        """Adds the routes. They take no input but their own path, and are no part of the API."""
        app.router.add_get("/web/page.json", self._about)
        app.router.add_get("/web/{path:.+}", self._file)
        for address, name in PAGES.items():
            if f"/web/{name}" in self._files:
                app.router.add_get(address, self._page(f"/web/{name}"))
        if self.missing:
            log.warning("libraries of the pages are missing", names=self.missing, option="WEB_LIBRARIES")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.path)
        if file is None or file.kind == TYPES[".html"]:
            raise web.HTTPNotFound
        file.read()
        headers = SAFE | {hdrs.CACHE_CONTROL: "no-cache", hdrs.ETAG: f'"{file.etag}"'}
        if any(tag.value in {file.etag, "*"} for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)

    async def _about(self, request: web.Request) -> web.StreamResponse:
        """What a page must know of this service before anybody signs in."""
        headers = SAFE | {hdrs.CACHE_CONTROL: "no-store"}
        return web.json_response({"demo": self._demo, "missing": self.missing}, headers=headers)

    def _page(self, address: str) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = self._files[address].read().body
            policy = {
                "Content-Security-Policy": content_policy(body, self._calls),
                hdrs.CACHE_CONTROL: "no-store",
            }
            return web.Response(body=body, content_type="text/html", charset="utf-8", headers=SAFE | policy)

        return answer


def content_policy(page: bytes, calls: str) -> str:
    """What a page may load and call; its import maps are allowed by their hashes (CSP Level 3, 2.3.1)."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
        for text in _IMPORT_MAP.findall(page)
    ]
    allowed: Mapping[str, list[str]] = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *hashes],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'", calls],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in allowed.items())


def origin_source(origin: str, tls: bool) -> str:
    """PubNub's origin as a source of a policy. A host with anything but a name and a port would widen it: refused."""
    if not re.fullmatch(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?", origin):
        return ""
    return f"{'https' if tls else 'http'}://{origin}"


def _found(folder: Path, prefix: str) -> Iterator[tuple[str, File]]:
    """Every file of a folder that may be served; what begins with a dot may not, nor what leads out of the folder."""
    root = folder.resolve()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        kind = TYPES.get(path.suffix)
        hidden = any(part.startswith(".") or part == "node_modules" for part in name.parts)
        if kind and not hidden and path.is_file() and path.resolve().is_relative_to(root):
            yield prefix + name.as_posix(), File(path, kind)
