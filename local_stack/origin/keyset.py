"""One keyset: its keys, its settings and its state objects.

Distributes a published envelope to the queue, the history and the counters. It reads the clock; the state objects get
the time as an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from local_stack.origin.access import Access
from local_stack.origin.actions import Actions
from local_stack.origin.channels import PRESENCE, Channels
from local_stack.origin.clock import Clock
from local_stack.origin.envelope import Envelope, Kind, event
from local_stack.origin.faults import Faults
from local_stack.origin.groups import Groups
from local_stack.origin.history import History, Stored
from local_stack.origin.objects_store import ObjectStore
from local_stack.origin.presence import Presence, State, Visit
from local_stack.origin.presence_events import QUIET, PresenceEvent, mirror, payload
from local_stack.origin.reply import dumps
from local_stack.origin.settings import KeysetSettings
from local_stack.origin.webhooks import Webhooks


class Keyset:
    """Keys and state. `settings` can be changed in place at any time; the state objects read it when they act."""

    def __init__(
        self,
        *,
        publish_key: str,
        subscribe_key: str,
        secret_key: str,
        clock: Clock,
        settings: KeysetSettings,
    ) -> None:
        self.publish_key = publish_key
        self.subscribe_key = subscribe_key
        self.secret_key = secret_key
        self.clock = clock
        self.settings = settings
        self.published: Counter[str] = Counter()
        """Number of published events by channel."""
        self.channels = Channels(
            max_per_channel=settings.queue_messages,
            max_age_seconds=settings.queue_s,
            wildcard_presence=settings.wildcard_presence,
        )
        self.webhooks = Webhooks(subscribe_key, clock)
        self.faults = Faults()
        self.reset()

    def configure(self, changes: dict[str, Any]) -> None:
        """Change settings by name; those of presence are below `presence`. Raises pydantic's `ValidationError`."""
        now = self.settings.model_dump()
        presence = now["presence"] | changes.get("presence", {})
        wanted = KeysetSettings.model_validate(now | changes | {"presence": presence})
        for name in type(wanted.presence).model_fields:
            setattr(self.settings.presence, name, getattr(wanted.presence, name))
        for name in set(type(wanted).model_fields) - {"presence"}:
            setattr(self.settings, name, getattr(wanted, name))
        self.channels.max_per_channel, self.channels.max_age_seconds = wanted.queue_messages, wanted.queue_s
        self.channels.wildcard_presence = wanted.wildcard_presence

    def reset(self) -> None:
        """Drop all state except keys, settings, webhook targets and faults; polls stay open."""
        self.channels.clear()
        self.presence = Presence(self.settings.presence)
        self.here_now: dict[str, tuple[float, dict[str, State | None]]] = {}
        """Cached Here Now results by channel, each with its expiry."""
        self.objects = ObjectStore()
        self.access = Access()
        self.groups = Groups()
        self.history = History()
        self.actions = Actions()
        self.published.clear()

    def publish(
        self, envelope: Envelope, *, store: bool = False, ttl_hours: int | None = None, deliver: bool = True
    ) -> int:
        """Publish `envelope` now and return its timetoken; `store` also persists it for `ttl_hours`.

        Without `deliver` subscribers do not get it.
        """
        timetoken = self.clock.timetoken()
        self.published[envelope.channel] += 1
        if store:
            self._store(envelope, timetoken, ttl_hours)
        if deliver:
            made = event(envelope, timetoken, self.subscribe_key, self.settings.shard, self.settings.region)
            if not self.faults.loses(made):
                self.channels.append(made)
        return timetoken

    def announce(self, events: Iterable[PresenceEvent]) -> None:
        """Publish presence events on their `-pnpres` channels and to the webhooks."""
        for change in events:
            body = payload(change, self.settings.presence)
            if change.action not in QUIET:
                self.publish(
                    Envelope(channel=change.channel + PRESENCE, payload=body, meta=mirror(change, body))
                )
            self.webhooks.enqueue(change, body)

    def visit(self, visit: Visit) -> None:
        """Process a subscribe request or heartbeat."""
        self.announce(self.presence.visit(visit, self.clock.now))

    def leave(self, uuid: str, channels: Iterable[str]) -> None:
        """Process an unsubscribe of `uuid` from `channels`, or the end of its connection."""
        self.announce(self.presence.leave(uuid, channels, self.clock.now))

    def group_changed(self, group: str) -> None:
        """Wake the pollers of `group`, whose channels have changed."""
        self.channels.wake(group_log(group))

    def due(self) -> float | None:
        """The next time at which `tick` has something to do, in Unix seconds."""
        dues = (self.presence.due(), self.channels.due(), self.webhooks.due())
        return min((at for at in dues if at is not None), default=None)

    def tick(self, now: float) -> None:
        """Process due timeouts, intervals and idle polls."""
        self.announce(self.presence.run(now))
        self.channels.expire(now)
        if self.webhooks.queues:
            self.webhooks.tick(now)

    def _store(self, envelope: Envelope, timetoken: int, ttl_hours: int | None) -> None:
        stored = Stored(
            channel=envelope.channel,
            timetoken=timetoken if envelope.origin_timetoken is None else envelope.origin_timetoken,
            text=dumps(envelope.payload) if envelope.text is None else envelope.text,
            uuid=envelope.publisher,
            meta=envelope.meta,
            message_type=None if envelope.kind is Kind.MESSAGE else int(envelope.kind),
            custom_type=envelope.custom_type,
        )
        self.history.store(stored, ttl_hours)


def group_log(group: str) -> str:
    """The log that pollers of `group` wait on; no channel can have this name."""
    return f"\0{group.removesuffix(PRESENCE)}"
