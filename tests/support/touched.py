"""A pytest plugin that counts, for each endpoint of the origin, the tests and the official clients that called it.

Use: ``python -m pytest tests/e2e/origin tests/unit/local_stack -p tests.support.touched``. It writes the table in
`docs/origin.md`. Clients are recognized by the `pnsdk` parameter; requests are not changed.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from local_stack.origin import app, fast_lane
from local_stack.origin.app import FAMILIES
from local_stack.origin.call import Call
from local_stack.origin.router import NoRoute, Router

PAGE = Path(__file__).parents[2] / "docs" / "origin.md"
CLIENTS = (
    ("CA-TS", "@pubnub/chat 1"),
    ("PubNub-JS-Nodejs/11", "pubnub 11 (npm)"),
    ("PubNub-JS-Nodejs/12", "pubnub 12 (npm)"),
    ("PubNub-Python-Asyncio", "pubnub (PyPI, asyncio)"),
    ("PubNub-Python", "pubnub (PyPI, sync)"),
)
TITLES = {
    "subscribe": "subscribe",
    "publish": "publish, signal",
    "presence_api": "presence",
    "groups_api": "channel groups",
}
TITLES |= {
    "history_api": "history",
    "actions_api": "message actions",
    "objects_api": "App Context",
    "access_api": "Access Manager",
}

_routes = [
    (family, route.method, route.path)
    for family in FAMILIES
    if family != "unserved"
    for route in import_module(f"local_stack.origin.{family}").ROUTES
    if "{sub}" in route.path  # time has no key, so it creates no `Call`
]


def _named(pattern: tuple[str, str, str]) -> Any:
    async def name() -> tuple[str, str, str]:
        return pattern

    name.pattern = pattern  # type: ignore[attr-defined]
    return name


_router = Router()
for _route in _routes:
    _router.add(_route[1], _route[2], _named(_route))

tests: dict[tuple[str, str, str], set[str]] = defaultdict(set)
clients: dict[tuple[str, str, str], set[str]] = defaultdict(set)


class _Watched(Call):
    """A call that is recorded."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        try:
            handler, _ = _router.match(self.method, self.target.partition("?")[0])
        except NoRoute:
            return
        tests[handler.pattern].add(os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0])  # type: ignore[attr-defined]
        sdk = self.query.get("pnsdk", "")
        clients[handler.pattern] |= {name for mark, name in CLIENTS if mark in sdk and _first(sdk) == mark}  # type: ignore[attr-defined]


def _first(sdk: str) -> str:
    return next((mark for mark, _ in CLIENTS if mark in sdk), "")


def pytest_configure() -> None:
    """Record all calls from now on."""
    app.Call = fast_lane.Call = _Watched  # type: ignore[misc]


def pytest_sessionfinish() -> None:
    """Write the table."""
    rows = []
    for route in _routes:
        family, method, path = route
        shown = re.sub(r"\{:([^|}]*)[^}]*\}", r"\1", path).replace(":*", "")
        used = ", ".join(sorted(clients[route]))
        rows.append(f"| {TITLES[family]} | {method} `{shown}` | {len(tests[route])} | {used} |")
    text = PAGE.read_text("utf-8")
    table = "<!-- touched -->\n" + "\n".join(rows) + "\n<!-- /touched -->"
    PAGE.write_text(
        re.sub(r"<!-- touched -->.*<!-- /touched -->", lambda _: table, text, flags=re.DOTALL), "utf-8"
    )
