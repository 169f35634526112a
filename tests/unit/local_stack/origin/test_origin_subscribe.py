"""Subscribe v2 on the wire: cursors, envelopes, matches, wildcards, groups, filters."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.origin import Wire, told


async def test_a_handshake_answers_at_once_with_a_cursor_and_nothing_else(wire: Wire) -> None:
    """With tt=0 and without tt alike."""
    for path in ("/v2/subscribe/demo/ch/0?tt=0&uuid=a", "/v2/subscribe/demo/ch/0?uuid=a"):
        reply = await wire.call(path)
        assert reply.status == 200
        assert list(reply.body) == ["t", "m"]
        assert reply.body["m"] == []
        assert len(reply.body["t"]["t"]) == 17
        assert reply.body["t"]["r"] == 41
        assert reply.headers["Content-Type"] == 'text/javascript; charset="UTF-8"'


async def test_the_recorded_sample_of_a_message_comes_byte_for_byte(wire: Wire) -> None:
    """Members, their order and spacing of a plain message on the only channel of a request."""
    cursor = await wire.cursor("ch")
    await wire.publish("ch", "Hello there", "uuid=serhii&seqn=1&meta=%7B%22access-level%22%3A%22editor%22%7D")
    reply = await wire.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text == (
        f'{{"t":{{"t":"{sent}","r":41}},"m":[{{"a":"5","f":0,"i":"serhii","s":1,"p":{{"t":"{sent}","r":41}},'
        '"k":"demo","c":"ch","u":{"access-level":"editor"},"d":"Hello there"}]}'
    )


async def test_the_recorded_sample_of_a_signal_comes_byte_for_byte(wire: Wire) -> None:
    """e is 1 and the custom type comes last."""
    cursor = await wire.cursor("ch")
    await wire.call(
        "/signal/demo/demo/0/ch/0/%7B%22m%22%3A1%7D?uuid=Serhii&custom_message_type=test-message-type"
    )
    reply = await wire.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text.endswith(
        f'[{{"a":"5","f":0,"e":1,"i":"Serhii","p":{{"t":"{sent}","r":41}},"k":"demo","c":"ch","d":{{"m":1}},'
        '"cmt":"test-message-type"}]}'
    )


async def test_the_publishers_own_timetoken_comes_as_origin(wire: Wire) -> None:
    """ptto becomes o."""
    cursor = await wire.cursor("ch")
    await wire.publish("ch", {"m": 1}, "uuid=Serhii&seqn=10&ptto=15808218148795199")
    reply = await wire.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text.endswith(
        f'[{{"a":"5","f":0,"i":"Serhii","s":10,"p":{{"t":"{sent}","r":41}},"o":{{"t":"15808218148795199"}},'
        '"k":"demo","c":"ch","d":{"m":1}}]}'
    )


async def test_an_open_poll_is_answered_by_a_publish(wire: Wire) -> None:
    """It waits, then gets the message with a cursor that does not bring it again."""
    cursor = await wire.cursor("ch")
    poll = asyncio.create_task(wire.subscribe("ch", cursor))
    await wire.polls(1)
    await wire.publish("ch", 1)
    reply = await poll
    assert told(reply) == [1]
    again = asyncio.create_task(wire.subscribe("ch", reply.body["t"]["t"]))
    await wire.polls(1)
    await wire.publish("ch", 2)
    assert told(await again) == [2]


async def test_an_idle_poll_ends_after_280_seconds_with_the_same_cursor(wire: Wire) -> None:
    """On the virtual clock."""
    cursor = await wire.cursor("ch")
    poll = asyncio.create_task(wire.subscribe("ch", cursor))
    await wire.polls(1)
    await wire.advance(279.9)
    assert not poll.done()
    await wire.advance(0.1)
    assert (await poll).body == {"t": {"t": str(cursor), "r": 41}, "m": []}


@pytest.mark.parametrize(
    ("channels", "groups", "match"),
    [
        ("a.b", "", None),
        ("a.b,x", "", "a.b"),
        (",", "g", "g"),
        ("a.*", "", "a.*"),
        ("x", "g", "g"),
    ],
)
async def test_the_match_is_left_out_only_for_one_direct_channel(
    wire: Wire, channels: str, groups: str, match: str | None
) -> None:
    """The rule that fits every recorded envelope."""
    wire.keyset.groups.add("g", ["a.b"])
    query = {"channel-group": groups} if groups else {}
    cursor = await wire.cursor(channels, **query)
    await wire.publish("a.b", 1)
    envelope = (await wire.subscribe(channels, cursor, **query)).body["m"][0]
    assert envelope.get("b") == match
    assert envelope["c"] == "a.b"


async def test_two_matches_bring_a_message_twice_unless_switched_off(wire: Wire) -> None:
    """Recorded: once for the channel, once for the group that holds it."""
    wire.keyset.groups.add("g", ["ch"])
    cursor = await wire.cursor("ch", **{"channel-group": "g"})
    await wire.publish("ch", 1)
    reply = await wire.subscribe("ch", cursor, **{"channel-group": "g"})
    assert [envelope["b"] for envelope in reply.body["m"]] == ["ch", "g"]
    await wire.control("/keysets/demo", "PATCH", {"per_match": False})
    reply = await wire.subscribe("ch", cursor, **{"channel-group": "g"})
    assert [envelope["b"] for envelope in reply.body["m"]] == ["ch"]


async def test_wildcards_span_two_levels_below_their_first(wire: Wire) -> None:
    """a.* and a.b.* match a.b.c; deeper ones and * alone do not exist."""
    cursor = await wire.cursor("x")
    await wire.publish("a.b.c.d", 1)
    for wildcard in ("a.*", "a.b.*"):
        assert told(await wire.subscribe(wildcard, cursor)) == [1]
    waiting = asyncio.create_task(wire.subscribe("a.b.c.*,*", cursor))
    await wire.polls(1)
    waiting.cancel()


async def test_a_group_that_grows_reaches_an_open_poll(wire: Wire) -> None:
    """The next message on the added channel comes by the group."""
    wire.keyset.groups.add("g", ["one"])
    cursor = await wire.cursor(",", **{"channel-group": "g"})
    poll = asyncio.create_task(wire.subscribe(",", cursor, **{"channel-group": "g"}))
    await wire.polls(1)
    wire.keyset.groups.add("g", ["two"])
    wire.keyset.group_changed("g")
    await asyncio.sleep(0.01)
    await wire.publish("two", "now")
    assert told(await poll) == ["now"]


async def test_presence_of_a_group_is_that_of_its_channels(wire: Wire) -> None:
    """g-pnpres brings the events of every channel in g."""
    wire.keyset.groups.add("g", ["ch"])
    cursor = await wire.cursor(",", "w", **{"channel-group": "g-pnpres"})
    await wire.cursor("ch", "ann")
    envelope = (await wire.subscribe(",", cursor, **{"channel-group": "g-pnpres"})).body["m"][0]
    assert (envelope["b"], envelope["c"], envelope["d"]["uuid"]) == ("g-pnpres", "ch-pnpres", "ann")


async def test_a_slow_subscriber_gets_the_newest_hundred(wire: Wire) -> None:
    """What overflowed is lost without a word."""
    cursor = await wire.cursor("a,b")
    for number in range(130):
        await wire.publish("ab"[number % 2], number)
    assert told(await wire.subscribe("a,b", cursor)) == list(range(30, 130))


async def test_messages_leave_the_queue_after_twenty_minutes(wire: Wire) -> None:
    """A later publish is all that is left."""
    cursor = await wire.cursor("ch")
    await wire.publish("ch", "old")
    await wire.advance(1201)
    await wire.publish("ch", "new")
    assert told(await wire.subscribe("ch", cursor)) == ["new"]


async def test_a_filter_lets_only_matching_messages_through(wire: Wire) -> None:
    """Recorded expression with a bare name, against the metadata."""
    cursor = await wire.cursor("ch")
    for user in ("Ann", "Serhii"):
        meta = json.dumps({"uuid": user}).replace('"', "%22").replace(" ", "")
        await wire.publish("ch", user, f"uuid={user}&meta={meta}")
    assert told(await wire.subscribe("ch", cursor, **{"filter-expr": "uuid == 'Serhii'"})) == ["Serhii"]


async def test_a_malformed_filter_is_status_481(wire: Wire) -> None:
    """With a JSON body."""
    reply = await wire.subscribe("ch", 1, **{"filter-expr": "uuid == =="})
    assert (reply.status, reply.body["status"]) == (481, 481)


async def test_commas_separate_names_and_their_encoding_belongs_to_them(wire: Wire) -> None:
    """a%2Cb is one channel."""
    cursor = await wire.cursor("a%2Cb")
    wire.keyset.publish(_message("a,b"))
    assert (await wire.subscribe("a%2Cb", cursor)).body["m"][0]["c"] == "a,b"


async def test_a_cursor_from_the_future_loses_nothing(wire: Wire) -> None:
    """It counts as now."""
    poll = asyncio.create_task(wire.subscribe("ch", 9 * 10**17))
    await wire.polls(1)
    await wire.publish("ch", 1)
    assert told(await poll) == [1]


@pytest.mark.parametrize("tt", ["-1", "abc", "1.5", "9" * 30, "٣"])
async def test_a_cursor_that_is_no_number_is_refused(wire: Wire, tt: str) -> None:
    """With the shape of the family."""
    reply = await wire.subscribe("ch", tt)
    assert reply.status == 400
    assert reply.body["error"] is True


async def test_a_request_for_nothing_is_refused(wire: Wire) -> None:
    """No channel and no group."""
    assert (await wire.subscribe(",", 0)).status == 400


async def test_an_unknown_key_has_its_recorded_answer(wire: Wire) -> None:
    """On every family."""
    for path in (
        "/v2/subscribe/nope/ch/0",
        "/publish/demo/nope/0/ch/0/1",
        "/v2/presence/sub-key/nope/uuid/u",
    ):
        reply = await wire.call(path)
        assert reply.status == 400
        assert reply.text == (
            '{"message":"Invalid Subscribe Key","error":true,"service":"Access Manager","status":400}'
        )


async def test_a_uri_over_32_kib_has_its_recorded_answer(wire: Wire) -> None:
    """Both just over the limit and far over it."""
    for length in (33_000, 200_000):
        reply = await wire.call("/v2/subscribe/demo/" + "a" * length + "/0")
        assert reply.status == 414
        assert (
            reply.text == '{"status":414,"service":"Balancer","error":true,"message":"Request URI Too Long"}'
        )


def _message(channel: str):
    from local_stack.origin.envelope import Envelope

    return Envelope(channel=channel, payload=1)


async def test_a_filter_that_nothing_passes_does_not_keep_a_poll_open(wire: Wire) -> None:
    """It ends when it would have ended, whatever was published meanwhile."""
    cursor = await wire.cursor("ch")
    poll = asyncio.create_task(wire.subscribe("ch", cursor, **{"filter-expr": "vip == true"}))
    await wire.polls(1)
    await wire.advance(200)
    await wire.publish("ch", 1)
    await asyncio.sleep(0.02)
    assert not poll.done()
    await wire.advance(80)
    assert (await poll).body["m"] == []


async def test_a_subscriber_who_keeps_polling_gets_everything_once_and_in_order(wire: Wire) -> None:
    """Three publishers at once, several channels and a group, however messages fall between polls."""
    wire.keyset.groups.add("g", ["c2"])
    query = {"channel-group": "g"}
    cursor, got, done = await wire.cursor("c0,c1", **query), [], 150

    async def publisher(at: int) -> None:
        for number in range(50):
            await wire.publish(f"c{at}", [at, number])

    publishing = [asyncio.create_task(publisher(at)) for at in range(3)]
    while len(got) < done:
        reply = await wire.subscribe("c0,c1", cursor, **query)
        cursor = int(reply.body["t"]["t"])
        got += told(reply)
    await asyncio.gather(*publishing)
    assert all([number for who, number in got if who == at] == list(range(50)) for at in range(3))
