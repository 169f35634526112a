"""Channel groups, message persistence and message actions over plain HTTP, as recorded or documented."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.origin_client import Client, serving

GROUPS = "/v1/channel-registration/sub-key/demo/channel-group"
HISTORY = "/v3/history/sub-key/demo/channel"
OK = {"status": 200, "message": "OK", "service": "channel-registry", "error": False}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin."""
    async with serving() as client:
        yield client


async def said(client: Client, channel: str, message: Any, more: str = "") -> int:
    """Publish and return the timetoken."""
    path = f"/publish/demo/demo/0/{channel}/0/{quote(json.dumps(message), safe='')}?uuid=u{more}"
    status, answer = await client.call("GET", path)
    assert status == 200, answer
    return int(answer[2])


async def test_a_group_is_filled_listed_and_emptied_in_the_recorded_bodies(client: Client) -> None:
    """Add, remove, list, delete, and the list of groups."""
    empty = {
        "status": 200,
        "payload": {"namespace": "", "groups": []},
        "service": "channel-registry",
        "error": False,
    }
    assert await client.call("GET", GROUPS) == (200, empty)
    assert await client.call("GET", f"{GROUPS}/g?add=a,b,c%20d") == (200, OK)
    assert await client.call("GET", f"{GROUPS}/g?remove=b") == (200, OK)
    assert await client.call("GET", f"{GROUPS}/g") == (
        200,
        {
            "status": 200,
            "payload": {"channels": ["a", "c d"], "group": "g"},
            "service": "channel-registry",
            "error": False,
        },
    )
    assert (await client.call("GET", GROUPS))[1]["payload"]["groups"] == ["g"]
    assert await client.call("GET", f"{GROUPS}/g/remove") == (200, OK)
    assert await client.call("GET", GROUPS) == (200, empty)


async def test_reserved_characters_in_a_group_are_refused(client: Client) -> None:
    assert await client.call("GET", f"{GROUPS}/g?add=a%3Ab") == (
        400,
        {
            "status": 400,
            "message": "Reserved character in input parameters.",
            "service": "channel-registry",
            "error": True,
        },
    )


async def test_an_open_poll_on_a_group_receives_from_channels_that_are_added(client: Client) -> None:
    """The open poll covers the new channel; `b` names the group."""
    import asyncio

    await client.call("GET", f"{GROUPS}/g?add=a")
    _, answer = await client.call("GET", "/v2/subscribe/demo/,/0?uuid=x&tt=0&channel-group=g")
    poll = asyncio.create_task(
        client.call("GET", f"/v2/subscribe/demo/,/0?uuid=x&channel-group=g&tt={answer['t']['t']}")
    )
    await client.call("GET", f"{GROUPS}/g?add=b")
    await said(client, "b", "hello")
    async with asyncio.timeout(5):
        _, answer = await poll
    assert [(message["c"], message["b"], message["d"]) for message in answer["m"]] == [("b", "g", "hello")]


async def test_stored_messages_come_back_oldest_first_in_the_recorded_shape(client: Client) -> None:
    """With everything that may be included; only what was asked for is there."""
    first = await said(client, "ch", {"m": 1}, "&meta=%7B%22a%22%3A1%7D&custom_message_type=greeting")
    second = await said(client, "ch", {"m": 2})
    status, answer = await client.call(
        "GET",
        f"{HISTORY}/ch?include_meta=true&include_uuid=true&include_message_type=true&include_custom_message_type=true",
    )
    assert (status, answer) == (
        200,
        {
            "status": 200,
            "error": False,
            "error_message": "",
            "channels": {
                "ch": [
                    {
                        "message": {"m": 1},
                        "timetoken": str(first),
                        "meta": {"a": 1},
                        "uuid": "u",
                        "message_type": None,
                        "custom_message_type": "greeting",
                    },
                    {
                        "message": {"m": 2},
                        "timetoken": str(second),
                        "meta": "",
                        "uuid": "u",
                        "message_type": None,
                        "custom_message_type": None,
                    },
                ]
            },
        },
    )
    _, answer = await client.call("GET", f"{HISTORY}/ch?max=1")
    assert answer["channels"] == {"ch": [{"message": {"m": 2}, "timetoken": str(second)}]}


async def test_following_start_shows_every_message_exactly_once(client: Client) -> None:
    """Thirty messages, seven a page, from the newest to the oldest."""
    sent = [await said(client, "ch", n) for n in range(30)]
    found: list[int] = []
    start = ""
    while True:
        _, answer = await client.call("GET", f"{HISTORY}/ch?max=7{start}")
        page = answer["channels"].get("ch", [])
        if not page:
            break
        found = [int(item["timetoken"]) for item in page] + found
        start = f"&start={page[0]['timetoken']}"
    assert found == sent


async def test_several_channels_return_at_most_25_messages_each(client: Client) -> None:
    """100 for one; a channel without messages is not named."""
    for n in range(30):
        await said(client, "a", n)
    _, answer = await client.call("GET", f"{HISTORY}/a,b?max=100")
    assert list(answer["channels"]) == ["a"]
    assert [item["message"] for item in answer["channels"]["a"]] == list(range(5, 30))
    _, answer = await client.call("GET", f"{HISTORY}/a?max=1000")
    assert len(answer["channels"]["a"]) == 30


async def test_channel_names_are_returned_encoded_unless_declined(client: Client) -> None:
    """The documented `encode_channels`."""
    await said(client, "a%C3%A4", 1)
    assert list((await client.call("GET", f"{HISTORY}/a%C3%A4"))[1]["channels"]) == ["a%C3%A4"]
    path = f"{HISTORY}/a%C3%A4?encode_channels=false"
    assert list((await client.call("GET", path))[1]["channels"]) == ["aä"]


async def test_what_is_not_to_be_stored_is_not(client: Client) -> None:
    """`store=0`, signals, and messages past their hours by virtual time."""
    await said(client, "ch", 1, "&store=0")
    await client.call("GET", "/signal/demo/demo/0/ch/0/1?uuid=u")
    await said(client, "ch", 2, "&ttl=1")
    await said(client, "ch", 3)
    assert [item["message"] for item in (await client.call("GET", f"{HISTORY}/ch"))[1]["channels"]["ch"]] == [
        2,
        3,
    ]
    client.origin.clock.advance(3601)
    assert [item["message"] for item in (await client.call("GET", f"{HISTORY}/ch"))[1]["channels"]["ch"]] == [
        3
    ]


async def test_messages_are_counted_after_a_timetoken(client: Client) -> None:
    """One for all channels, or one for each."""
    first = await said(client, "a", 1)
    await said(client, "b", 1)
    last = await said(client, "a", 2)
    counts = "/v3/history/sub-key/demo/message-counts"
    assert await client.call("GET", f"{counts}/a,b,c?timetoken={first}") == (
        200,
        {
            "status": 200,
            "error": False,
            "error_message": "",
            "channels": {"a": 1, "b": 1, "c": 0},
            "more": {},
        },
    )
    _, answer = await client.call("GET", f"{counts}/a,b?channelsTimetoken={first - 1},{last}")
    assert answer["channels"] == {"a": 2, "b": 0}
    for query in ("", "?timetoken=x", f"?channelsTimetoken={last}0000000,1,2", "?timetoken=-1"):
        status, answer = await client.call("GET", f"{counts}/a,b{query}")
        assert (status, answer["error"], answer["status"]) == (400, True, 400)


async def test_one_message_is_deleted_by_the_pair_around_it(client: Client) -> None:
    """Start just before it, itself the end; its actions go with it."""
    first, second = await said(client, "ch", 1), await said(client, "ch", 2)
    path = f"/v1/message-actions/demo/channel/ch/message/{second}?uuid=u"
    await client.call("POST", path, {"type": "reaction", "value": "smile"})
    deleted = await client.call("DELETE", f"{HISTORY}/ch?start={second - 1}&end={second}")
    assert deleted == (200, {"status": 200, "error": False, "error_message": ""})
    _, answer = await client.call("GET", f"{HISTORY}/ch")
    assert [item["timetoken"] for item in answer["channels"]["ch"]] == [str(first)]
    assert (await client.call("GET", "/v1/message-actions/demo/channel/ch"))[1]["data"] == []
    await client.call("DELETE", f"{HISTORY}/ch")
    assert (await client.call("GET", f"{HISTORY}/ch"))[1]["channels"] == {}


async def test_history_with_actions_groups_them_below_their_message(client: Client) -> None:
    """The recorded shape; one channel only; more than 25 are continued."""
    sent = [await said(client, "ch", n) for n in range(30)]
    path = f"/v1/message-actions/demo/channel/ch/message/{sent[-1]}?uuid=u"
    _, added = await client.call("POST", path, {"type": "reaction", "value": "smile"})
    _, answer = await client.call("GET", "/v3/history-with-actions/sub-key/demo/channel/ch?max=30")
    messages = answer["channels"]["ch"]
    assert len(messages) == 25
    assert messages[-1]["actions"] == {
        "reaction": {"smile": [{"uuid": "u", "actionTimetoken": added["data"]["actionTimetoken"]}]}
    }
    assert "actions" not in messages[0]
    assert answer["more"] == {
        "url": f"/v3/history-with-actions/sub-key/demo/channel/ch?start={sent[5]}&max=5",
        "start": str(sent[5]),
        "max": 5,
    }
    _, rest = await client.call("GET", answer["more"]["url"])
    assert [item["message"] for item in rest["channels"]["ch"]] == [0, 1, 2, 3, 4]
    assert "more" not in rest
    status, answer = await client.call("GET", "/v3/history-with-actions/sub-key/demo/channel/a,b")
    assert (status, answer["error"]) == (400, True)


async def test_an_action_is_added_once_listed_and_removed_in_the_recorded_bodies(client: Client) -> None:
    """A repeat is 409; both are published to subscribers."""
    message = await said(client, "ch", 1)
    _, answer = await client.call("GET", "/v2/subscribe/demo/ch/0?uuid=x&tt=0")
    cursor = answer["t"]["t"]
    base = "/v1/message-actions/demo/channel/ch"
    path = f"{base}/message/{message}?uuid=serhii"
    status, added = await client.call("POST", path, {"type": "reaction", "value": "smile"})
    data = added["data"]
    assert (status, added) == (
        200,
        {
            "status": 200,
            "data": {
                "messageTimetoken": str(message),
                "type": "reaction",
                "uuid": "serhii",
                "value": "smile",
                "actionTimetoken": data["actionTimetoken"],
            },
        },
    )
    assert await client.call("POST", path, {"type": "reaction", "value": "smile"}) == (
        409,
        {"status": 409, "error": {"message": "Action Already Added", "source": "actions"}},
    )
    assert await client.call("GET", base) == (200, {"status": 200, "data": [data]})
    removal = f"{base}/message/{message}/action/{data['actionTimetoken']}?uuid=serhii"
    assert await client.call("DELETE", removal) == (200, {"status": 200, "data": {}})
    assert (await client.call("DELETE", removal))[0] == 404
    _, answer = await client.call("GET", f"/v2/subscribe/demo/ch/0?uuid=x&tt={cursor}")
    events = [(m["e"], m["i"], m["d"]["event"], m["d"]["source"], m["d"]["version"]) for m in answer["m"]]
    assert events == [(3, "serhii", "added", "actions", "1.0"), (3, "serhii", "removed", "actions", "1.0")]
    assert answer["m"][0]["d"]["data"] == {name: value for name, value in data.items() if name != "uuid"}


async def test_actions_are_paged_from_the_newest(client: Client) -> None:
    """Following `more` shows each exactly once."""
    for n in range(7):
        path = f"/v1/message-actions/demo/channel/ch/message/{n}?uuid=u"
        await client.call("POST", path, {"type": "r", "value": str(n)})
    found: list[str] = []
    path = "/v1/message-actions/demo/channel/ch?limit=3"
    while path:
        _, answer = await client.call("GET", path)
        found = [item["value"] for item in answer["data"]] + found
        path = answer.get("more", {}).get("url", "")
    assert found == [str(n) for n in range(7)]


async def test_a_page_of_actions_holds_at_most_a_hundred(client: Client) -> None:
    for n in range(101):
        await client.call(
            "POST", f"/v1/message-actions/demo/channel/ch/message/{n}?uuid=u", {"type": "r", "value": "v"}
        )
    for query in ("", "?limit=1000"):
        _, answer = await client.call("GET", f"/v1/message-actions/demo/channel/ch{query}")
        assert (len(answer["data"]), answer["more"]["limit"]) == (100, 100)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/message-actions/demo/channel/ch/message/1?uuid=u", b"{"),
        ("POST", "/v1/message-actions/demo/channel/ch/message/1?uuid=u", b'{"type": "r"}'),
        ("POST", "/v1/message-actions/demo/channel/ch/message/1?uuid=u", b'{"type": "", "value": "v"}'),
        ("POST", "/v1/message-actions/demo/channel/ch/message/1?uuid=u", b'{"type": 5, "value": "v"}'),
        ("POST", "/v1/message-actions/demo/channel/ch/message/1", b'{"type": "r", "value": "v"}'),
        ("POST", "/v1/message-actions/demo/channel/ch/message/x?uuid=u", b'{"type": "r", "value": "v"}'),
        ("GET", "/v1/message-actions/demo/channel/ch?start=x", b""),
        ("GET", "/v1/message-actions/demo/channel/ch?limit=-1", b""),
        ("DELETE", "/v1/message-actions/demo/channel/ch/message/1/action/x?uuid=u", b""),
    ],
)
async def test_a_bad_action_is_400_with_a_text(client: Client, method: str, path: str, body: bytes) -> None:
    status, answer = await client.call(method, path, body)
    assert (status, answer["status"], answer["error"]["source"]) == (400, 400, "actions")
    assert answer["error"]["message"]


@pytest.mark.parametrize("query", ["start=x", "end=-1", "max=abc", f"start={'9' * 30}"])
async def test_a_bad_history_parameter_is_400_with_a_text(client: Client, query: str) -> None:
    status, answer = await client.call("GET", f"{HISTORY}/ch?{query}")
    assert (status, answer["error"]) == (400, True)
    assert answer["error_message"]
