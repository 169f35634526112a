"""The documentation's site builds from the pages as they are, whole and without a broken link."""

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
    """What a page loads and leads to, and the places in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loads: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links, images, scripts, ids."""
        given = dict(attrs)
        self.places |= {given[name] or "" for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag in {"img", "script", "source"} and (found := given.get("src") or given.get("srcset")):
            self.loads.append(found)
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preconnect"}:
            self.loads.append(given["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    """Every page of the built site."""
    first = build(tmp_path_factory.mktemp("site"))
    return {page.resolve(): Links(page) for page in first.parent.rglob("*.html")}


def test_every_page_of_the_repository_is_a_page_of_the_site(site: dict[Path, Links]) -> None:
    """And the two references."""
    names = {page.name for page in site}
    assert {"api.html", "messages.html", "pattern.html", "tutorial.html", "changelog.html"} <= names
    assert len(site) >= len(pages()) + 2


def test_every_link_and_picture_is_there_and_nothing_comes_from_elsewhere(site: dict[Path, Links]) -> None:
    """Files, and the places behind a #; no script, style, font or picture of another server."""
    for page, found in site.items():
        if page.name == "404.html":
            continue
        for link in [*found.links, *found.loads]:
            if re.match(r"(https?|mailto):", link):
                assert link not in found.loads, f"{page.name} loads {link}"
                continue
            name, _, place = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{page.name}: {link}"
            assert not place or target not in site or place in site[target].places, f"{page.name}: {link}"


def test_the_references_say_everything_that_the_code_says() -> None:
    """Every route, every schema, every message and every member of each."""
    whole = document([*OWN, *TABLES])
    text = api_page(whole)
    for path, methods in whole["paths"].items():
        assert all(f"## {method.upper()} {path}\n" in text for method in methods)
    assert all(f"### {name}\n" in text for name in whole["components"]["schemas"])
    told = messages_page(ROOT / "docs" / "schemas")
    for schema in (ROOT / "docs" / "schemas").glob("*.*.json"):
        body = json.loads(schema.read_text("utf-8"))
        assert f"## {schema.stem}\n" in told
        for inner in body["$defs"].values():
            assert all(f"| `{member}` |" in told for member in inner.get("properties", ()))


def test_a_link_to_a_file_that_is_no_page_becomes_its_name() -> None:
    """A page's stays one, wherever the page went."""
    known = {"docs/concepts.md": "concepts.md", "friends-presence/README.md": "pattern.md"}
    text = "[the walk](../docs/concepts.md#the-walk), [code](../pubnub_bridge/client/friend_list.py)\n```sh\n[a](b)\n```\n"
    assert linked(text, "friends-presence/README.md", known) == (
        "[the walk](concepts.md#the-walk), code\n```sh\n[a](b)\n```\n"
    )
