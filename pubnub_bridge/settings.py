"""Every option of the bridge, beside those of the graph service. Knows no engine; reads the environment once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from graph_service.settings import Settings as GraphSettings

Seconds = Annotated[float, Field(ge=0, le=3600)]


class Settings(GraphSettings):
    """The options of a process that bridges presence and inboxes."""

    pubnub_subscribe_key: str = ""
    pubnub_publish_key: str = ""
    pubnub_secret_key: SecretStr | None = None
    """Signs grants and the server's own calls; without it Access Manager cannot be used."""
    pubnub_origin: str = "ps.pndsn.com"
    pubnub_tls: bool = True
    pubnub_user: str = "friends-presence"
    """The user id the server calls PubNub with."""

    hold_online: Seconds = 5.0
    """How long a user must be present before friends are told."""
    hold_leave: Seconds = 5.0
    """How long a user must be gone after a leave; reloads of a page come back within it."""
    hold_timeout: Seconds = 5.0
    """The same after a timeout; PubNub has waited for the heartbeat already."""

    coalesce_shortest: Seconds = 0.0
    """The window, in seconds, in which news for one inbox becomes one message when it is calm."""
    coalesce_longest: Seconds = 30.0
    """The same in the worst storm."""
    publish_in_flight: Annotated[int, Field(ge=1, le=1000)] = 100
    """Publishes under way at once in one process."""
    access_manager: Literal["on", "off"] = "on"
    """Off where the keyset has no Access Manager: then no tokens are granted."""
