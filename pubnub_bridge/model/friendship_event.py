"""Friendship events: from one read of a changed pair to the notifications of both users. Pure.

Both are notified of the present relation, with the other's presence where they are friends, whatever the change was.
A blocked user receives exactly what an unfriended one receives; a request that a block hides is not sent to the
blocker.
"""

from __future__ import annotations

from graph_service.model import timestamps
from graph_service.model.model import ChangedPair, End
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Event, NotificationBatch


def add_friendship_events(pair: ChangedPair, notifications: NotificationBatch) -> None:
    """Add one event for each of the two users; none for a user who was erased."""
    event_id = f"evt_relation_{pair.a.id}_{pair.b.id}_{pair.ts}"
    for me, other in ((pair.a, pair.b), (pair.b, pair.a)):
        if me.exists:
            notifications.add(_event(pair, me, other, event_id), [me.id])


def _event(pair: ChangedPair, me: End, other: End, event_id: str) -> Event:
    identity = f'"userId":{encoding.text(other.id)},"name":{encoding.text(other.name)}'
    if pair.friends and other.exists:
        online = other.present and not other.invisible
        last_seen = encoding.text(
            timestamps.microseconds(other.last_seen * 1000) if other.last_seen else None
        )
        at = other.presence_at if online else 0
        payload = f'{{{identity},"online":{str(online).lower()},"lastSeen":{last_seen},"at":{at}}}'
        return Event(
            other.id, "added", at, pair.ts, encoding.message("friend.added", event_id, pair.ts, payload)
        )
    # The other user's block is not read: what it causes must look like an ended friendship.
    if me.asked or (other.asked and not me.blocked):
        payload = f'{{{identity},"requestedBy":{encoding.text(me.id if me.asked else other.id)}}}'
        body = encoding.message("friend.requested", event_id, pair.ts, payload)
        return Event(other.id, "requested", 0, pair.ts, body)
    return Event(
        other.id,
        "removed",
        0,
        pair.ts,
        encoding.message("friend.removed", event_id, pair.ts, f"{{{identity}}}"),
    )
