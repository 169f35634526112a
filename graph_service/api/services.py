"""The services that routes call: use cases and readiness checks, and the keys under which the application holds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import Friends
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsFor
from graph_service.friends.users import Eraser, Users

Check = Callable[[], Awaitable[object]]
"""Returns when its dependency responds, raises when not."""


@dataclass(kw_only=True)
class Readiness:
    """Whether this process should receive requests."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    """By the name of the dependency."""
    stopping: bool = False
    """Set at the beginning of a shutdown, so that a load balancer stops sending requests."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the routes of this package call."""

    friends: Friends
    bulk: Bulk
    suggestions: SuggestionsFor
    users: Users
    flags: Flags
    exporters: Mapping[str, Eraser] = field(default_factory=dict)
    """Export one user from other stores, by the name of the store."""
    readiness: Readiness = field(default_factory=Readiness)


SERVICES = web.AppKey("services", Services)
DOCUMENT = web.AppKey("document", bytes)
