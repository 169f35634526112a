"""Static files: the pages and what they load, from `web/`, and third-party files from WEB_LIBRARIES.

Invariants: only files that existed at the start are served, each by its own name, so no path leads anywhere else. The
Content-Security-Policy allows scripts and styles from here alone, one inline script by its hash (the import map), and
requests to here and to PubNub's origin. Browsers never cache pages; everything else is revalidated by its ETag.
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

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".ts": "text/plain",
}
"""By suffix; other files, such as licences and maps, are not served."""
LIBRARIES = {
    "pubnub": "pubnub/pubnub.min.js",
    "uplot": "uplot/uPlot.esm.js",
    "cytoscape": "cytoscape/cytoscape.esm.min.mjs",
}
"""Third-party libraries of the pages, by name; each is a file below WEB_LIBRARIES."""
PAGES = {"/": "index.html", "/console": "console/index.html"}
"""The file of each page, by its address."""
SECURITY_HEADERS = {
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
    """One file, read again when it has changed, so that work on a page needs no restart."""

    path: Path
    kind: str
    body: bytes = b""
    etag: str = ""
    _modified_ns: int = -1

    def read(self) -> File:
        """This file, as it is on the disk now."""
        modified = self.path.stat().st_mtime_ns
        if modified != self._modified_ns:
            self.body = self.path.read_bytes()
            self.etag = hashlib.sha256(self.body).hexdigest()[:32]
            self._modified_ns = modified
        return self


class Pages:
    """All served files, by their address."""

    def __init__(self, *, settings: Settings) -> None:
        self._files = dict(_servable(data_folder("web"), "/web/"))
        self._origin = origin_source(settings.pubnub_origin, settings.pubnub_tls)
        self._demo = settings.demo_login
        if settings.web_libraries:
            self._files |= dict(_servable(settings.web_libraries, "/web/lib/"))
        self.missing = [name for name, path in LIBRARIES.items() if f"/web/lib/{path}" not in self._files]
        """Names of the third-party libraries that were not found."""

    def mount(self, app: web.Application) -> None:
        """Add the routes. They take no input except their own path, and are no part of the API."""
        app.router.add_get("/web/page.json", self._about)
        app.router.add_get("/web/{path:.+}", self._file)
        for address, name in PAGES.items():
            if f"/web/{name}" in self._files:
                app.router.add_get(address, self._page(f"/web/{name}"))
        if self.missing:
            log.warning("http.web_libraries.missing", names=self.missing, option="WEB_LIBRARIES")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.path)
        if file is None or file.kind == CONTENT_TYPES[".html"]:
            raise web.HTTPNotFound
        file.read()
        headers = SECURITY_HEADERS | {hdrs.CACHE_CONTROL: "no-cache", hdrs.ETAG: f'"{file.etag}"'}
        if any(tag.value in {file.etag, "*"} for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)

    async def _about(self, request: web.Request) -> web.StreamResponse:
        """What a page needs to know of this service before a user signs in."""
        headers = SECURITY_HEADERS | {hdrs.CACHE_CONTROL: "no-store"}
        return web.json_response({"demo": self._demo, "missing": self.missing}, headers=headers)

    def _page(self, address: str) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            body = self._files[address].read().body
            policy = {
                "Content-Security-Policy": content_policy(body, self._origin),
                hdrs.CACHE_CONTROL: "no-store",
            }
            return web.Response(
                body=body, content_type="text/html", charset="utf-8", headers=SECURITY_HEADERS | policy
            )

        return serve


def content_policy(page: bytes, origin: str) -> str:
    """The Content-Security-Policy of a page; its import maps are allowed by their hashes (CSP Level 3, 2.3.1)."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
        for text in _IMPORT_MAP.findall(page)
    ]
    allowed: Mapping[str, list[str]] = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *hashes],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'", origin],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in allowed.items())


def origin_source(origin: str, tls: bool) -> str:
    """PubNub's origin as a source of a policy; empty for anything but a name and a port, which would widen the policy."""
    if not re.fullmatch(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?", origin):
        return ""
    return f"{'https' if tls else 'http'}://{origin}"


def _servable(folder: Path, prefix: str) -> Iterator[tuple[str, File]]:
    """Every servable file of a folder; names that begin with a dot and links that leave the folder are excluded."""
    root = folder.resolve()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        kind = CONTENT_TYPES.get(path.suffix)
        hidden = any(part.startswith(".") or part == "node_modules" for part in name.parts)
        if kind and not hidden and path.is_file() and path.resolve().is_relative_to(root):
            yield prefix + name.as_posix(), File(path, kind)
