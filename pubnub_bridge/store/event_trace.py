"""Event trace: one debug log line for each presence event and stage, all with the same `event_id`.

The stages are ingest (accepted), commit (written, read and enqueued) and publish (acknowledged). With LOG_LEVEL=info
a trace costs one check a batch. Failures are logged with the same id at any level, where they happen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from graph_service import tracing
from graph_service.model.model import PresenceSnapshot
from pubnub_bridge.model.notification import Event
from pubnub_bridge.model.presence_event import PresenceEvent, event_id
from pubnub_bridge.store.change_history import ChangeRecord

NAME = "pubnub_bridge.store.event_trace"
MAX_SPAN_IDS = 20
"""Event ids in the span of a batch."""
_level = logging.getLogger(NAME)
_log = structlog.get_logger(NAME)


class _Identified(Protocol):
    @property
    def event_id(self) -> str: ...


def span_ids(events: Callable[[], Sequence[_Identified]]) -> list[str]:
    """The ids of the first events, for a span of the batch; none, and no call, while tracing is off."""
    return [one.event_id for one in events()[:MAX_SPAN_IDS]] if tracing.on() else []


def enabled() -> bool:
    return _level.isEnabledFor(logging.DEBUG)


def accepted(events: Sequence[PresenceEvent]) -> None:
    """Ingest: parsed and in the presence log."""
    if enabled():
        for one in events:
            _log.debug(
                "ingest.event.accepted",
                event_id=one.event_id,
                online=one.online,
                shard=one.shard,
                reason=one.reason,
            )


def committed(records: Sequence[ChangeRecord], snapshots: Sequence[PresenceSnapshot]) -> None:
    """Commit, read and enqueue. `event_id` is the presence event; `notified_event_id` is what friends receive."""
    if enabled():
        ids = {one.user: event_id(one.user, one.presence_at) for one in snapshots}
        for one in records:
            _log.debug(
                "commit.event.committed",
                event_id=one.event_id,
                outcome=one.outcome,
                recipients=one.recipients,
                notified_event_id=ids.get(one.user),
            )


def published(inbox: str, events: Callable[[], Sequence[Event]], sent: bool) -> None:
    """Publish: acknowledged by PubNub, or about to be appended to the inbox stream again."""
    if enabled():
        for one in events():
            _log.debug(
                "publish.event.acknowledged" if sent else "publish.event.not_sent",
                event_id=one.event_id,
                inbox=inbox,
            )
