"""Every JSON example on a page parses, messages fit their schemas, and schemas are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from graph_service.api.app import OWN
from graph_service.api.openapi import document
from pubnub_bridge.api.routes import TABLES
from tests.docs.terminals import ROOT, fences

PAGES = [
    page
    for page in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("*/README.md")]
    if not page.is_relative_to(ROOT / "node_modules")
]
SCHEMAS = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "docs" / "schemas").glob("*.*.json")
}
_SENT = re.compile(r"curl[^\n]*-X (\w+) \"\$api(/[^\"]+)\"[^\n]*-d '([^']+)'")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_json_block_parses_and_messages_fit_their_schemas(page: Path) -> None:
    """A block with a `type` is a message."""
    for language, text in fences(page):
        if language == "json":
            body = json.loads(text)
            if "type" in body:
                Draft202012Validator(SCHEMAS[body["type"]]).validate(body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_bodies_of_curl_commands_fit_the_api_document(page: str) -> None:
    """Checked against the schemas of their routes."""
    whole = document([*OWN, *TABLES])
    sent = _SENT.findall((ROOT / page).read_text("utf-8"))
    assert sent
    for method, path, body in sent:
        route = whole["paths"][re.sub(r"^(/v1/users)/\w+$", r"\1/{id}", path)][method.lower()]
        schema = route["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": whole["components"]}).validate(json.loads(body))


def test_every_published_schema_is_a_valid_json_schema() -> None:
    """Their examples included."""
    assert SCHEMAS
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
        for part in [schema, *schema.get("$defs", {}).values()]:
            for member in part.get("properties", {}).values():
                examples(member, schema)


def examples(member: Any, schema: Any) -> None:
    """A member's examples fit the member."""
    for one in member.get("examples", ()):
        Draft202012Validator(member | {"$defs": schema.get("$defs", {})}).validate(one)
