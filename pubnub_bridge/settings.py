"""Every option of the bridge, beside those of the graph service. Knows no engine; reads the environment once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from graph_service.settings import Settings as GraphSettings
from graph_service.settings import short_secrets

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

    debounce_online_seconds: Seconds = 5.0
    """How long a user must be present before friends are told."""
    debounce_leave_seconds: Seconds = 5.0
    """How long a user must be gone after a leave; reloads of a page come back within it."""
    debounce_timeout_seconds: Seconds = 5.0
    """The same after a timeout; PubNub has waited for the heartbeat already."""

    verify_leaves: bool = True
    """Whether someone who left is looked up before friends are told: another device may still be there."""
    reconcile_interval_seconds: Annotated[float, Field(ge=10, le=86400)] = 300.0
    """How often each shard is compared with Here Now."""

    storm_protection: bool = True
    """Whether a mass leave or join is met with longer waiting, so that friends hear of its outcome only."""
    storm_min_share: Annotated[float, Field(ge=0.01, le=1)] = 0.1
    """The share of those online that must leave or come within STORM_DETECTION_SECONDS: of a shard, a partition, or all."""
    storm_min_users: Annotated[int, Field(ge=10, le=1_000_000)] = 100
    """How many must leave or come at least; fewer are no storm, whatever their share."""
    storm_detection_seconds: Annotated[float, Field(ge=1, le=300)] = 10.0
    """Seconds over which they are counted."""
    storm_debounce_seconds: Seconds = 30.0
    """The most seconds that a leave waits in a storm of its shard; who is back by then was never gone."""
    storm_batch_window_seconds: Seconds = 3.0
    """The least seconds that news waits for company in a storm; BATCH_WINDOW_MAX_SECONDS is still the most."""

    queue_url: str = ""
    """Where notices wait between settling and publishing: Valkey's streams when empty, or an SQS FIFO queue as
    sqs://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo (the extra `sqs`)."""
    batch_window_min_seconds: Seconds = 0.0
    """The window, in seconds, in which news for one inbox becomes one message when it is calm."""
    batch_window_max_seconds: Seconds = 30.0
    """The same in the worst storm."""
    publish_in_flight: Annotated[int, Field(ge=1, le=1000)] = 100
    """Publishes under way at once in one process."""
    publish_pipeline: Annotated[int, Field(ge=1, le=100)] = 16
    """Publishes under way on one connection; 1 where something between us and PubNub cannot pipeline."""
    publish_per_second: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Most publishes a second of one process; 0 for no limit. It waits, it drops nothing."""
    publish_max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """How often a message goes through the stream again before its inbox is owed a sync instead."""

    status_count_interval_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Seconds between two status.count; a client trusts one for three of them."""
    change_history_hours: Annotated[int, Field(ge=0, le=720)] = 24
    """Hours that the last settled changes of a user are kept for GET /v1/why; 0 keeps none."""
    accuracy_sample: Annotated[int, Field(ge=0, le=1000)] = 20
    """Users a minute whose flag is compared with Where Now; 0 for none."""
    app_context: Literal["off", "flags", "full"] = "full"
    """What is kept in App Context: nothing, each user's flags, or the friends' channel and its members as well."""
    app_context_per_second: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Most App Context calls a second; what waits is merged. Far fewer while news is late or the process is busy."""

    token_minutes: Annotated[int, Field(ge=1, le=43_200)] = 60
    """How long a client's token is good (PubNub docs: 1 to 43,200)."""
    heartbeat_seconds: Annotated[int, Field(ge=20, le=320)] = 60
    """The presence timeout that clients are told to use."""
    webhook_secret: SecretStr | None = None
    """What Events & Actions sends in X-Webhook-Secret; without one the webhook is closed."""
    webhook_secret_previous: SecretStr | None = None
    """Still accepted while the webhooks change to a new secret."""
    max_concurrent_webhooks: Annotated[int, Field(ge=1, le=1000)] = 16
    """Webhook calls under way in one process; more are answered 503, and PubNub sends them again."""
    max_stream_entries: Annotated[int, Field(ge=100, le=100_000_000)] = 50_000
    """Entries that may wait in one stream; from then on nothing more is accepted into it: the webhook and asked syncs
    answer 503, the subscriber pauses and reconciles afterwards. An entry has one to four KB and there are PARTITIONS
    streams of each kind, so 50,000 may need 2 GB: keep Valkey's memory above it, or the limit below."""
    events_url: str = ""
    """Where settled presence and friend changes are posted; nowhere when empty."""
    events_secret: SecretStr | None = None
    """Signs those posts (HMAC-SHA256, X-Signature)."""

    console_interval_seconds: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    """Seconds between two snapshots of the operator console."""
    max_consoles: Annotated[int, Field(ge=1, le=1000)] = 20
    """Consoles that one process feeds at a time."""

    access_manager: bool = True
    """Off where the keyset has no Access Manager: then no tokens are granted."""

    web_libraries: Path | None = None
    """The folder of the pages' third-party files; `friends-presence up` fetches them and sets it."""
    demo_login: bool = False
    """Whether anybody at this machine may sign in as any user, for demos; refused in production."""

    @property
    def longest_hold(self) -> float:
        """Seconds after which a change has settled, whatever its reason; in a storm leaves wait longer."""
        return max(self.debounce_online_seconds, self.debounce_leave_seconds, self.debounce_timeout_seconds)

    @model_validator(mode="after")
    def _signed(self) -> Self:
        """Relations between options, each told by name."""
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
            raise ValueError("ACCESS_MANAGER=on needs PUBNUB_SECRET_KEY; set it, or ACCESS_MANAGER=off")
        if self.demo_login and self.environment == "production":
            raise ValueError(
                "DEMO_LOGIN=on lets anybody be anybody; ENVIRONMENT=development allows it for demos"
            )
        return self
