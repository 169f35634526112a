"""Random requests: every family responds with JSON and never 500 (501: not served), and the origin has no defect."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from tests.support.origin_client import Client, serving

NAMES = [
    "a",
    "b",
    "u1",
    "a.*",
    "a-pnpres",
    "ä",
    "%ff",
    "%00",
    "a,b",
    "a%2Cb",
    ",",
    "x" * 93,
    "%F0%9F%98%80",
    "..",
    "*",
]
NUMBERS = ["0", "1", "-1", "x", "", "9" * 19, "9" * 400, "17312277195423633", "1e9", "٣", "null", "true"]
TEXTS = [
    "{}",
    "[]",
    "null",
    "{",
    '{"a":1}',
    '"x"',
    "NaN",
    '{"a":{"b":[]}}',
    "\\ud800",
    "%C3%28",
    "'",
    "name ==",
    "!((",
]
EXPRESSIONS = [
    "name == 'a'",
    "custom.k > 5",
    "updated:desc",
    "name,id:asc",
    "channel.name LIKE '*'",
    "uuid.id != null",
]
PARAMETERS = {
    "numbers": [
        "tt",
        "tr",
        "start",
        "end",
        "max",
        "limit",
        "offset",
        "ttl",
        "heartbeat",
        "seqn",
        "ptto",
        "timestamp",
    ],
    "names": [
        "uuid",
        "auth",
        "channel-group",
        "add",
        "remove",
        "signature",
        "include",
        "custom_message_type",
    ],
    "texts": [
        "state",
        "meta",
        "filter-expr",
        "filter",
        "sort",
        "timetoken",
        "channelsTimetoken",
        "count",
        "store",
    ],
}
PATHS = [
    "/v2/subscribe/demo/{}/0",
    "/publish/demo/demo/0/{}/0/{}",
    "/publish/demo/demo/0/{}/0",
    "/signal/demo/demo/0/{}/0/{}",
    "/time/{}",
    "/v2/presence/sub-key/demo",
    "/v2/presence/sub_key/demo/channel/{}",
    "/v2/presence/sub-key/demo/channel/{}/heartbeat",
    "/v2/presence/sub-key/demo/channel/{}/leave",
    "/v2/presence/sub-key/demo/channel/{}/uuid/{}",
    "/v2/presence/sub-key/demo/channel/{}/uuid/{}/data",
    "/v2/presence/sub-key/demo/uuid/{}",
    "/v1/channel-registration/sub-key/demo/channel-group",
    "/v1/channel-registration/sub-key/demo/channel-group/{}",
    "/v1/channel-registration/sub-key/demo/channel-group/{}/remove",
    "/v3/history/sub-key/demo/channel/{}",
    "/v3/history-with-actions/sub-key/demo/channel/{}",
    "/v3/history/sub-key/demo/message-counts/{}",
    "/v1/message-actions/demo/channel/{}",
    "/v1/message-actions/demo/channel/{}/message/{}",
    "/v1/message-actions/demo/channel/{}/message/{}/action/{}",
    "/v2/objects/demo/uuids",
    "/v2/objects/demo/channels",
    "/v2/objects/demo/uuids/{}",
    "/v2/objects/demo/channels/{}",
    "/v2/objects/demo/uuids/{}/channels",
    "/v2/objects/demo/channels/{}/uuids",
    "/v3/pam/demo/grant",
    "/v3/pam/demo/grant/{}",
    "/v2/auth/grant/sub-key/demo",
    "/v1/push/sub-key/demo/devices/{}",
    "/v1/files/demo/channels/{}/files",
    "/v2/history/sub-key/demo/channel/{}",
    "/{}/{}/{}",
]
KEYS = [
    "name",
    "custom",
    "set",
    "delete",
    "channel",
    "uuid",
    "id",
    "type",
    "value",
    "ttl",
    "permissions",
    "resources",
]
KEYS += ["patterns", "channels", "meta", "status", "email", "categories"]
REQUESTS = 3000
# Far beyond what a busy machine takes, so that only a response that never comes fails.
MAX_RESPONSE_SECONDS = 30


class Noise:
    """Random requests, reproducible by their seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def part(self) -> str:
        """A piece of a path."""
        choose = self.random.choice
        return quote(choose([choose(NAMES), choose(NUMBERS) or "a", choose(TEXTS)]), safe="%,*")

    def path(self) -> str:
        """A path of some family with a random query."""
        choose = self.random.choice
        path = choose(PATHS)
        for _ in range(path.count("{}")):
            path = path.replace("{}", self.part(), 1)
        query = [self.parameter() for _ in range(self.random.randrange(5))]
        return f"{path}?{'&'.join(query)}"

    def parameter(self) -> str:
        """One parameter with a value that is mostly of its type."""
        choose = self.random.choice
        kind = choose(list(PARAMETERS))
        values = {"numbers": NUMBERS, "names": NAMES, "texts": TEXTS + EXPRESSIONS}
        value = choose(values[kind] if self.random.random() < 0.8 else values[choose(list(values))])
        return f"{choose(PARAMETERS[kind])}={quote(value, safe='%,')}"

    def body(self) -> bytes:
        """A body: mostly JSON with the families' member names in random places."""
        if self.random.random() < 0.2:
            return self.random.choice(TEXTS).encode()
        return json.dumps(self.value(4)).encode()

    def value(self, depth: int) -> Any:
        """A JSON value."""
        choose = self.random.choice
        if depth == 0 or self.random.random() < 0.25:
            return choose([None, True, 0, -1, 5, 10**30, 1.5, "", "a", "x" * 100, "ä", "^(", "u1"])
        if self.random.random() < 0.3:
            return [self.value(depth - 1) for _ in range(self.random.randrange(3))]
        return {choose(KEYS): self.value(depth - 1) for _ in range(self.random.randrange(1, 4))}


async def answered(client: Client, noise: Noise) -> tuple[str, int]:
    """Send one random request; a pending poll is cancelled."""
    method, path = (
        noise.random.choice(["GET", "GET", "GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"]),
        noise.path(),
    )
    headers = noise.random.choice([None, None, {"If-Match": "x"}, {"Content-Encoding": "deflate"}])
    body = noise.body() if method in {"POST", "PATCH"} else b""
    polls = path.startswith("/v2/subscribe")
    try:
        async with asyncio.timeout(0.2 if polls else MAX_RESPONSE_SECONDS):
            async with client.session.request(
                method, _exact(client, path), data=body, headers=headers
            ) as answer:
                text = await answer.read()
    except TimeoutError:
        assert polls, f"{method} {path}: no answer within {MAX_RESPONSE_SECONDS} s"
        return path, 0
    if method != "OPTIONS":
        json.loads(text, parse_constant=_no_constant)
    return f"{method} {path}", answer.status


def _exact(client: Client, path: str) -> URL:
    return URL(f"http://{client.address}{path}", encoded=True)


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize("access_manager", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
async def test_noise_never_breaks_the_origin(seed: int, access_manager: bool) -> None:
    """Thousands of requests over all families; `serving` fails the test when the origin counts a defect."""
    noise = Noise(seed)
    statuses: dict[int, int] = {}
    async with serving(access_manager=access_manager, hold_s=0.05) as client:
        for _ in range(REQUESTS):
            request, status = await answered(client, noise)
            assert status in {0, 501} or status < 500, request
            statuses[status] = statuses.get(status, 0) + 1
    assert statuses[200] > 50
    assert statuses[400] > 50
