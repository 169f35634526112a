"""The trail of one presence event in the logs, from being accepted (row 3) to the acknowledged publish (row 10).

A debug line an event and row, each with its `event_id`; with LOG_LEVEL=info it costs one check a batch. What goes
wrong is logged with the same id at any level, where it goes wrong. Knows names of lines and fields only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import structlog

from graph_service.model.model import PresenceSnapshot
from pubnub_bridge.model.notification import Event
from pubnub_bridge.model.presence_event import PresenceEvent, event_id
from pubnub_bridge.store.change_history import ChangeRecord

NAME = "pubnub_bridge.store.event_trace"
_level = logging.getLogger(NAME)
_log = structlog.get_logger(NAME)


def enabled() -> bool:
    """Whether anybody reads these lines."""
    return _level.isEnabledFor(logging.DEBUG)


def accepted(seen: Sequence[PresenceEvent]) -> None:
    """Rows 2 and 3: understood, and in the log of what was seen."""
    if enabled():
        for one in seen:
            _log.debug("seen", event_id=one.event_id, online=one.online, shard=one.shard, reason=one.reason)


def committed(records: Sequence[ChangeRecord], told: Sequence[PresenceSnapshot]) -> None:
    """Rows 5 to 8: written, read again, and on the way to friends. `event_id` is what was seen, `told_as` what is told."""
    if enabled():
        ids = {one.user: event_id(one.user, one.presence_at) for one in told}
        for one in records:
            _log.debug(
                "settled",
                event_id=one.event_id,
                outcome=one.outcome,
                recipients=one.recipients,
                told_as=ids.get(one.user),
            )


def published(inbox: str, events: Callable[[], Sequence[Event]], sent: bool) -> None:
    """Row 10: acknowledged by PubNub, or on its way back into the stream."""
    if enabled():
        for one in events():
            _log.debug("published" if sent else "not published", event_id=one.event_id, inbox=inbox)
