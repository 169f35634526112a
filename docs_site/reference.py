"""Reference pages generated from the code: the HTTP API from its OpenAPI document, messages from their schemas. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
CALLERS = {"user": "a user's JWT", "service": "the service key", "console": "the console key"}


def api_page(document: Json) -> str:
    """Every route with its authentication, request and responses; then every schema."""
    info = document["info"]
    parts = [f"# HTTP API\n\n{info['description']} Version {info['version']}.\n"]
    parts.append("The same is at `/docs` of a running service, and as a document at `/openapi.json`.\n")
    for path, methods in document["paths"].items():
        parts += [_route(path, method, route) for method, route in methods.items()]
    parts.append("## Schemas\n")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f"### {name}\n\n{_cell(schema.get('description', ''))}\n\n{_members(schema)}")
    return "\n".join(parts)


def messages_page(schemas: Path) -> str:
    """Every message with its members and the whole schema."""
    parts = [
        "# Messages\n\nThe messages that clients receive. The rules for applying them: [pattern](pattern.md#message-contracts).\n"
    ]
    for path in sorted(schemas.glob("*.*.json")):
        schema = json.loads(path.read_text("utf-8"))
        parts.append(f"## {path.stem}\n\n{schema['description']}\n\n{_members(schema)}")
        for name, inner in schema.get("$defs", {}).items():
            parts.append(f"**{name}**: {_cell(inner.get('description', ''))}\n\n{_members(inner)}")
        parts.append(f"Schema: [{path.name}](schemas/{path.name})\n")
    return "\n".join(parts)


def _route(path: str, method: str, route: Json) -> str:
    callers = sorted({name for one in route.get("security", ()) for name in one})
    auth = ", ".join(CALLERS.get(name, name) for name in callers) or "no key"
    lines = [f"## {method.upper()} {path}\n", f"{_sentence(route['summary'])} Called with {auth}.\n"]
    if route.get("description"):
        lines.append(f"{route['description']}\n")
    if parameters := route.get("parameters"):
        lines.append("| parameter | in | what | |\n|---|---|---|---|")
        lines += [_parameter(one) for one in parameters]
        lines.append("")
    if body := route.get("requestBody"):
        lines.append(f"Takes {_content(body)}.\n")
    lines.append("| response | |\n|---|---|")
    lines += [f"| {code} | {_response(one)} |" for code, one in route["responses"].items()]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _parameter(one: Json) -> str:
    must = "required" if one.get("required") else _limits(one["schema"])
    return f"| `{one['name']}` | {one['in']} | {_cell(one.get('description', ''))} | {must} |"


def _response(one: Json) -> str:
    return " ".join(part for part in (_cell(one["description"]), _content(one)) if part)


def _content(one: Json) -> str:
    return ", ".join(_kind(media.get("schema", {})) for media in one.get("content", {}).values())


def _members(schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = [
        f"| `{name}` | {_kind(member)} | {'' if name in required else 'optional'} | {_cell(member.get('description', ''))} |"
        for name, member in schema.get("properties", {}).items()
    ]
    return "| member | is | | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if "components" in schema["$ref"] else f"`{name}`"
    if any_of := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(_kind(one) for one in any_of)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    known = schema.get("const", schema.get("type", "anything"))
    return f"`{known}`" + (f" {limits}" if (limits := _limits(schema)) else "")


def _limits(schema: Json) -> str:
    return ", ".join(_words(schema))


def _words(schema: Json) -> Iterator[str]:
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    for word, sign in (
        ("minimum", "≥"),
        ("maximum", "≤"),
        ("maxLength", "length ≤"),
        ("maxItems", "items ≤"),
    ):
        if word in schema:
            yield f"{sign} {schema[word]}"
    if schema.get("default") is not None:
        yield f"default `{schema['default']}`"


def _cell(text: str) -> str:
    """As one line, for a table."""
    return " ".join(text.split()).replace("|", "\\|")
