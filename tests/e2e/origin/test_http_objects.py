"""App Context over plain HTTP: status codes, bodies and constant texts, as recorded or documented."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.origin_client import Client, serving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin with everything at its defaults."""
    async with serving() as client:
        yield client


USER = "/v2/objects/demo/uuids/u1"
CHANNEL = "/v2/objects/demo/channels/c1"


async def test_a_user_is_set_read_and_deleted_in_the_recorded_shapes(client: Client) -> None:
    """`type`, `status` and `custom` only when included; deleting twice is no error."""
    body = {"name": "A", "custom": {"k": "v"}, "status": "here"}
    status, answer = await client.call("PATCH", f"{USER}?include=custom", body)
    data = answer["data"]
    assert status == 200
    assert answer == {
        "status": 200,
        "data": {
            "id": "u1",
            "name": "A",
            "externalId": None,
            "profileUrl": None,
            "email": None,
            "custom": {"k": "v"},
            "updated": data["updated"],
            "eTag": data["eTag"],
        },
    }
    status, answer = await client.call("GET", f"{USER}?include=status,type")
    assert (answer["data"]["status"], answer["data"]["type"]) == ("here", None)
    assert "custom" not in answer["data"]
    for _ in range(2):
        assert await client.call("DELETE", USER) == (200, {"status": 200, "data": None})


async def test_what_is_not_there_is_404_in_the_recorded_words(client: Client) -> None:
    expected = (
        404,
        {"status": 404, "error": {"message": "Requested object was not found.", "source": "objects"}},
    )
    assert await client.call("GET", USER) == expected
    assert await client.call("GET", CHANNEL) == expected


async def test_an_old_etag_is_412_in_the_recorded_words(client: Client) -> None:
    """On a change; a read or a deletion ignores the header, which the Python client repeats everywhere."""
    for path, noun in ((USER, "User"), (CHANNEL, "Channel")):
        _, first = await client.call("PATCH", path, {"name": "A"})
        etag = {"If-Match": first["data"]["eTag"]}
        assert (await client.call("PATCH", path, {"name": "B"}, etag))[0] == 200
        message = f"{noun} to update has been modified after it was read."
        assert await client.call("PATCH", path, {"name": "C"}, etag) == (
            412,
            {"status": 412, "error": {"message": message, "source": "objects"}},
        )
        assert (await client.call("GET", path, headers=etag))[1]["data"]["name"] == "B"
        assert (await client.call("DELETE", path, headers=etag))[0] == 200


async def test_a_page_says_how_to_go_on(client: Client) -> None:
    """The recorded members of a page, and none of `next` past the end."""
    for n in range(3):
        await client.call("PATCH", f"/v2/objects/demo/uuids/u{n}", {"name": f"N{n}"})
    status, answer = await client.call("GET", "/v2/objects/demo/uuids?limit=2&count=True")
    assert status == 200
    assert [item["id"] for item in answer["data"]] == ["u0", "u1"]
    assert (answer["totalCount"], answer["next"]) == (3, "Mg")
    assert "prev" not in answer
    _, answer = await client.call("GET", "/v2/objects/demo/uuids?limit=2&start=Mg")
    assert ([item["id"] for item in answer["data"]], answer["next"], answer["prev"]) == (["u2"], "Mw", "Mg")
    _, answer = await client.call("GET", "/v2/objects/demo/uuids?start=Mw")
    assert answer == {"status": 200, "data": [], "prev": "Mw"}


async def test_filter_and_sort_work_on_every_list(client: Client) -> None:
    """Users, channels, memberships and members; sort may be repeated."""
    for name in ("b", "a"):
        await client.call("PATCH", f"/v2/objects/demo/channels/{name}", {"name": f"Mid{name}"})
        await client.call("PATCH", f"/v2/objects/demo/uuids/{name}", {"name": f"Mid{name}"})
    both = {"set": [{"channel": {"id": "b"}}, {"channel": {"id": "a"}}]}
    await client.call("PATCH", "/v2/objects/demo/uuids/a/channels", both)
    await client.call("PATCH", "/v2/objects/demo/channels/a/uuids", {"set": [{"uuid": {"id": "b"}}]})

    async def ids(path: str, end: str = "") -> list[str]:
        _, answer = await client.call("GET", f"/v2/objects/demo/{path}")
        return [(item[end] if end else item)["id"] for item in answer["data"]]

    assert await ids("channels?sort=name%3Adesc") == ["b", "a"]
    assert await ids("uuids?filter=name%20LIKE%20%27mid*%27&sort=updated&sort=name") == ["b", "a"]
    assert await ids("uuids/a/channels?sort=channel.name%3Adesc%2Cupdated", "channel") == ["b", "a"]
    assert await ids("uuids/a/channels?filter=channel.id%20%3D%3D%20'a'", "channel") == ["a"]
    assert await ids("channels/a/uuids?filter=!(uuid.id%20LIKE%20%27b*%27)", "uuid") == ["a"]


async def test_a_change_of_memberships_returns_all_of_them(client: Client) -> None:
    """Not only with those that changed; set and delete in one call."""
    path = "/v2/objects/demo/uuids/u1/channels"
    await client.call("PATCH", CHANNEL, {"name": "C", "custom": {"x": 1}})
    await client.call("PATCH", path, {"set": [{"channel": {"id": "c1"}}, {"channel": {"id": "c2"}}]})
    change = {"set": [{"channel": {"id": "c3"}, "custom": {"k": 1}}], "delete": [{"channel": {"id": "c2"}}]}
    status, answer = await client.call(
        "PATCH", f"{path}?include=custom,channel,channel.custom&count=1", change
    )
    assert status == 200
    assert [item["channel"]["id"] for item in answer["data"]] == ["c1", "c3"]
    assert answer["data"][0]["channel"]["custom"] == {"x": 1}
    assert answer["data"][0]["custom"] is None
    assert answer["data"][0]["eTag"] == "AZO/t53al7m8fw"
    assert answer["data"][1]["channel"] == {"id": "c3"}
    assert (answer["totalCount"], answer["next"]) == (2, "Mg")
    _, answer = await client.call("GET", "/v2/objects/demo/channels/c3/uuids?include=custom")
    assert answer["data"][0]["uuid"] == {"id": "u1"}


async def test_subscribers_receive_changes_in_the_recorded_envelopes(client: Client) -> None:
    """`e:2` without a publisher: users on their own channel, memberships on both."""
    await client.call("PATCH", CHANNEL, {"name": "C"})
    _, answer = await client.call("GET", "/v2/subscribe/demo/u1,c1/0?uuid=x&tt=0")
    cursor = answer["t"]["t"]
    await client.call("PATCH", USER, {"name": "A"})
    await client.call("PATCH", f"{CHANNEL}/uuids", {"set": [{"uuid": {"id": "u1"}}]})
    await client.call("DELETE", USER)
    _, answer = await client.call("GET", f"/v2/subscribe/demo/u1,c1/0?uuid=x&tt={cursor}")
    assert {message["e"] for message in answer["m"]} == {2}
    assert all("i" not in message for message in answer["m"])
    events = [(message["c"], message["d"]["event"], message["d"]["type"]) for message in answer["m"]]
    assert events == [
        ("u1", "set", "uuid"),
        ("c1", "set", "membership"),
        ("u1", "set", "membership"),
        ("u1", "delete", "uuid"),
    ]
    assert answer["m"][1]["d"]["source"] == "objects"
    assert answer["m"][1]["d"]["version"] == "2.0"


async def test_a_family_of_events_can_be_switched_off(client: Client) -> None:
    client.keyset.settings.objects_events = ["channel"]
    _, answer = await client.call("GET", "/v2/subscribe/demo/u1,c1/0?uuid=x&tt=0")
    cursor = answer["t"]["t"]
    await client.call("PATCH", USER, {"name": "A"})
    await client.call("PATCH", CHANNEL, {"name": "C"})
    _, answer = await client.call("GET", f"/v2/subscribe/demo/u1,c1/0?uuid=x&tt={cursor}")
    assert [message["c"] for message in answer["m"]] == ["c1"]


async def test_referential_integrity_can_be_switched_on(client: Client) -> None:
    """Then a membership needs both ends, and goes when one goes."""
    client.keyset.settings.referential_integrity = True
    join = {"set": [{"channel": {"id": "c1"}}]}
    status, answer = await client.call("PATCH", f"{USER}/channels", join)
    assert (status, answer["error"]["details"][0]["location"]) == (400, "set")
    await client.call("PATCH", USER, {})
    await client.call("PATCH", CHANNEL, {})
    both = {"set": [{"channel": {"id": "c1"}}, {"channel": {"id": "nowhere"}}]}
    assert (await client.call("PATCH", f"{USER}/channels", both))[0] == 400
    assert (await client.call("GET", f"{USER}/channels"))[1]["data"] == []
    assert (await client.call("PATCH", f"{USER}/channels", join))[0] == 200
    await client.call("DELETE", CHANNEL)
    assert (await client.call("GET", f"{USER}/channels"))[1]["data"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "location", "kind"),
    [
        ("PATCH", USER, b"{", "body", "body"),
        ("PATCH", USER, b'{"custom": {"a": [1]}}', "custom", "body"),
        ("PATCH", "/v2/objects/demo/uuids/" + "u" * 93, b"{}", "uuid", "path"),
        ("GET", "/v2/objects/demo/channels/a%2Cb", b"", "channel", "path"),
        ("GET", "/v2/objects/demo/uuids?limit=1000", b"", "limit", "query"),
        ("GET", "/v2/objects/demo/uuids?limit=-1", b"", "limit", "query"),
        ("GET", "/v2/objects/demo/uuids?start=%21", b"", "start", "query"),
        ("GET", "/v2/objects/demo/uuids?filter=name", b"", "filter", "query"),
        ("GET", "/v2/objects/demo/uuids?sort=secret", b"", "sort", "query"),
        ("PATCH", f"{USER}/channels", b'{"set": [{}]}', "set[0].channel.id", "body"),
    ],
)
async def test_bad_input_is_400_with_its_place(
    client: Client, method: str, path: str, body: bytes, location: str, kind: str
) -> None:
    """The family's shape: message, source and details."""
    status, answer = await client.call(method, path, body)
    error = answer["error"]
    assert (status, answer["status"]) == (400, 400)
    assert (error["message"], error["source"]) == ("Request payload contained invalid input.", "objects")
    assert (error["details"][0]["location"], error["details"][0]["locationType"]) == (location, kind)
    assert error["details"][0]["message"]


async def test_responses_are_json_that_any_page_may_read(client: Client) -> None:
    """Content type and CORS header, errors included."""
    async with client.session.get(f"http://{client.address}{USER}") as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_many_changes_at_once_all_arrive(client: Client) -> None:
    """Fifty users in parallel, each found afterwards by following the pages."""
    await asyncio.gather(
        *(client.call("PATCH", f"/v2/objects/demo/uuids/p{n:02}", {"name": str(n)}) for n in range(50))
    )
    found, start = [], ""
    while True:
        _, answer = await client.call("GET", f"/v2/objects/demo/uuids?limit=7&start={start}")
        if not answer["data"]:
            break
        found += [item["id"] for item in answer["data"]]
        start = answer["next"]
    assert found == [f"p{n:02}" for n in range(50)]
