"""The pattern document's examples are generated: messages from their models, the table of query files from `cypher/`.

``python -m tests.unit.test_pattern_document`` writes them again, between the document's markers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from graph_service.model.messages import MESSAGE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "friends-presence" / "README.md"
SCHEMAS = ROOT / "docs" / "schemas"
_MARK = re.compile(r"<!-- message: ([a-z.]+) -->\n(?:```json\n(.*?)\n```\n)?", re.DOTALL)
_TABLE = re.compile(r"<!-- portability -->\n(?:\|.*\n)*")
_JSON = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
_TS = "2026-01-31T09:30:05.123456Z"
_AT = 1769851800000
_ONLINE = {"userId": "ann", "name": "Ann", "at": _AT}
_OFFLINE = {"userId": "ben", "lastSeen": "2026-01-31T09:30:00.000000Z", "at": _AT}
_BODIES: dict[str, tuple[str, dict[str, object]]] = {
    "friend.online": (f"evt_presence_ann_{_AT}", _ONLINE),
    "friend.offline": (f"evt_presence_ben_{_AT}", _OFFLINE),
    "friends.sync": (
        f"evt_sync_ann_{_AT + 5123}",
        {"onlineFriends": ["ben", "cleo"], "totalFriends": 754, "totalOnline": 2},
    ),
    "friend.requested": (
        "evt_relation_ann_ben_1769851805123456",
        {"userId": "ben", "name": "Ben", "requestedBy": "ben"},
    ),
    "friend.added": (
        "evt_relation_ann_ben_1769851805123456",
        {"userId": "ben", "name": "Ben", "online": True, "lastSeen": _OFFLINE["lastSeen"], "at": _AT},
    ),
    "friend.removed": ("evt_relation_ann_ben_1769851805123456", {"userId": "ben", "name": "Ben"}),
    "status.count": (
        "evt_global_count_1769851805",
        {"onlineCount": 512340, "delta": -120, "calculatedAt": _TS, "validFor": 30, "degraded": False},
    ),
}
_CONSTRUCTS = (
    ("A", r"datetime", "MN"),
    ("B", r"\bCALL \(", "MN"),
    ("C", r"\b(?:COUNT|EXISTS) \{", "MN"),
    ("D", r"USING JOIN", "MN"),
    ("E", r"\b(?:elementId|id)\(", "MN"),
    ("F", r"\bSHOW |CONSTRAINT|CALL db\.", "MN"),
    ("G", r"\bFOREACH\b", "N"),
    ("H", r"\[\(\w+\)[^\]]*\]?[-<]", "MN"),
)
"""Code in the document's legend, pattern of the construct, and the databases that are not expected to support it."""


def _example(kind: str) -> dict[str, object]:
    event, payload = _BODIES[kind]
    return {"type": kind, "eventId": event, "ts": _TS, "payload": payload}


def message(kind: str) -> str:
    """The example of a message type, written by its model."""
    if kind == "friend.batch":
        events = [_example("friend.online"), _example("friend.offline")]
        body: dict[str, object] = {"type": kind, "eventId": "evt_batch_cleo_1769851805123456_2", "ts": _TS}
        body["payload"] = {"events": events}
    else:
        body = _example(kind)
    written = MESSAGE.validate_python(body).model_dump(mode="json", by_alias=True, exclude_none=True)
    first = ("type", "schemaVersion", "eventId", "ts", "payload")
    return json.dumps({name: written[name] for name in first}, indent=2)


def portability() -> str:
    """A row for each query file: the constructs that other databases are not expected to run unchanged."""
    rows = ["| file | Neo4j 5.26 | Memgraph (not run) | Neptune (not run) |", "|---|---|---|---|"]
    for path in sorted((ROOT / "cypher").rglob("*.cypher")):
        text = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("//"))
        found = [(code, databases) for code, pattern, databases in _CONSTRUCTS if re.search(pattern, text)]
        memgraph, neptune = (
            "overlay: " + " ".join(code for code, databases in found if database in databases)
            if any(database in databases for _, databases in found)
            else "as is"
            for database in "MN"
        )
        name = path.relative_to(ROOT / "cypher").as_posix()
        rows.append(f"| `{name}` | as is | {memgraph} | {neptune} |")
    return "\n".join(rows) + "\n"


def rewritten(text: str) -> str:
    """The document with every generated part replaced."""
    text = _MARK.sub(lambda m: f"<!-- message: {m[1]} -->\n```json\n{message(m[1])}\n```\n", text)
    return _TABLE.sub(lambda _: f"<!-- portability -->\n{portability()}", text)


def test_every_example_is_written_by_its_model_and_every_query_file_has_its_row() -> None:
    """Generated parts are current; all message types are shown."""
    text = PAGE.read_text("utf-8")
    assert {kind for kind, _ in _MARK.findall(text)} == {
        path.stem for path in SCHEMAS.glob("*.json") if path.stem != "shard"
    }
    assert rewritten(text) == text, "run python -m tests.unit.test_pattern_document"


def test_every_json_block_parses_and_every_message_fits_its_schema() -> None:
    """Blocks with a type are messages and must satisfy the published schema."""
    messages = 0
    for block in _JSON.findall(PAGE.read_text("utf-8")):
        body = json.loads(block)
        if "type" in body:
            schema = json.loads((SCHEMAS / f"{body['type']}.json").read_text("utf-8"))
            Draft202012Validator(schema).validate(body)
            messages += 1
    assert messages == len(_BODIES) + 1


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), encoding="utf-8")
