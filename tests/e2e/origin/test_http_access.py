"""Access Manager over plain HTTP: grants, revocations, and every family's response without a right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.origin_client import Client, serving

GRANT = "/v3/pam/demo/grant"
SHARD = {"resources": {"channels": {"c1": 1}}}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin with Access Manager on."""
    async with serving(access_manager=True) as client:
        yield client


def forbidden(**payload: list[str]) -> tuple[int, Any]:
    """The recorded refusal."""
    named = {name.replace("_", "-"): value for name, value in payload.items()}
    return 403, {
        "message": "Forbidden",
        "payload": named,
        "error": True,
        "service": "Access Manager",
        "status": 403,
    }


async def test_a_grant_returns_a_token(client: Client) -> None:
    """The recorded body; the token begins as every token does."""
    status, answer = await client.signed("POST", GRANT, {"ttl": 60, "permissions": SHARD})
    token = answer["data"]["token"]
    assert token.startswith("p0F2AkF0Gm")
    assert (status, answer) == (
        200,
        {"data": {"message": "Success", "token": token}, "service": "Access Manager", "status": 200},
    )


@pytest.mark.parametrize("ttl", [0, -1, 43_201])
async def test_a_ttl_out_of_range_is_refused_in_the_recorded_words(client: Client, ttl: int) -> None:
    """Byte for byte, order of members aside."""
    detail = {"message": "Range should be 1 to 43200 minute(s).", "location": "ttl", "locationType": "body"}
    error = {"message": "Invalid ttl", "source": "grant", "details": [detail]}
    assert await client.signed("POST", GRANT, {"ttl": ttl, "permissions": SHARD}) == (
        400,
        {"error": error, "service": "Access Manager", "status": 400},
    )


async def test_a_grant_that_is_no_json_is_refused_in_the_documented_form(client: Client) -> None:
    """As users have quoted it: the root of the body is the place."""
    status, answer = await client.signed("POST", GRANT, b"{")
    assert (status, answer["error"]["message"], answer["error"]["source"]) == (400, "Invalid JSON", "grant")
    assert answer["error"]["details"][0]["location"] == "<root>"
    assert answer["error"]["details"][0]["locationType"] == "body"


async def test_a_grant_must_be_signed_well_and_in_time(client: Client) -> None:
    """Unsigned, signed with another secret, or too old or new; also with Access Manager off."""
    body = {"ttl": 60, "permissions": SHARD}
    for on in (True, False):
        client.keyset.settings.access_manager = on
        status, answer = await client.call("POST", GRANT, body)
        assert (status, answer["message"]) == (400, "Invalid Timestamp")
        status, answer = await client.signed("POST", GRANT, body, secret="other")
        assert (status, answer["error"]["message"], answer["service"]) == (
            403,
            "Invalid signature",
            "Access Manager",
        )
        for late in (-61, 61):
            status, answer = await client.signed("POST", GRANT, body, at=client.origin.clock.now + late)
            assert (status, answer["message"]) == (400, "Invalid Timestamp")


async def test_a_signature_is_good_by_real_time_while_the_virtual_clock_is_elsewhere(client: Client) -> None:
    """Otherwise no grant would be possible after a jump."""
    client.origin.clock.advance(86_400)
    assert (await client.signed("POST", GRANT, {"ttl": 1, "permissions": SHARD}))[0] == 200


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/v2/subscribe/demo/c2/0?uuid=u", {"channels": ["c2"]}),
        ("/v2/subscribe/demo/c1,c2,c1-pnpres/0?uuid=u", {"channels": ["c2", "c1-pnpres"]}),
        ("/v2/subscribe/demo/,/0?uuid=u&channel-group=g1", {"channel_groups": [":g1"]}),
        (
            "/v2/subscribe/demo/c2/0?uuid=u&channel-group=g1",
            {"channels": ["c2"], "channel_groups": [":g1"]},
        ),
        ("/publish/demo/demo/0/c1/0/1?uuid=u", {"channels": ["c1"]}),
        ("/signal/demo/demo/0/c1/0/1?uuid=u", {"channels": ["c1"]}),
        ("/v2/presence/sub-key/demo/channel/c2/heartbeat?uuid=u", {"channels": ["c2"]}),
        ("/v2/presence/sub-key/demo/channel/c2?uuid=u", {"channels": ["c2"]}),
        ("/v2/presence/sub-key/demo/channel/c2/uuid/u?uuid=u", {"channels": ["c2"]}),
        ("/v2/presence/sub-key/demo/channel/c2/uuid/u/data?uuid=u&state=%7B%7D", {"channels": ["c2"]}),
        ("/v3/history/sub-key/demo/channel/c2?uuid=u", {"channels": ["c2"]}),
        ("/v3/history/sub-key/demo/message-counts/c2?timetoken=1", {"channels": ["c2"]}),
        ("/v3/history-with-actions/sub-key/demo/channel/c2?uuid=u", {"channels": ["c2"]}),
        ("/v1/message-actions/demo/channel/c2?uuid=u", {"channels": ["c2"]}),
        ("/v1/channel-registration/sub-key/demo/channel-group/g1?add=c1", {"channel_groups": [":g1"]}),
        ("/v1/channel-registration/sub-key/demo/channel-group/g1/remove", {"channel_groups": [":g1"]}),
    ],
)
async def test_without_the_right_every_family_refuses_in_the_recorded_words(
    client: Client, path: str, payload: dict[str, list[str]]
) -> None:
    """With a token that lacks it, and without any; the payload names only what is refused."""
    auth = await client.token(**SHARD)
    join = "&" if "?" in path else "?"
    assert await client.call("GET", f"{path}{join}auth={auth}") == forbidden(**payload)
    assert (await client.call("GET", path))[0] == 403


async def test_a_deletion_or_an_action_needs_its_own_right(client: Client) -> None:
    """Read is not enough to delete, nor to attach."""
    auth = await client.token(**SHARD)
    history = f"/v3/history/sub-key/demo/channel/c1?auth={auth}"
    action = f"/v1/message-actions/demo/channel/c1/message/1?uuid=u&auth={auth}"
    assert await client.call("DELETE", history) == forbidden(channels=["c1"])
    assert await client.call("POST", action, {"type": "r", "value": "v"}) == forbidden(channels=["c1"])
    removal = f"/v1/message-actions/demo/channel/c1/message/1/action/2?uuid=u&auth={auth}"
    assert await client.call("DELETE", removal) == forbidden(channels=["c1"])


OBJECTS_REFUSAL = (
    403,
    {
        "status": 403,
        "error": {
            "message": "Supplied authorization key does not have the permissions required to perform this operation.",
            "source": "objects",
        },
    },
)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "uuids/u1", b""),
        ("PATCH", "uuids/u1", b"{}"),
        ("DELETE", "uuids/u1", b""),
        ("GET", "channels/c1", b""),
        ("PATCH", "channels/c1", b"{}"),
        ("DELETE", "channels/c1", b""),
        ("GET", "uuids", b""),
        ("GET", "channels", b""),
        ("GET", "uuids/u1/channels", b""),
        ("PATCH", "uuids/u1/channels", b'{"set": [{"channel": {"id": "c1"}}]}'),
        ("GET", "channels/c1/uuids", b""),
        ("PATCH", "channels/c1/uuids", b'{"set": [{"uuid": {"id": "u1"}}]}'),
    ],
)
async def test_app_context_refuses_in_its_own_words(
    client: Client, method: str, path: str, body: bytes
) -> None:
    """Its error form, from every endpoint."""
    auth = await client.token(**SHARD)
    assert await client.call(method, f"/v2/objects/demo/{path}?auth={auth}", body) == OBJECTS_REFUSAL


async def test_every_right_of_app_context_opens_its_endpoint(client: Client) -> None:
    """Get 32, update 64, delete 8, join 128, manage 4, and the category for lists."""
    auth = await client.token(
        resources={"uuids": {"u1": 32 + 64 + 8}, "channels": {"c1": 32 + 64 + 8 + 4, "c2": 128}},
        categories={"uuids": 32, "channels": 32},
    )
    calls = [
        ("PATCH", "uuids/u1", {}),
        ("GET", "uuids/u1", b""),
        ("PATCH", "channels/c1", {}),
        ("GET", "channels/c1", b""),
        ("PATCH", "uuids/u1/channels", {"set": [{"channel": {"id": "c2"}}]}),
        ("GET", "uuids/u1/channels", b""),
        ("PATCH", "channels/c1/uuids", {"set": [{"uuid": {"id": "u2"}}]}),
        ("GET", "channels/c1/uuids", b""),
        ("GET", "uuids", b""),
        ("GET", "channels", b""),
        ("DELETE", "uuids/u1", b""),
        ("DELETE", "channels/c1", b""),
    ]
    for method, path, body in calls:
        assert (await client.call(method, f"/v2/objects/demo/{path}?auth={auth}", body))[0] == 200, path


async def test_an_expired_token_is_refused_everywhere_by_virtual_time(client: Client) -> None:
    """A minute of virtual time passes."""
    auth = await client.token(ttl=1, **SHARD)
    here_now = f"/v2/presence/sub-key/demo/channel/c1?auth={auth}"
    assert (await client.call("GET", here_now))[0] == 200
    client.origin.clock.advance(61)
    status, answer = await client.call("GET", here_now)
    assert (status, answer) == (
        403,
        {"error": True, "status": 403, "service": "Access Manager", "message": "Token is expired."},
    )


async def test_a_revoked_token_is_refused_in_the_recorded_words(client: Client) -> None:
    """And the revocation itself is answered as recorded."""
    auth = await client.token(**SHARD)
    assert await client.signed("DELETE", f"{GRANT}/{auth}") == (
        200,
        {"data": {"message": "Success"}, "service": "Access Manager", "status": 200},
    )
    assert await client.call("GET", f"/v2/presence/sub-key/demo/channel/c1?auth={auth}") == (
        403,
        {"error": True, "status": 403, "service": "Access Manager", "message": "Token is revoked"},
    )
    status, answer = await client.call("GET", f"/v2/objects/demo/channels/c1?auth={auth}")
    assert (status, answer) == (
        403,
        {"status": 403, "error": {"message": "Token is revoked", "source": "objects"}},
    )


async def test_a_revocation_may_take_its_time(client: Client) -> None:
    """The real service answers from a cache for up to a minute; here a setting."""
    client.keyset.settings.revocation_delay_s = 60
    auth = await client.token(**SHARD)
    await client.signed("DELETE", f"{GRANT}/{auth}")
    path = f"/v2/presence/sub-key/demo/channel/c1?auth={auth}"
    client.origin.clock.advance(59)
    assert (await client.call("GET", path))[0] == 200
    client.origin.clock.advance(2)
    assert (await client.call("GET", path))[1]["message"] == "Token is revoked"


async def test_an_expired_token_cannot_be_revoked(client: Client) -> None:
    auth = await client.token(ttl=1, **SHARD)
    client.origin.clock.advance(61)
    detail = {"location": "token", "locationType": "path", "message": "Token is expired."}
    error = {"details": [detail], "message": "Invalid token", "source": "revoke"}
    assert await client.signed("DELETE", f"{GRANT}/{auth}") == (
        400,
        {"error": error, "service": "Access Manager", "status": 400},
    )
    assert (await client.signed("DELETE", f"{GRANT}/noise"))[0] == 400
    assert (await client.call("DELETE", f"{GRANT}/{auth}"))[0] == 400


async def test_a_request_signed_with_the_secret_may_do_everything(client: Client) -> None:
    """Without any token; a bad signature or an old one may nothing, and says why."""
    path = "/v2/presence/sub-key/demo/channel/c9?uuid=server"
    assert (await client.signed("GET", path))[0] == 200
    assert await client.signed("GET", path, secret="other") == (
        403,
        {"error": True, "status": 403, "service": "Access Manager", "message": "Invalid signature"},
    )
    status, answer = await client.signed("GET", path, at=1_000_000)
    assert (status, answer["message"]) == (400, "Invalid Timestamp")
    assert (await client.signed("PATCH", "/v2/objects/demo/uuids/u1", {"name": "A"}))[0] == 200
    status, answer = await client.signed("PATCH", "/v2/objects/demo/uuids/u1", {}, secret="other")
    assert (status, answer["error"]["message"]) == (403, "Invalid signature")


async def test_leave_and_where_now_need_nothing_unless_the_keyset_says_so(client: Client) -> None:
    """The documentation says none; a recording of the older Access Manager says read."""
    leave = "/v2/presence/sub-key/demo/channel/c1/leave?uuid=u"
    assert (await client.call("GET", leave))[0] == 200
    assert (await client.call("GET", "/v2/presence/sub-key/demo/uuid/u"))[0] == 200
    client.keyset.settings.leave_checked = True
    assert await client.call("GET", leave) == forbidden(channels=["c1"])


async def test_a_token_for_one_user_serves_no_other(client: Client) -> None:
    """The authorized uuid is compared with the caller's."""
    auth = await client.token(uuid="u1", **SHARD)
    path = "/v2/presence/sub-key/demo/channel/c1"
    assert (await client.call("GET", f"{path}?uuid=u1&auth={auth}"))[0] == 200
    assert await client.call("GET", f"{path}?uuid=u2&auth={auth}") == forbidden(channels=["c1"])


async def test_with_access_manager_off_every_request_is_allowed(client: Client) -> None:
    """The default of a keyset; any token or signature is let pass."""
    client.keyset.settings.access_manager = False
    for query in ("", "?auth=noise", "?signature=v2.x&timestamp=1"):
        assert (await client.call("GET", f"/v2/presence/sub-key/demo/channel/c1{query}"))[0] == 200


async def test_a_pattern_grants_every_channel_it_matches(client: Client) -> None:
    """As the server's own publishing token does."""
    auth = await client.token(patterns={"channels": {"^inbox\\.": 2}})
    assert (await client.call("GET", f"/publish/demo/demo/0/inbox.u7/0/1?auth={auth}"))[0] == 200
    assert (await client.call("GET", f"/publish/demo/demo/0/outbox.u7/0/1?auth={auth}"))[0] == 403
    name = quote("inbox.ü", safe="")
    assert (await client.call("GET", f"/publish/demo/demo/0/{name}/0/1?auth={auth}"))[0] == 200
