"""Bodies that are the same every time, byte for byte: spelling, order of members, no spaces."""

from __future__ import annotations

import pytest

from tests.support.origin_client import NO_BODY, serving

GROUP = "/v1/channel-registration/sub-key/demo/channel-group"
OBJECTS_403 = (
    '{"status":403,"error":{"message":"Supplied authorization key does not have the permissions required to perform'
    ' this operation.","source":"objects"}}'
)
OPEN = [
    (
        "GET",
        "/v2/objects/demo/uuids/u1",
        '{"status":404,"error":{"message":"Requested object was not found.","source":"objects"}}',
    ),
    ("DELETE", "/v2/objects/demo/uuids/u1", '{"status":200,"data":null}'),
    ("GET", "/v2/objects/demo/uuids", '{"status":200,"data":[]}'),
    ("GET", "/v2/objects/demo/uuids/u1/channels?count=true", '{"status":200,"data":[],"totalCount":0}'),
    ("GET", f"{GROUP}/g?add=a,b", '{"status":200,"message":"OK","service":"channel-registry","error":false}'),
    (
        "GET",
        f"{GROUP}/g?remove=b",
        '{"status":200,"message":"OK","service":"channel-registry","error":false}',
    ),
    (
        "GET",
        f"{GROUP}/g",
        '{"status":200,"payload":{"channels":[],"group":"g"},"service":"channel-registry","error":false}',
    ),
    ("GET", f"{GROUP}/g/remove", '{"status":200,"message":"OK","service":"channel-registry","error":false}'),
    (
        "GET",
        GROUP,
        '{"status":200,"payload":{"namespace":"","groups":[]},"service":"channel-registry","error":false}',
    ),
    (
        "GET",
        "/v3/history/sub-key/demo/channel/ch",
        '{"status":200,"error":false,"error_message":"","channels":{}}',
    ),
    (
        "GET",
        "/v3/history/sub-key/demo/message-counts/ch?timetoken=1",
        '{"status":200,"error":false,"error_message":"","channels":{"ch":0},"more":{}}',
    ),
    ("DELETE", "/v3/history/sub-key/demo/channel/ch", '{"status":200,"error":false,"error_message":""}'),
    ("GET", "/v1/message-actions/demo/channel/ch", '{"status":200,"data":[]}'),
]
CLOSED = [
    (
        "GET",
        "/v2/subscribe/demo/c1/0",
        '{"message":"Forbidden","payload":{"channels":["c1"]},"error":true,"service":"Access Manager","status":403}',
    ),
    (
        "GET",
        f"{GROUP}/g1?add=a",
        '{"message":"Forbidden","payload":{"channel-groups":[":g1"]},"error":true,"service":"Access Manager","status":403}',
    ),
    ("GET", "/v2/objects/demo/channels/c1", OBJECTS_403),
]


@pytest.mark.parametrize(("method", "path", "expected"), OPEN)
async def test_a_constant_body_is_what_was_recorded(method: str, path: str, expected: str) -> None:
    """A fresh keyset with Access Manager off."""
    async with serving() as client:
        assert await client.text(method, path) == expected


@pytest.mark.parametrize(("method", "path", "expected"), CLOSED)
async def test_a_refusal_is_what_was_recorded(method: str, path: str, expected: str) -> None:
    """A fresh keyset with Access Manager on."""
    async with serving(access_manager=True) as client:
        assert await client.text(method, path) == expected


async def test_refused_grants_and_revocations_are_what_was_recorded() -> None:
    """A ttl out of range; a success; a second time after the token has ended."""
    grant = "/v3/pam/demo/grant"
    async with serving(access_manager=True) as client:
        body = {"ttl": 0, "permissions": {"resources": {"channels": {"c": 1}}}}
        assert await client.text("POST", client.signature("POST", grant, body), body) == (
            '{"error":{"message":"Invalid ttl","source":"grant","details":[{"message":"Range should be 1 to 43200'
            ' minute(s).","location":"ttl","locationType":"body"}]},"service":"Access Manager","status":400}'
        )
        token = await client.token(ttl=1, resources={"channels": {"c": 1}})
        revoke = client.signature("DELETE", f"{grant}/{token}")
        assert await client.text("DELETE", revoke, NO_BODY) == (
            '{"data":{"message":"Success"},"service":"Access Manager","status":200}'
        )
        assert await client.text("GET", f"/v2/presence/sub-key/demo/channel/c?auth={token}") == (
            '{"error":true,"status":403,"service":"Access Manager","message":"Token is revoked"}'
        )
        client.origin.clock.advance(61)
        assert await client.text("DELETE", revoke, NO_BODY) == (
            '{"error":{"details":[{"location":"token","locationType":"path","message":"Token is expired."}],'
            '"message":"Invalid token","source":"revoke"},"service":"Access Manager","status":400}'
        )


async def test_an_old_etag_is_what_was_recorded() -> None:
    """For a channel and for a user."""
    async with serving() as client:
        for path, noun in (("channels/c1", "Channel"), ("uuids/u1", "User")):
            url = f"http://{client.address}/v2/objects/demo/{path}"
            async with client.session.patch(url, data=b"{}", headers={"If-Match": "x"}) as answer:
                assert answer.status == 412
                assert await answer.text() == (
                    f'{{"status":412,"error":{{"message":"{noun} to update has been modified after it was read.",'
                    '"source":"objects"}}'
                )


async def test_a_repeated_action_is_what_the_family_says() -> None:
    """409 with the recorded text."""
    path, body = "/v1/message-actions/demo/channel/ch/message/1?uuid=u", {"type": "r", "value": "v"}
    async with serving() as client:
        await client.text("POST", path, body)
        assert await client.text("POST", path, body) == (
            '{"status":409,"error":{"message":"Action Already Added","source":"actions"}}'
        )
