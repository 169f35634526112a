"""Key names and stored entries, byte for byte: a running deployment contains them, and a new version must read them."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, call

import pytest

from pubnub_bridge.model.notification import Event, Notification, SyncNotification
from pubnub_bridge.model.notification import decode as decode_notifications
from pubnub_bridge.model.notification import encode as encode_notifications
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.store import keys, presence_log
from pubnub_bridge.store.change_history import ChangeHistory, ChangeRecord, FailedRecipient
from pubnub_bridge.store.dead_letters import DeadLetter, DeadLetters
from pubnub_bridge.store.health import Ages, Health
from pubnub_bridge.store.presence_log import Cursor, PresenceLog
from pubnub_bridge.store.watermark import Watermark

EVENTS = [PresenceEvent("ann", True, 17, 3, "join"), PresenceEvent("bé", False, 18, 3, "timeout")]
LOG_ENTRY = b'[["17000000000000000",4],[["ann",true,17,3,"join"],["b\\u00e9",false,18,3,"timeout"]]]'
INBOX_ENTRY = (
    '[["online","ann",17,19,"{\\"name\\":\\"é\\"}",["bob","cid"],2],'
    '["sync","dan",20,30,["ann","bob"],"join"],["sync","eve",0,0,null,"lost"]]'
).encode()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (keys.presence_log(7), "fp:{7}:seen"),
        (keys.inbox(7), "fp:{7}:inbox"),
        (keys.cursor(7), "fp:{7}:cursor"),
        (keys.dead_letters(7), "fp:{7}:dead"),
        (keys.events(7), "fp:{7}:events"),
        (keys.change_history(7, "ann"), "fp:{7}:why:ann"),
        (keys.failed_recipients(7, "ann"), "fp:{7}:failed:ann"),
        (keys.owner(7), "fp:{7}:owner"),
        (keys.health(7), "fp:{7}:health"),
        (keys.report("one"), "fp:report:one"),
        (keys.BRIDGES, "fp:bridges"),
        (keys.LEADER, "fp:leader"),
        (keys.WATERMARK, "fp:highest-ts"),
        (keys.WAKEUP_CHANNEL, "fp:outbox:nudge"),
        (keys.COUNT, "fp:count"),
        (keys.AUDIT, "fp:audit"),
        (keys.OCCUPANCY, "fp:occupancy"),
    ],
)
def test_a_key_has_the_name_that_deployments_already_use(key: str, name: str) -> None:
    assert key == name


def test_the_partition_is_read_from_the_hash_tag_of_a_key() -> None:
    assert keys.partition_of("fp:{12}:inbox") == 12
    with pytest.raises(ValueError, match="carries no partition"):
        keys.partition_of("fp:count")


def test_a_presence_log_entry_is_its_cursor_and_a_row_for_each_event() -> None:
    assert presence_log.encode(EVENTS, Cursor("17000000000000000", 4)) == LOG_ENTRY
    assert presence_log.encode(EVENTS[:1]) == b'[null,[["ann",true,17,3,"join"]]]'
    assert presence_log.decode(LOG_ENTRY) == EVENTS


async def test_the_subscribe_cursor_is_stored_in_the_transaction_of_its_entry() -> None:
    valkey: Any = AsyncMock()
    log = PresenceLog(valkey=valkey, partition=lambda _user: 7)
    await log.append_with_cursor(7, EVENTS, Cursor("17000000000000000", 4))
    assert valkey.mock_calls == [
        call.append([("fp:{7}:seen", LOG_ENTRY)], {"fp:{7}:cursor": b'["17000000000000000", 4]'})
    ]
    valkey.get.return_value = b'["17000000000000000", 4]'
    assert await log.cursor(7) == Cursor("17000000000000000", 4)


def test_an_inbox_entry_has_a_row_for_each_notification_and_each_sync() -> None:
    notifications: list[Notification | SyncNotification] = [
        Notification(Event("ann", "online", 17, 19, '{"name":"é"}'.encode()), ["bob", "cid"], 2),
        SyncNotification("dan", 20, 30, ["ann", "bob"], "join"),
        SyncNotification("eve", reason="lost"),
    ]
    assert encode_notifications(notifications) == INBOX_ENTRY
    assert decode_notifications(INBOX_ENTRY) == notifications


MESSAGE_LETTER = b'{"inbox": "bob", "reason": "413 Too Large", "body": "{\\"type\\":\\"x\\"}"}'
CHANGE_LETTER = (
    b'{"inbox": "ann", "reason": "no such user", '
    b'"body": "[\\"ann\\", true, 17, 3, \\"join\\"]", "kind": "change"}'
)


async def test_a_dead_letter_is_an_object_and_a_change_says_that_it_is_one() -> None:
    valkey: Any = AsyncMock()
    dead_letters = DeadLetters(valkey=valkey, partitions=8)
    await dead_letters.add_message(7, "bob", b'{"type":"x"}', "413 Too Large")
    await dead_letters.add_change(7, EVENTS[0], "no such user")
    assert valkey.mock_calls == [
        call.append([("fp:{7}:dead", MESSAGE_LETTER)]),
        call.append([("fp:{7}:dead", CHANGE_LETTER)]),
    ]


async def test_stored_dead_letters_are_read_back_with_their_kind() -> None:
    valkey: Any = AsyncMock()
    valkey.read.return_value = {"fp:{0}:dead": [("1-0", MESSAGE_LETTER), ("2-0", CHANGE_LETTER)]}
    assert await DeadLetters(valkey=valkey, partitions=1).all() == [
        DeadLetter(entry="1-0", inbox="bob", reason="413 Too Large", body='{"type":"x"}'),
        DeadLetter(
            entry="2-0",
            inbox="ann",
            reason="no such user",
            body='["ann", true, 17, 3, "join"]',
            kind="change",
        ),
    ]


async def test_a_change_and_its_failed_recipients_are_rows_of_two_lists() -> None:
    valkey: Any = AsyncMock()
    history = ChangeHistory(valkey=valkey, partition=lambda _user: 7, ttl_seconds=60)
    record = ChangeRecord(
        user="ann",
        event_id="evt_presence_ann_17",
        online=True,
        at=17,
        reason="join",
        held_until=3017,
        settled_at=3020,
        outcome="told",
        recipients=2,
    )
    await history.add([record])
    await history.add_failed(
        [FailedRecipient(user="ann", event_id="evt_presence_ann_17", inbox="bob", reason="400")]
    )
    row = (
        b'{"user":"ann","event_id":"evt_presence_ann_17","online":true,"at":17,"reason":"join",'
        b'"held_until":3017,"settled_at":3020,"outcome":"told","recipients":2,"failed":0}'
    )
    assert valkey.mock_calls == [
        call.remember([("fp:{7}:why:ann", row)], 5, 60),
        call.remember([("fp:{7}:failed:ann", b'["evt_presence_ann_17", "bob", "400"]')], 100, 60),
    ]


async def test_a_health_row_has_two_ages_and_the_storm() -> None:
    valkey: Any = AsyncMock()
    await Health(valkey=valkey, partitions=8, valid_for_seconds=30).write(
        {
            7: Ages(debounce_lag_seconds=1.26, publish_lag_seconds=0.0, storm="storm"),
            6: Ages(debounce_lag_seconds=0.0, publish_lag_seconds=2.0),
        }
    )
    assert valkey.mock_calls == [
        call.put("fp:{7}:health", b'[1.3, 0.0, "storm"]', 30),
        call.put("fp:{6}:health", b"[0.0, 2.0, null]", 30),
    ]


async def test_the_watermark_is_a_number_in_microseconds() -> None:
    valkey: Any = AsyncMock()
    valkey.get.return_value = b"1757969858405124"
    watermark = Watermark(valkey=valkey)
    await watermark.load()
    assert watermark.highest == 1_757_969_858_405_124
    assert valkey.mock_calls == [call.get("fp:highest-ts")]
