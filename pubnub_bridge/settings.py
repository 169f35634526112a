"""Every setting of the bridge, in addition to those of the graph service. Does no I/O but to read the environment once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from graph_service.settings import Settings as GraphSettings
from graph_service.settings import short_secrets

Seconds = Annotated[float, Field(ge=0, le=3600)]


class Settings(GraphSettings):
    """The settings of a process that bridges presence and inboxes."""

    pubnub_subscribe_key: str = ""
    """Subscribe key of the PubNub keyset. Set it from PubNub's admin portal."""
    pubnub_publish_key: str = ""
    """Publish key of the same keyset. Set it from PubNub's admin portal."""
    pubnub_secret_key: SecretStr | None = None
    """Secret key of the same keyset: signs grants and the server's own requests. Set it; only a keyset without Access
    Manager works without."""
    pubnub_origin: str = "ps.pndsn.com"
    """Host that speaks PubNub's protocol. Change it for a custom origin or the local one."""
    pubnub_tls: bool = True
    """Use TLS to the origin. Disable it for an origin on this machine only."""

    debounce_online_seconds: Seconds = 5.0
    """Seconds for which a user must be present before friends are notified. Raise it where connections are unstable, lower
    it for faster notifications."""
    debounce_leave_seconds: Seconds = 5.0
    """Seconds for which a user must be gone after a leave. Keep it above the time of a page reload."""
    debounce_timeout_seconds: Seconds = 5.0
    """Seconds for which a user must be gone after a timeout, when PubNub has waited for the heartbeat already. Lower it for
    faster notifications of lost devices."""
    verify_leaves: bool = True
    """Ask PubNub's Where Now before a leave is committed, since another device may be online. Disable it where users have
    one device each."""
    reconcile_interval_seconds: Annotated[float, Field(ge=10, le=86400)] = 300.0
    """Seconds between two comparisons of a shard with PubNub's Here Now. Lower it while presence events are lost; each
    comparison costs calls."""

    storm_protection: bool = True
    """Delay leave notifications during a mass disconnect. Disable it if mass leaves are real news (end of a match)."""
    storm_min_users: Annotated[int, Field(ge=10, le=1_000_000)] = 100
    """Users that must leave or come within 10 s, and a tenth of those online, for a storm. Raise it for a small
    population, where a tenth is a few users."""
    storm_debounce_seconds: Seconds = 30.0
    """Seconds that a leave is debounced during a storm of its shard, at most. Raise it where users take longer to
    reconnect, lower it where a mass leave must show soon."""

    queue_url: str = ""
    """Queue between commit and publish: Valkey's streams if empty, or an SQS FIFO queue as
    sqs://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo (extra `sqs`). Set it to publish from AWS Lambda."""
    batch_window_min_seconds: Seconds = 0.0
    """Seconds that a pending batch waits for more notifications when calm. Raise it for fewer and larger messages, such as
    where PubNub's bill matters more than a second."""
    publish_in_flight: Annotated[int, Field(ge=1, le=1000)] = 100
    """Publishes in flight at once in one process. Raise it where PubNub responds fast and publishing is late."""

    status_count_interval_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Seconds between two `status.count`; clients trust one for three intervals. Raise it for fewer messages to all
    users."""
    change_history_hours: Annotated[int, Field(ge=0, le=720)] = 24
    """Hours for which the last changes of a user are stored for GET /v1/why; 0 stores none. Lower it where the law asks."""
    accuracy_sample: Annotated[int, Field(ge=0, le=1000)] = 20
    """Users a minute whose flag is compared with PubNub's Where Now; 0 for none. Raise it for a sharper accuracy figure, at
    the price of calls."""
    app_context: Literal["off", "flags", "full"] = "full"
    """What is written to App Context: nothing, each user's flag, or also the channel of friends and its members. Choose less
    where clients do not read it or its calls cost too much."""

    heartbeat_seconds: Annotated[int, Field(ge=20, le=320)] = 60
    """Presence timeout that clients are to use, in seconds. Lower it to notice lost devices sooner, at the price of
    calls."""
    webhook_secret: SecretStr | None = None
    """Secret that PubNub's Events & Actions send in `X-Webhook-Secret`; without one the webhook is closed. Set it to receive
    presence by webhook."""
    webhook_secret_previous: SecretStr | None = None
    """Second secret that is accepted. Set it to the old one while the webhooks change to a new one."""
    max_stream_entries: Annotated[int, Field(ge=100, le=100_000_000)] = 50_000
    """Entries of one stream, at most (backpressure): beyond, the webhook and requested syncs answer 503, and the subscriber
    pauses and reconciles afterwards. Fit it to Valkey's memory: an entry has one to four KB and there are PARTITIONS
    streams of each kind, so 50,000 may need 2 GB."""
    events_url: str = ""
    """URL to which committed presence and friend changes are posted; empty for none. Set it where a back end needs
    them."""
    events_secret: SecretStr | None = None
    """Key that signs those posts (HMAC-SHA256, `X-Signature`). EVENTS_URL requires it."""

    access_manager: bool = True
    """Grant tokens to clients. Disable it for a keyset without Access Manager: then every client can read every inbox."""

    web_libraries: Path | None = None
    """Folder of the pages' third-party files. Set it to serve the pages without `friends-presence up`, which fetches the
    files and sets it."""
    demo_login: bool = False
    """Let any user of this machine sign in as any demo user. Enable it for demos; production refuses it."""

    @property
    def max_concurrent_webhooks(self) -> int:
        """Webhook calls that one process serves at once; more are answered 503, and PubNub sends them again."""
        return max(1, self.max_concurrent_requests * 16 // 100)

    @property
    def max_debounce_seconds(self) -> float:
        """Seconds after which every change is settled; in a storm leaves wait longer."""
        return max(self.debounce_online_seconds, self.debounce_leave_seconds, self.debounce_timeout_seconds)

    @model_validator(mode="after")
    def _signed(self) -> Self:
        """Checks between settings; each message names them."""
        if self.webhook_secret_previous and not self.webhook_secret:
            raise ValueError("WEBHOOK_SECRET_PREVIOUS needs WEBHOOK_SECRET, the secret that follows it")
        if self.environment == "production":
            secrets = {
                "WEBHOOK_SECRET": self.webhook_secret,
                "WEBHOOK_SECRET_PREVIOUS": self.webhook_secret_previous,
                "EVENTS_SECRET": self.events_secret,
            }
            if short := short_secrets(secrets):
                raise ValueError("; ".join(short))
        if self.events_url and not self.events_secret:
            raise ValueError("EVENTS_URL needs EVENTS_SECRET, which signs what is posted")
        if self.access_manager and self.pubnub_publish_key and not self.pubnub_secret_key:
            raise ValueError("ACCESS_MANAGER=true needs PUBNUB_SECRET_KEY; set it, or ACCESS_MANAGER=false")
        if self.demo_login and self.environment == "production":
            raise ValueError(
                "DEMO_LOGIN=true lets anybody be anybody; ENVIRONMENT=development allows it for demos"
            )
        return self
