"""The product that is predicted: how many users, how they behave, how the service is configured. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from graph_service.errors import BadInput

AppContext = Literal["off", "flags", "full"]
Presence = Literal["announce", "interval"]


class BadProduct(BadInput):
    """{field}: {reason}"""

    code = "bad_sizing"


@dataclass(frozen=True, slots=True)
class Limit:
    """The range of an option, ends included."""

    minimum: float
    maximum: float
    unit: str = ""


LIMITS = {
    "online": Limit(1, 50_000_000, " people"),
    "friends": Limit(0, 10_000),
    "session": Limit(10, 30 * 86_400, " s"),
    "online_share": Limit(0.001, 1),
    "window": Limit(0, 3600, " s"),
    "debounce": Limit(0, 3600, " s"),
    "count_interval": Limit(1, 3600, " s"),
    "interval": Limit(1, 600, " s"),
    "shards": Limit(1, 100_000),
    "partitions": Limit(1, 1000),
    "id_bytes": Limit(1, 92),
    "name_bytes": Limit(0, 256),
    "app_context_per_second": Limit(1, 10_000, " calls"),
    "token_minutes": Limit(1, 43_200),
    "heartbeat": Limit(20, 320, " s"),
    "reconcile": Limit(10, 86_400, " s"),
    "why_hours": Limit(0, 720),
}
"""Those of the service's setting where there is one (docs/settings.md)."""


@dataclass(frozen=True, slots=True)
class Product:
    """A steady hour of a product. Times are in seconds.

    Raises:
        BadProduct: an option is outside its limit; the message names both.
    """

    online: int
    """Users present at once."""
    friends: int = 750
    """Of a user, on average."""
    session: float = 1800.0
    """From arrival to leave."""
    online_share: float = 0.3
    """The share of a user's friends, and of all users, who are online."""
    window: float = 0.0
    """BATCH_WINDOW_MIN_SECONDS: how long a notification waits for more."""
    debounce: float = 5.0
    """How long a new state must last before friends are notified."""
    count_interval: float = 10.0
    """STATUS_COUNT_INTERVAL_SECONDS."""
    presence: Presence = "interval"
    """How PubNub reports joins and leaves: one by one, or once an interval and shard (above Announce Max)."""
    interval: float = 10.0
    """PubNub's presence interval."""
    shards: int = 100
    partitions: int = 20
    app_context: AppContext = "full"
    app_context_per_second: int = 50
    id_bytes: int = 36
    """Of a user id; 36 are a UUID's."""
    name_bytes: int = 16
    token_minutes: int = 60
    heartbeat: float = 60.0
    reconcile: float = 300.0
    why_hours: int = 24
    confirm_leaves: bool = True

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not limit.minimum <= value <= limit.maximum:
                reason = f"{value:,} is not between {limit.minimum:,} and {limit.maximum:,}{limit.unit}"
                raise BadProduct(field=option(name), reason=reason)
        if self.shards % self.partitions:
            reason = f"{self.shards:,} is no multiple of {option('partitions')} {self.partitions:,}"
            raise BadProduct(field=option("shards"), reason=reason)

    @property
    def users(self) -> int:
        """All users in the graph."""
        return round(self.online / self.online_share)

    @property
    def friends_online(self) -> float:
        """Of one user."""
        return self.friends * self.online_share


def option(name: str) -> str:
    """The command-line option of a member of `Product`."""
    return "--" + _OPTION_NAMES.get(name, name).replace("_", "-")


_OPTION_NAMES = {"debounce": "hold"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(name: str, text: str) -> float:
    """A duration such as ``30m``, ``1.5h`` or ``10`` (seconds).

    Raises:
        BadProduct: it is malformed.
    """
    matched = _DURATION.fullmatch(text.strip())
    if matched is None:
        raise BadProduct(field=option(name), reason=f"'{text}' is no duration such as 10s, 30m or 1.5h")
    return float(matched[1]) * _SECONDS[matched[2]]
