"""Subscribe v2 over HTTP: cursors, envelopes, matches, wildcards, groups, filters."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.origin import OriginHttp, payloads


async def test_a_handshake_returns_at_once_with_a_cursor_and_nothing_else(http: OriginHttp) -> None:
    """With tt=0 and without tt alike."""
    for path in ("/v2/subscribe/demo/ch/0?tt=0&uuid=a", "/v2/subscribe/demo/ch/0?uuid=a"):
        reply = await http.call(path)
        assert reply.status == 200
        assert list(reply.body) == ["t", "m"]
        assert reply.body["m"] == []
        assert len(reply.body["t"]["t"]) == 17
        assert reply.body["t"]["r"] == 41
        assert reply.headers["Content-Type"] == 'text/javascript; charset="UTF-8"'


async def test_the_recorded_sample_of_a_message_comes_byte_for_byte(http: OriginHttp) -> None:
    """Members, their order and spacing of a plain message on the only channel of a request."""
    cursor = await http.cursor("ch")
    await http.publish("ch", "Hello there", "uuid=serhii&seqn=1&meta=%7B%22access-level%22%3A%22editor%22%7D")
    reply = await http.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text == (
        f'{{"t":{{"t":"{sent}","r":41}},"m":[{{"a":"5","f":0,"i":"serhii","s":1,"p":{{"t":"{sent}","r":41}},'
        '"k":"demo","c":"ch","u":{"access-level":"editor"},"d":"Hello there"}]}'
    )


async def test_the_recorded_sample_of_a_signal_comes_byte_for_byte(http: OriginHttp) -> None:
    """e is 1 and the custom type comes last."""
    cursor = await http.cursor("ch")
    await http.call(
        "/signal/demo/demo/0/ch/0/%7B%22m%22%3A1%7D?uuid=Serhii&custom_message_type=test-message-type"
    )
    reply = await http.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text.endswith(
        f'[{{"a":"5","f":0,"e":1,"i":"Serhii","p":{{"t":"{sent}","r":41}},"k":"demo","c":"ch","d":{{"m":1}},'
        '"cmt":"test-message-type"}]}'
    )


async def test_the_publishers_own_timetoken_comes_as_origin(http: OriginHttp) -> None:
    cursor = await http.cursor("ch")
    await http.publish("ch", {"m": 1}, "uuid=Serhii&seqn=10&ptto=15808218148795199")
    reply = await http.subscribe("ch", cursor)
    sent = reply.body["m"][0]["p"]["t"]
    assert reply.text.endswith(
        f'[{{"a":"5","f":0,"i":"Serhii","s":10,"p":{{"t":"{sent}","r":41}},"o":{{"t":"15808218148795199"}},'
        '"k":"demo","c":"ch","d":{"m":1}}]}'
    )


async def test_a_publish_ends_an_open_poll(http: OriginHttp) -> None:
    """It waits, then gets the message, with a cursor that does not return it again."""
    cursor = await http.cursor("ch")
    poll = asyncio.create_task(http.subscribe("ch", cursor))
    await http.polls(1)
    await http.publish("ch", 1)
    reply = await poll
    assert payloads(reply) == [1]
    again = asyncio.create_task(http.subscribe("ch", reply.body["t"]["t"]))
    await http.polls(1)
    await http.publish("ch", 2)
    assert payloads(await again) == [2]


async def test_an_idle_poll_ends_after_280_seconds_with_the_same_cursor(http: OriginHttp) -> None:
    cursor = await http.cursor("ch")
    poll = asyncio.create_task(http.subscribe("ch", cursor))
    await http.polls(1)
    await http.advance(279.9)
    assert not poll.done()
    await http.advance(0.1)
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
    http: OriginHttp, channels: str, groups: str, match: str | None
) -> None:
    """The rule that fits every recorded envelope."""
    http.keyset.groups.add("g", ["a.b"])
    query = {"channel-group": groups} if groups else {}
    cursor = await http.cursor(channels, **query)
    await http.publish("a.b", 1)
    envelope = (await http.subscribe(channels, cursor, **query)).body["m"][0]
    assert envelope.get("b") == match
    assert envelope["c"] == "a.b"


async def test_two_matches_bring_a_message_twice_unless_switched_off(http: OriginHttp) -> None:
    """Recorded: once for the channel, once for the group that holds it."""
    http.keyset.groups.add("g", ["ch"])
    cursor = await http.cursor("ch", **{"channel-group": "g"})
    await http.publish("ch", 1)
    reply = await http.subscribe("ch", cursor, **{"channel-group": "g"})
    assert [envelope["b"] for envelope in reply.body["m"]] == ["ch", "g"]
    await http.control("/keysets/demo", "PATCH", {"per_match": False})
    reply = await http.subscribe("ch", cursor, **{"channel-group": "g"})
    assert [envelope["b"] for envelope in reply.body["m"]] == ["ch"]


async def test_wildcards_span_two_levels_below_their_first(http: OriginHttp) -> None:
    """a.* and a.b.* match a.b.c; deeper ones and * alone do not exist."""
    cursor = await http.cursor("x")
    await http.publish("a.b.c.d", 1)
    for wildcard in ("a.*", "a.b.*"):
        assert payloads(await http.subscribe(wildcard, cursor)) == [1]
    waiting = asyncio.create_task(http.subscribe("a.b.c.*,*", cursor))
    await http.polls(1)
    waiting.cancel()


async def test_a_group_that_grows_reaches_an_open_poll(http: OriginHttp) -> None:
    """The next message on the added channel comes by the group."""
    http.keyset.groups.add("g", ["one"])
    cursor = await http.cursor(",", **{"channel-group": "g"})
    poll = asyncio.create_task(http.subscribe(",", cursor, **{"channel-group": "g"}))
    await http.polls(1)
    http.keyset.groups.add("g", ["two"])
    http.keyset.group_changed("g")
    await asyncio.sleep(0.01)
    await http.publish("two", "now")
    assert payloads(await poll) == ["now"]


async def test_presence_of_a_group_is_that_of_its_channels(http: OriginHttp) -> None:
    """g-pnpres brings the events of every channel in g."""
    http.keyset.groups.add("g", ["ch"])
    cursor = await http.cursor(",", "w", **{"channel-group": "g-pnpres"})
    await http.cursor("ch", "ann")
    envelope = (await http.subscribe(",", cursor, **{"channel-group": "g-pnpres"})).body["m"][0]
    assert (envelope["b"], envelope["c"], envelope["d"]["uuid"]) == ("g-pnpres", "ch-pnpres", "ann")


async def test_a_slow_subscriber_gets_the_newest_hundred(http: OriginHttp) -> None:
    """Older ones are dropped silently."""
    cursor = await http.cursor("a,b")
    for number in range(130):
        await http.publish("ab"[number % 2], number)
    assert payloads(await http.subscribe("a,b", cursor)) == list(range(30, 130))


async def test_messages_leave_the_queue_after_twenty_minutes(http: OriginHttp) -> None:
    """Only a later publish is left."""
    cursor = await http.cursor("ch")
    await http.publish("ch", "old")
    await http.advance(1201)
    await http.publish("ch", "new")
    assert payloads(await http.subscribe("ch", cursor)) == ["new"]


async def test_a_filter_lets_only_matching_messages_through(http: OriginHttp) -> None:
    """Recorded expression with a bare name, against the metadata."""
    cursor = await http.cursor("ch")
    for user in ("Ann", "Serhii"):
        meta = json.dumps({"uuid": user}).replace('"', "%22").replace(" ", "")
        await http.publish("ch", user, f"uuid={user}&meta={meta}")
    assert payloads(await http.subscribe("ch", cursor, **{"filter-expr": "uuid == 'Serhii'"})) == ["Serhii"]


async def test_a_malformed_filter_is_status_481(http: OriginHttp) -> None:
    reply = await http.subscribe("ch", 1, **{"filter-expr": "uuid == =="})
    assert (reply.status, reply.body["status"]) == (481, 481)


async def test_commas_separate_names_and_their_encoding_belongs_to_them(http: OriginHttp) -> None:
    """a%2Cb is one channel."""
    cursor = await http.cursor("a%2Cb")
    http.keyset.publish(_message("a,b"))
    assert (await http.subscribe("a%2Cb", cursor)).body["m"][0]["c"] == "a,b"


async def test_a_cursor_from_the_future_loses_nothing(http: OriginHttp) -> None:
    poll = asyncio.create_task(http.subscribe("ch", 9 * 10**17))
    await http.polls(1)
    await http.publish("ch", 1)
    assert payloads(await poll) == [1]


@pytest.mark.parametrize("tt", ["-1", "abc", "1.5", "9" * 30, "٣"])
async def test_a_cursor_that_is_no_number_is_refused(http: OriginHttp, tt: str) -> None:
    """With the shape of the family."""
    reply = await http.subscribe("ch", tt)
    assert reply.status == 400
    assert reply.body["error"] is True


async def test_a_request_for_nothing_is_refused(http: OriginHttp) -> None:
    assert (await http.subscribe(",", 0)).status == 400


async def test_an_unknown_key_has_the_recorded_response(http: OriginHttp) -> None:
    for path in (
        "/v2/subscribe/nope/ch/0",
        "/publish/demo/nope/0/ch/0/1",
        "/v2/presence/sub-key/nope/uuid/u",
    ):
        reply = await http.call(path)
        assert reply.status == 400
        assert reply.text == (
            '{"message":"Invalid Subscribe Key","error":true,"service":"Access Manager","status":400}'
        )


async def test_a_uri_over_32_kib_has_the_recorded_response(http: OriginHttp) -> None:
    """Both just over the limit and far over it."""
    for length in (33_000, 200_000):
        reply = await http.call("/v2/subscribe/demo/" + "a" * length + "/0")
        assert reply.status == 414
        assert (
            reply.text == '{"status":414,"service":"Balancer","error":true,"message":"Request URI Too Long"}'
        )


def _message(channel: str):
    from local_stack.origin.envelope import Envelope

    return Envelope(channel=channel, payload=1)


async def test_a_filter_that_nothing_passes_does_not_prolong_a_poll(http: OriginHttp) -> None:
    """It ends at the usual time, whatever is published in between."""
    cursor = await http.cursor("ch")
    poll = asyncio.create_task(http.subscribe("ch", cursor, **{"filter-expr": "vip == true"}))
    await http.polls(1)
    await http.advance(200)
    await http.publish("ch", 1)
    await asyncio.sleep(0.02)
    assert not poll.done()
    await http.advance(80)
    assert (await poll).body["m"] == []


async def test_a_subscriber_who_keeps_polling_gets_everything_once_and_in_order(http: OriginHttp) -> None:
    """Three concurrent publishers, several channels and a group, at any timing of messages and polls."""
    http.keyset.groups.add("g", ["c2"])
    query = {"channel-group": "g"}
    cursor, got, done = await http.cursor("c0,c1", **query), [], 150

    async def publisher(at: int) -> None:
        for number in range(50):
            await http.publish(f"c{at}", [at, number])

    publishing = [asyncio.create_task(publisher(at)) for at in range(3)]
    while len(got) < done:
        reply = await http.subscribe("c0,c1", cursor, **query)
        cursor = int(reply.body["t"]["t"])
        got += payloads(reply)
    await asyncio.gather(*publishing)
    assert all([number for who, number in got if who == at] == list(range(50)) for at in range(3))
