"""The documentation site builds from the pages as they are, complete and without a broken link."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs_site.__main__ import build, linked, pages
from docs_site.reference import api_page, messages_page
from graph_service.api.app import OWN
from graph_service.api.openapi import document
from pubnub_bridge.api.routes import TABLES
from tests.docs.terminals import ROOT


class Links(HTMLParser):
    """What a page loads and links to, and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links, images, scripts, ids."""
        attributes = dict(attrs)
        self.anchors |= {attributes[name] or "" for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"] or "")
        if tag in {"img", "script", "source"} and (
            found := attributes.get("src") or attributes.get("srcset")
        ):
            self.loads.append(found)
        if tag == "link" and attributes.get("rel") in {"stylesheet", "icon", "preconnect"}:
            self.loads.append(attributes["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    """Every page of the built site."""
    first = build(tmp_path_factory.mktemp("site"))
    return {page.resolve(): Links(page) for page in first.parent.rglob("*.html")}


def test_every_page_of_the_repository_is_a_page_of_the_site(site: dict[Path, Links]) -> None:
    """The two reference pages included."""
    names = {page.name for page in site}
    assert {"api.html", "messages.html", "pattern.html", "tutorial.html", "changelog.html"} <= names
    assert len(site) >= len(pages()) + 2


def test_every_link_and_picture_exists_and_nothing_is_loaded_from_another_server(
    site: dict[Path, Links],
) -> None:
    """Files and anchors exist; no script, style, font or picture comes from another server."""
    for page, found in site.items():
        if page.name == "404.html":
            continue
        for link in [*found.links, *found.loads]:
            if re.match(r"(https?|mailto):", link):
                assert link not in found.loads, f"{page.name} loads {link}"
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or target not in site or anchor in site[target].anchors, f"{page.name}: {link}"


def test_the_reference_pages_contain_everything_in_the_code() -> None:
    """Every route, every schema, every message and every member of each."""
    whole = document([*OWN, *TABLES])
    text = api_page(whole)
    for path, methods in whole["paths"].items():
        assert all(f"## {method.upper()} {path}\n" in text for method in methods)
    assert all(f"### {name}\n" in text for name in whole["components"]["schemas"])
    messages = messages_page(ROOT / "docs" / "schemas")
    for schema in (ROOT / "docs" / "schemas").glob("*.*.json"):
        body = json.loads(schema.read_text("utf-8"))
        assert f"## {schema.stem}\n" in messages
        for inner in body["$defs"].values():
            assert all(f"| `{member}` |" in messages for member in inner.get("properties", ()))


def test_a_link_to_a_file_that_is_no_page_becomes_its_name() -> None:
    """A link to a page follows the page."""
    known = {"docs/concepts.md": "concepts.md", "friends-presence/README.md": "pattern.md"}
    text = "[the pipeline](../docs/concepts.md#the-pipeline), [code](../pubnub_bridge/client/friend_list.py)\n```sh\n[a](b)\n```\n"
    assert linked(text, "friends-presence/README.md", known) == (
        "[the pipeline](concepts.md#the-pipeline), code\n```sh\n[a](b)\n```\n"
    )
