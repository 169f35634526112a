"""Steering the origin: keysets, clock, faults, counters, snapshots."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from local_stack.origin.app import Options, start
from tests.support.origin import START, Wire, told

SUB = "/v2/presence/sub-key/demo"


async def test_control_is_off_unless_asked_for() -> None:
    """The paths do not exist."""
    running = await start(Options())
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"http://127.0.0.1:{running.port}/_control/clock")
        assert answer.status == 404
    await running.close()


async def test_a_keyset_comes_and_goes(wire: Wire) -> None:
    """With keys and settings of its own; the secret is never shown."""
    new = {"publish_key": "p2", "secret_key": "s2", "settings": {"region": 7}}
    shown = await wire.control("/keysets/s-2", "PUT", new)
    assert shown["publish_key"] == "p2"
    assert "s2" not in str(shown)
    assert (await wire.call("/v2/subscribe/s-2/ch/0?tt=0")).body["t"]["r"] == 7
    assert (await wire.call("/publish/p2/s-2/0/ch/0/1")).status == 200
    await wire.control("/keysets/s-2", "DELETE")
    assert (await wire.call("/v2/subscribe/s-2/ch/0?tt=0")).status == 400


async def test_settings_change_while_it_runs(wire: Wire) -> None:
    """Those that are not named stay; wrong ones are refused and change nothing."""
    await wire.control("/keysets/demo", "PATCH", {"presence": {"announce_max": 3}, "hold_s": 5})
    shown = (await wire.control("/keysets/demo"))["settings"]
    assert (shown["presence"]["announce_max"], shown["presence"]["interval_s"], shown["hold_s"]) == (3, 10, 5)
    for wrong in ({"presence": {"announce_max": -1}}, {"nothing": 1}, {"hold_s": "x"}):
        reply = await wire.call("/_control/keysets/demo", "PATCH", json=wrong)
        assert reply.status == 400
    assert (await wire.control("/keysets/demo"))["settings"] == shown


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/keysets/nope", b"", 404),
        ("POST", "/snapshots/nope", b"", 404),
        ("POST", "/clock", b"{", 400),
        ("POST", "/clock", b'{"advance": "soon"}', 400),
        ("POST", "/clock", b'{"advance": 1e999}', 400),
        ("PUT", "/keysets/demo/faults", b"{}", 400),
        ("PATCH", "/keysets/demo", b"[]", 400),
    ],
)
async def test_a_bad_order_is_refused(wire: Wire, method: str, path: str, body: bytes, status: int) -> None:
    """With JSON."""
    reply = await wire.call("/_control" + path, method, data=body)
    assert (reply.status, reply.body["error"]) == (status, True)


async def test_the_clock_is_set_advanced_and_thawed(wire: Wire) -> None:
    """Timetokens follow it and never go back."""
    assert (await wire.control("/clock"))["frozen"] is True
    first = (await wire.call("/time/0")).body[0]
    assert (await wire.control("/clock", "POST", {"set": START - 100}))["now"] == START - 100
    assert (await wire.call("/time/0")).body[0] == first + 1
    await wire.control("/clock", "POST", {"frozen": False, "advance": 1000})
    assert (await wire.call("/time/0")).body[0] > (START + 800) * 1e7


async def test_counters_tell_what_was_published(wire: Wire) -> None:
    """Presence too."""
    await wire.publish("ch", 1)
    await wire.publish("ch", 2)
    await wire.cursor("ch", "ann")
    assert await wire.control("/keysets/demo/counters") == {"ch": 2, "ch-pnpres": 1}


async def test_a_snapshot_brings_everything_back(wire: Wire) -> None:
    """Presence, messages, groups, history, settings, clock."""
    cursor = await wire.cursor("ch", "ann")
    wire.keyset.groups.add("g", ["ch"])
    await wire.publish("ch", "kept")
    await wire.control("/snapshots/one", "PUT")
    await wire.control("/keysets/demo", "PATCH", {"region": 9})
    await wire.advance(1000)
    await wire.publish("ch", "gone")
    wire.keyset.groups.delete("g")
    assert (await wire.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    await wire.control("/snapshots/one", "POST")
    assert (await wire.call(f"{SUB}/channel/ch")).body["uuids"] == ["ann"]
    reply = await wire.subscribe(",", cursor, **{"channel-group": "g"})
    assert (told(reply), reply.body["t"]["r"]) == (["kept"], 41)
    await wire.advance(300)
    assert (await wire.call(f"{SUB}/channel/ch")).body["occupancy"] == 0


async def test_a_reset_forgets_all_but_settings(wire: Wire) -> None:
    """Messages and presence."""
    await wire.control("/keysets/demo", "PATCH", {"region": 9})
    cursor = await wire.cursor("ch", "ann")
    await wire.publish("ch", 1)
    await wire.control("/keysets/demo/reset", "POST")
    assert (await wire.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    poll = asyncio.create_task(wire.subscribe("ch", cursor))
    await wire.polls(1)
    await wire.publish("ch", 2)
    assert told(await poll) == [2]


async def test_an_open_poll_survives_a_reset(wire: Wire) -> None:
    """It hears what comes next."""
    poll = asyncio.create_task(wire.subscribe("ch", await wire.cursor("ch")))
    await wire.polls(1)
    await wire.control("/keysets/demo/reset", "POST")
    await wire.publish("ch", 2)
    assert told(await poll) == [2]


async def faulty(wire: Wire, **fault: Any) -> None:
    """Puts one fault in force."""
    await wire.control("/keysets/demo/faults", "PUT", [fault])


async def test_calls_fail_by_prefix_rate_and_number(wire: Wire) -> None:
    """429 with Retry-After, twice, then no more."""
    await faulty(wire, kind="status", prefix="/publish/", status=429, retry_after_s=7, times=2)
    for status in (429, 429, 200):
        reply = await wire.publish("ch", 1)
        assert reply.status == status
        assert reply.headers.get("Retry-After") == ("7" if status == 429 else None)
        assert (await wire.call("/v2/subscribe/demo/ch/0?tt=0")).status == 200
    assert (await wire.control("/keysets/demo/faults"))["applied"] == {"status": 2}


async def test_a_rate_strikes_its_share_of_calls(wire: Wire) -> None:
    """The chances are seeded."""
    await faulty(wire, kind="status", rate=0.3)
    statuses = [(await wire.publish("ch", 1)).status for _ in range(100)]
    assert 15 < statuses.count(503) < 45


async def test_a_reset_connection_is_an_error_of_the_client(wire: Wire) -> None:
    """No answer at all."""
    await faulty(wire, kind="reset", prefix="/publish/")
    with pytest.raises(aiohttp.ClientError):
        await wire.publish("ch", 1)


async def test_a_slow_call_is_answered_and_a_stalled_one_never(wire: Wire) -> None:
    """As long as the client waits."""
    await faulty(wire, kind="slow", delay_ms=30, prefix="/publish/")
    assert (await wire.publish("ch", 1)).status == 200
    await faulty(wire, kind="stall", prefix="/publish/")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wire.publish("ch", 1), 0.05)


async def test_events_are_lost_doubled_and_reordered(wire: Wire) -> None:
    """Lost before anyone hears of them, the others as they are delivered."""
    cursor = await wire.cursor("ch")
    await faulty(wire, kind="lose", prefix="ch", times=1)
    for number in range(5):
        await wire.publish("ch", number)
    assert told(await wire.subscribe("ch", cursor)) == [1, 2, 3, 4]
    await faulty(wire, kind="duplicate", times=1)
    assert told(await wire.subscribe("ch", cursor)) == [1, 1, 2, 3, 4]
    await faulty(wire, kind="reorder")
    reply = await wire.subscribe("ch", cursor)
    assert sorted(told(reply)) == [1, 2, 3, 4] != told(reply)
    assert reply.body["t"]["t"] == max(envelope["p"]["t"] for envelope in reply.body["m"])


async def test_the_presence_of_a_channel_can_be_dropped(wire: Wire) -> None:
    """Without a word."""
    cursor = await wire.cursor("ch-pnpres")
    await wire.cursor("ch", "ann")
    await wire.control("/keysets/demo/drop", "POST", {"channel": "ch"})
    assert (await wire.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    assert [event["action"] for event in told(await wire.subscribe("ch-pnpres", cursor))] == ["join"]


async def test_what_falls_due_on_the_way_happens_at_its_time(wire: Wire) -> None:
    """Timetokens too: a message sent by a timeout has the moment of that timeout."""
    cursor = await wire.cursor("ch-pnpres")
    for user, seconds in (("a", "20"), ("b", "100")):
        await wire.subscribe("ch", 0, user, heartbeat=seconds)
    await wire.advance(1000)
    gone = [
        envelope
        for envelope in (await wire.subscribe("ch-pnpres", cursor)).body["m"]
        if "data" in envelope["d"]
    ]
    assert [int(envelope["p"]["t"]) // 10**7 - START for envelope in gone] == [20, 100]
