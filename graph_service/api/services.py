"""What the routes are served with: the use cases and the checks of readiness, by key. Knows no way to make them."""

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
"""Returns when its part answers, raises when not."""


@dataclass
class Readiness:
    """Whether this process should be sent calls."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    """By the name of the part that is asked."""
    stopping: bool = False
    """Set at the beginning of a stop, so that a load balancer looks elsewhere."""


@dataclass(frozen=True)
class Services:
    """Everything that the routes of this package call."""

    friends: Friends
    bulk: Bulk
    suggestions: SuggestionsFor
    people: Users
    flags: Flags
    exporters: Mapping[str, Eraser] = field(default_factory=dict)
    """What stores beside the graph hold of one user, by their names."""
    readiness: Readiness = field(default_factory=Readiness)


SERVICES = web.AppKey("parts", Services)
DOCUMENT = web.AppKey("document", bytes)
