"""Events & Actions: bodies as documented and captured, batches, retries, duplicates, and the posts themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from local_stack.origin.presence_events import PresenceEvent, payload
from local_stack.origin.settings import PresenceSettings
from local_stack.origin.webhook_body import Oddities, body, item, schema
from local_stack.origin.webhook_queue import Target, WebhookQueue
from tests.support.origin import START, OriginHttp

AT = 1750067619.021
PLAIN = Oddities()
ODD = Oddities(doubled_prefix=True, zero_occupancy_missing=True, string_occupancy=True, channel_id=True)
ID = "1d55"
NAMES = "pubnub.com/schemas/events/"


def item_of(event: PresenceEvent, oddities: Oddities = PLAIN, **settings: Any) -> dict[str, Any]:
    """The item of an event on a keyset with these presence settings."""
    return item(event, payload(event, PresenceSettings(**settings)), ID, oddities)


def test_a_join_is_announced_as_captured() -> None:
    """It is repeated in data, every value as text."""
    assert schema("join", PLAIN) == NAMES + "presence.user.channel.joined?v=1.0.0"
    assert item_of(PresenceEvent("join", "C", "U", AT, 3)) == {
        "id": ID,
        "channel": "C",
        "userId": "U",
        "occupancy": 3,
        "data": {
            "action": "join",
            "uuid": "U",
            "timestamp": "1750067619",
            "precise_timestamp": "1750067619021",
            "occupancy": "3",
        },
        "timestamp": "2025-06-16T09:53:39.021Z",
    }


def test_the_captured_oddities_are_there_when_asked_for() -> None:
    """Doubled prefix, missing and textual occupancy, channelId."""
    left = PresenceEvent("leave", "C", "U", AT, 0)
    assert schema("leave", ODD) == NAMES + NAMES + "presence.user.channel.left?v=1.0.0"
    assert "occupancy" not in item_of(left, ODD)
    assert item_of(left)["occupancy"] == 0
    assert item_of(PresenceEvent("interval", "C", None, AT, 3), ODD)["occupancy"] == "3"
    gone = item_of(PresenceEvent("timeout", "C", "U", AT, 1), ODD)
    assert (gone["channelId"], "channel" in gone) == ("C", False)
    assert schema("timeout", ODD).endswith("presence.channel.occupancy.counted?v=1.0.0")


def test_an_interval_names_whom_its_presence_event_names() -> None:
    """Without a user id of its event; no users where deltas are off, a refresh where there are too many."""
    deltas = {"join": ("a",), "leave": ("b", "c")}
    event = PresenceEvent("interval", "C", None, AT, 3, deltas=deltas)
    shown = item_of(event)
    assert (shown["usersJoined"], shown["usersLeft"]) == (["a"], ["b", "c"])
    assert "userId" not in shown
    assert "usersJoined" not in item_of(event, deltas=False)
    refreshed = item_of(event, deltas_max_bytes=10)
    assert refreshed["hereNowRefresh"] is True
    assert "usersJoined" not in refreshed


@pytest.mark.parametrize("action", ["active", "inactive"])
def test_active_and_inactive_have_only_the_common_members(action: str) -> None:
    """id, channel, timestamp, and the key that the queue adds."""
    assert set(item_of(PresenceEvent(action, "C", None, AT, 0))) == {"id", "channel", "timestamp"}


def test_envelopes_wrap_the_body() -> None:
    """None, 1.0 with an outer schema, 2.x with everything inside."""
    assert body("s", [{}], "none") == {"schema": "s", "data": [{}]}
    assert body("s", [{}], "1.0")["schema"] == "s"
    assert body("s", [{}], "1.0")["event"]["payload"] == {"data": [{}]}
    assert body("s", [{}], "2.1")["event"]["payload"] == {"schema": "s", "data": [{}]}


def joined(number: int) -> PresenceEvent:
    """A user's join."""
    return PresenceEvent("join", "C", f"u{number}", AT, number + 1)


def test_batches_go_when_full_or_old() -> None:
    """100 items or 5 seconds, whichever is first."""
    queue = WebhookQueue(target=Target(url="http://x"), sub_key="S")
    for number in range(101):
        queue.add(joined(number), {}, 10.0)
    assert queue.due() == 0.0
    assert [len(delivery.body["data"]) for delivery in queue.take(10.0)] == [100]
    assert queue.due() == 15.0
    assert queue.take(14.9) == []
    assert [len(delivery.body["data"]) for delivery in queue.take(15.0)] == [1]


def test_a_refused_batch_is_tried_again_and_given_up() -> None:
    """Twice more by default, between 10 s and the growing limit, never over 900 s."""
    queue = WebhookQueue(target=Target(url="http://x", batch_items=1), sub_key="S")
    queue.add(joined(1), {}, 0.0)
    (delivery,) = queue.take(0.0)
    now = 0.0
    for _ in range(2):
        queue.refused(delivery, now)
        due = queue.due()
        assert due is not None
        assert 10 <= due - now <= 900
        now = due
        assert queue.take(now) == [delivery]
    queue.refused(delivery, now)
    assert (queue.due(), queue.failed, queue.given_up) == (None, 3, 1)


def test_an_accepted_batch_may_come_twice() -> None:
    queue = WebhookQueue(target=Target(url="http://x", batch_items=1, duplicate_rate=1), sub_key="S")
    queue.add(joined(1), {}, 0.0)
    (delivery,) = queue.take(0.0)
    queue.accepted(delivery)
    (again,) = queue.take(0.0)
    assert again.body == delivery.body


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, list[tuple[str | None, Any]], list[int]]]:
    """A webhook's receiver: its address, what it received, and the statuses it will return (200 after that)."""
    got: list[tuple[str | None, Any]] = []
    statuses: list[int] = []

    async def receive(request: web.Request) -> web.Response:
        got.append((request.headers.get("X-Secret"), await request.json()))
        return web.Response(status=statuses.pop(0) if statuses else 200)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", got, statuses
    await runner.cleanup()


async def test_presence_is_posted_with_the_secret_header_and_retried(
    http: OriginHttp, receiver: tuple[str, list[tuple[str | None, Any]], list[int]]
) -> None:
    """Join, timeout and the channel's life, in batches; a 500 brings the same ids again."""
    url, got, statuses = receiver
    statuses.append(500)
    target = {"url": url, "headers": {"X-Secret": "s"}, "events": ["join", "timeout"]}
    await http.control("/keysets/demo/webhooks", "PUT", [target])
    await http.cursor("ch", "ann")
    await http.advance(5)
    await until(lambda: len(got) == 1)
    assert got[0][0] == "s"
    assert got[0][1]["data"][0]["userId"] == "ann"
    await until(lambda: http.keyset.webhooks.queues[0].failed == 1)
    await http.advance(300)
    await until(lambda: len(got) >= 2)
    await http.advance(900)
    await until(lambda: len(got) == 3)
    joins = [posted["data"][0] for _, posted in got if "joined" in posted["schema"]]
    assert joins[0] == joins[1]
    gone = next(posted["data"][0] for _, posted in got if "timedout" in posted["schema"])
    assert (gone["userId"], gone["occupancy"]) == ("ann", 0)
    assert START > 0
    (shown,) = await http.control("/keysets/demo/webhooks")
    assert (shown["posted"], shown["failed"]) == (2, 1)


async def until(holds: Any) -> None:
    """Wait until a condition is true."""
    while not holds():  # noqa: ASYNC110 - no event signals a post
        await asyncio.sleep(0.001)
