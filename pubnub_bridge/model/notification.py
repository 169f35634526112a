"""Notifications: the values in the inbox streams, between the read and the publish, and their codec. Pure.

A notification is one event about one user for many recipients of one partition. It contains only what one read of the
graph returned, stamped with the clock of that read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from graph_service.model.model import PresenceSnapshot
from pubnub_bridge.model import encoding


# Not frozen, though never modified: many are created for each change, and a frozen one takes three times as long.
@dataclass(slots=True)
class Event:
    """One message about one friend, encoded once. `at` in milliseconds, `ts` in microseconds."""

    user: str
    kind: str
    """online, offline, requested, added or removed."""
    at: int
    ts: int
    body: bytes

    @property
    def key(self) -> tuple[int, int]:
        """Of two events about one friend, the one with the higher key wins."""
        return self.ts, self.at

    @property
    def event_id(self) -> str:
        """Parsed from the body, so only for logs and errors."""
        return str(from_json(self.body)["eventId"])

    @property
    def is_presence(self) -> bool:
        """Whether it is about presence and not about the friendship."""
        return self.kind in {"online", "offline"}


@dataclass(frozen=True, slots=True)
class SyncNotification:
    """friends.sync for one user: already read, or a pending resync (`friends` is None) that is read when it is sent."""

    user: str
    ts: int = 0
    total: int = 0
    friends: Sequence[str] | None = None
    reason: str = ""
    """Why a resync is pending: join, asked, lost."""


@dataclass(slots=True)
class Notification:
    """One event and the users to notify of it."""

    event: Event
    recipients: Sequence[str]
    tries: int = 0


@dataclass(slots=True, kw_only=True)
class NotificationBatch:
    """Notifications by the partition of their recipients, to be appended to the inbox streams."""

    partition: Callable[[str], int]
    by_partition: dict[int, list[Notification | SyncNotification]] = field(default_factory=dict)

    def add(self, event: Event, recipients: Iterable[str], tries: int = 0) -> None:
        by_partition: dict[int, list[str]] = {}
        partition_of = self.partition
        for recipient in recipients:
            by_partition.setdefault(partition_of(recipient), []).append(recipient)
        for partition, some in by_partition.items():
            self.by_partition.setdefault(partition, []).append(Notification(event, some, tries))

    def sync(self, sync: SyncNotification) -> None:
        """Add a friends.sync."""
        self.by_partition.setdefault(self.partition(sync.user), []).append(sync)

    def events(self) -> list[Event]:
        """Each event once, however many recipients it has."""
        notifications = (
            one for some in self.by_partition.values() for one in some if isinstance(one, Notification)
        )
        return list({one.event.body: one.event for one in notifications}.values())

    @property
    def recipients(self) -> int:
        """The number of recipients, counted for each event."""
        return sum(
            len(one.recipients) if isinstance(one, Notification) else 1
            for some in self.by_partition.values()
            for one in some
        )

    def bodies(self) -> Mapping[int, bytes]:
        """One stream entry a partition."""
        return {partition: encode(some) for partition, some in self.by_partition.items()}


def presence_event(snapshot: PresenceSnapshot) -> Event:
    """What friends receive about a user, from the read alone. An invisible user looks like any offline one."""
    if snapshot.online:
        body = encoding.online(snapshot.user, snapshot.name, snapshot.presence_at, snapshot.ts)
        return Event(snapshot.user, "online", snapshot.presence_at, snapshot.ts, body)
    # The presence of an invisible user continues; its time must not show in `at` or in the event id.
    at = snapshot.last_seen if snapshot.invisible else snapshot.presence_at
    return Event(
        snapshot.user,
        "offline",
        at,
        snapshot.ts,
        encoding.offline(snapshot.user, snapshot.last_seen, at, snapshot.ts),
    )


def sync_of(snapshot: PresenceSnapshot, reason: str = "") -> SyncNotification:
    """The friends.sync of a user from the same read."""
    return SyncNotification(
        snapshot.user, snapshot.ts, snapshot.total_friends, snapshot.visible_friends, reason
    )


def encode(notifications: Iterable[Notification | SyncNotification]) -> bytes:
    """One stream entry."""
    return to_json([_row(one) for one in notifications])


def decode(entry: bytes) -> list[Notification | SyncNotification]:
    """The reverse of `encode`."""
    return [_decode_row(row) for row in from_json(entry)]


def split(entry: bytes, max_bytes: int) -> list[bytes]:
    """The same notifications in their order, in entries of at most `max_bytes`.

    A friends.sync that is larger on its own becomes a pending resync, and is read when it is sent.
    """
    if len(entry) <= max_bytes:
        return [entry]
    notifications = decode(entry)
    if len(notifications) == 1:
        notifications = _halves(notifications[0])
    half = len(notifications) // 2
    parts = (notifications[:half], notifications[half:]) if half else (notifications,)
    return [body for part in parts for body in split(encode(part), max_bytes)]


def _halves(notification: Notification | SyncNotification) -> list[Notification | SyncNotification]:
    if isinstance(notification, SyncNotification):
        # Without its friends it is a pending resync, whose size does not depend on their number.
        return [SyncNotification(notification.user, reason=notification.reason)]
    half = len(notification.recipients) // 2
    parts = (notification.recipients[:half], notification.recipients[half:])
    return [Notification(notification.event, part, notification.tries) for part in parts if part]


def _row(notification: Notification | SyncNotification) -> list[object]:
    if isinstance(notification, SyncNotification):
        friends = None if notification.friends is None else list(notification.friends)
        return ["sync", notification.user, notification.ts, notification.total, friends, notification.reason]
    event = notification.event
    body = event.body.decode()
    return [
        event.kind,
        event.user,
        event.at,
        event.ts,
        body,
        list(notification.recipients),
        notification.tries,
    ]


def _decode_row(row: list[object]) -> Notification | SyncNotification:
    if row[0] == "sync":
        return SyncNotification(*row[1:])  # type: ignore[arg-type]
    kind, user, at, ts, body, recipients, tries = row
    event = Event(user, kind, at, ts, body.encode())  # type: ignore[arg-type, attr-defined]
    return Notification(event, recipients, tries)  # type: ignore[arg-type]
