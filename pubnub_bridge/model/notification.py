"""Notices: what waits in the inbox streams between settling and publishing (rows 7 to 9). Pure: values and codec.

A notice is about one user and for many recipients of one partition. It carries only what one read of the graph
said, stamped with that read's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from graph_service.model.model import PresenceSnapshot
from pubnub_bridge.model import encoding


# Not frozen, though never changed: many are made for each change, and a frozen one takes three times as long.
@dataclass(slots=True)
class Event:
    """One thing to be told about one friend, encoded once."""

    user: str
    kind: str
    """online, offline, requested, added or removed."""
    at: int
    ts: int
    body: bytes

    @property
    def key(self) -> tuple[int, int]:
        """Of two events about one friend, the one with the higher key is told."""
        return self.ts, self.at

    @property
    def event_id(self) -> str:
        """As it stands in the body; read from there, so only for logs and errors."""
        return str(from_json(self.body)["eventId"])

    @property
    def is_presence(self) -> bool:
        """Whether it tells a state rather than a relation."""
        return self.kind in {"online", "offline"}


@dataclass(frozen=True, slots=True)
class SyncNotification:
    """friends.sync for one user: read already, or only owed (`friends` is None) and read when it is sent."""

    user: str
    ts: int = 0
    total: int = 0
    friends: Sequence[str] | None = None
    reason: str = ""
    """Why it is owed: join, asked, lost."""


@dataclass(slots=True)
class Notification:
    """One event and who is to be told of it."""

    event: Event
    recipients: Sequence[str]
    tries: int = 0


@dataclass(slots=True)
class NotificationBatch:
    """Notices by recipient partition, on their way into the streams."""

    partition: Callable[[str], int]
    by_partition: dict[int, list[Notification | SyncNotification]] = field(default_factory=dict)

    def add(self, event: Event, recipients: Iterable[str], tries: int = 0) -> None:
        """Add one event for these recipients."""
        spread: dict[int, list[str]] = {}
        partition_of = self.partition
        for recipient in recipients:
            spread.setdefault(partition_of(recipient), []).append(recipient)
        for partition, some in spread.items():
            self.by_partition.setdefault(partition, []).append(Notification(event, some, tries))

    def sync(self, notice: SyncNotification) -> None:
        """Add a friends.sync."""
        self.by_partition.setdefault(self.partition(notice.user), []).append(notice)

    def events(self) -> list[Event]:
        """Each event once, whoever hears of it."""
        notices = (
            one for some in self.by_partition.values() for one in some if isinstance(one, Notification)
        )
        return list({one.event.body: one.event for one in notices}.values())

    @property
    def recipients(self) -> int:
        """How many are to be told, each event counted."""
        return sum(
            len(one.recipients) if isinstance(one, Notification) else 1
            for some in self.by_partition.values()
            for one in some
        )

    def bodies(self) -> Mapping[int, bytes]:
        """One stream entry a partition."""
        return {partition: encode(some) for partition, some in self.by_partition.items()}


def presence_event(told: PresenceSnapshot) -> Event:
    """What friends are told of a user, from row 7's read alone. The invisible look like any offline one."""
    if told.online:
        body = encoding.online(told.user, told.name, told.presence_at, told.ts)
        return Event(told.user, "online", told.presence_at, told.ts, body)
    at = told.last_seen if told.invisible else told.presence_at
    return Event(told.user, "offline", at, told.ts, encoding.offline(told.user, told.last_seen, at, told.ts))


def sync_of(told: PresenceSnapshot, reason: str = "") -> SyncNotification:
    """The friends.sync of a user from the same read."""
    return SyncNotification(told.user, told.ts, told.total_friends, told.visible_friends, reason)


def encode(notices: Iterable[Notification | SyncNotification]) -> bytes:
    """One stream entry."""
    return to_json([_row(notice) for notice in notices])


def decode(entry: bytes) -> list[Notification | SyncNotification]:
    """The reverse of `encode`."""
    return [_notice(row) for row in from_json(entry)]


def split(entry: bytes, most: int) -> list[bytes]:
    """The same notices in their order, in entries of at most `most` bytes.

    A friends.sync that is larger alone becomes one that is owed, and is read when it is sent.
    """
    if len(entry) <= most:
        return [entry]
    notices = decode(entry)
    if len(notices) == 1:
        notices = _halves(notices[0])
    half = len(notices) // 2
    parts = (notices[:half], notices[half:]) if half else (notices,)
    return [body for part in parts for body in split(encode(part), most)]


def _halves(notice: Notification | SyncNotification) -> list[Notification | SyncNotification]:
    if isinstance(notice, SyncNotification):
        return [SyncNotification(notice.user, reason=notice.reason)]
    half = len(notice.recipients) // 2
    parts = (notice.recipients[:half], notice.recipients[half:])
    return [Notification(notice.event, part, notice.tries) for part in parts if part]


def _row(notice: Notification | SyncNotification) -> list[object]:
    if isinstance(notice, SyncNotification):
        friends = None if notice.friends is None else list(notice.friends)
        return ["sync", notice.user, notice.ts, notice.total, friends, notice.reason]
    event = notice.event
    body = event.body.decode()
    return [event.kind, event.user, event.at, event.ts, body, list(notice.recipients), notice.tries]


def _notice(row: list[object]) -> Notification | SyncNotification:
    if row[0] == "sync":
        return SyncNotification(*row[1:])  # type: ignore[arg-type]
    kind, user, at, ts, body, recipients, tries = row
    event = Event(user, kind, at, ts, body.encode())  # type: ignore[arg-type, attr-defined]
    return Notification(event, recipients, tries)  # type: ignore[arg-type]
