"""What a changed pair tells its two ends. Pure: from one read of the graph to events; knows no stream.

Both ends are told the present relation, flagged online or not, whatever the change was. A blocked one is told
exactly what an unfriended one is told; a request that a block hides is not told to the blocker.
"""

from __future__ import annotations

from graph_service.model import timestamps
from graph_service.model.model import ChangedPair, End
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Event, NotificationBatch


def add_friendship_events(pair: ChangedPair, notifications: NotificationBatch) -> None:
    """Add what each end is told; nothing to one that was erased."""
    event_id = f"evt_relation_{pair.a.id}_{pair.b.id}_{pair.ts}"
    for me, other in ((pair.a, pair.b), (pair.b, pair.a)):
        if me.exists:
            notifications.add(_event(pair, me, other, event_id), [me.id])


def _event(pair: ChangedPair, me: End, other: End, event_id: str) -> Event:
    who = f'"userId":{encoding.text(other.id)},"name":{encoding.text(other.name)}'
    if pair.friends and other.exists:
        online = other.present and not other.invisible
        seen = encoding.text(timestamps.microseconds(other.last_seen * 1000) if other.last_seen else None)
        at = other.presence_at if online else 0
        payload = f'{{{who},"online":{str(online).lower()},"lastSeen":{seen},"at":{at}}}'
        return Event(
            other.id, "added", at, pair.ts, encoding.message("friend.added", event_id, pair.ts, payload)
        )
    if me.asked or (other.asked and not me.blocked):
        payload = f'{{{who},"requestedBy":{encoding.text(me.id if me.asked else other.id)}}}'
        body = encoding.message("friend.requested", event_id, pair.ts, payload)
        return Event(other.id, "requested", 0, pair.ts, body)
    return Event(
        other.id, "removed", 0, pair.ts, encoding.message("friend.removed", event_id, pair.ts, f"{{{who}}}")
    )
