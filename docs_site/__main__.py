"""``make site``: copy the pages into a folder, generate the references, and build with zensical.

The Markdown is the repository's. A link to a page of the site stays a link; one to a file that is no page becomes its
name, since the site must not name the repository's address. The site loads nothing from other servers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from docs_site.reference import api_page, messages_page
from graph_service.api.app import OWN
from graph_service.api.openapi import document
from pubnub_bridge.api.routes import TABLES

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "friends-presence/README.md": "pattern.md",
    "deploy/README.md": "deploy.md",
}
"""Pages outside docs/, and their names in the site."""
NAV = (
    ("Begin", ("index.md", "overview.md", "tutorial.md")),
    ("Integrate", ("integrate.md", "client.md", "api.md", "messages.md")),
    (
        "Operate",
        ("operate.md", "deploy.md", "settings.md", "console.md", "security.md", "chaos.md", "runbook/*"),
    ),
    (
        "Understand",
        (
            "concepts.md",
            "storms.md",
            "architecture.md",
            "glossary.md",
            "pattern.md",
            "origin.md",
            "decisions/*",
            "contributing.md",
        ),
    ),
    ("Decide", ("comparison.md", "benchmarks/*", "changelog.md")),
)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_SOURCE = re.compile(r'(src(?:set)?)="([^"]+)"')
_FENCES = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def pages() -> dict[str, str]:
    """The name in the site of every page, by its path in the repository."""
    inside = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    named = {source: re.sub(r"(^|/)README\.md$", r"\1index.md", name) for source, name in inside.items()}
    return named | OUTSIDE


def files() -> dict[str, str]:
    """The same of pictures, schemas and figures that pages show or link to."""
    kinds = {".svg", ".png", ".json"}
    return {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in kinds
    }


def linked(text: str, source: str, known: dict[str, str]) -> str:
    """A page's text with the links of the site."""

    def place(link: str) -> str | None:
        if re.match(r"[a-z]+:", link) or link.startswith("#"):
            return link
        name, _, heading = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(source), name))  # noqa: PTH118, PTH120 - no file
        target = {"docs/schemas": "messages.md"}.get(target, target)
        found = known.get(target) or known.get(f"{target}/README.md")
        if found is None:
            return None
        here = os.path.relpath(found, os.path.dirname(known[source]) or ".")  # noqa: PTH120
        return here + (f"#{heading}" if heading else "")

    def one(match: re.Match[str]) -> str:
        mark, words, link = match.groups()
        there = place(link)
        return words if there is None else f"{mark}[{words}]({there})"

    parts = _FENCES.split(text)
    # The theme would load Mermaid from another server; the text of a diagram is readable too.
    parts[1::2] = [part.replace("```mermaid", "```text", 1) for part in parts[1::2]]
    parts[::2] = [
        _SOURCE.sub(lambda m: f'{m[1]}="{place(m[2]) or m[2]}"', _LINK.sub(one, part)) for part in parts[::2]
    ]
    return "".join(parts)


def copy_pages(folder: Path) -> Path:
    """Write every page, picture and reference to `folder`/docs, and zensical's configuration; returns its path."""
    to = folder / "docs"
    shutil.rmtree(folder, ignore_errors=True)
    known = pages() | files()
    for source, name in known.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            text = linked((ROOT / source).read_text("utf-8"), source, known)
            (to / name).write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(ROOT / source, to / name)
    (to / "api.md").write_text(api_page(document([*OWN, *TABLES])), encoding="utf-8")
    (to / "messages.md").write_text(messages_page(ROOT / "docs" / "schemas"), encoding="utf-8")
    configuration = folder / "zensical.toml"
    configuration.write_text(zensical_configuration(to), encoding="utf-8")
    return configuration


def zensical_configuration(docs: Path) -> str:
    """zensical's options: the order of the pages, light and dark, and no external fonts."""
    nav = ",\n".join(
        f'  {{ "{title}" = {json.dumps([page for pattern in patterns for page in _listed(docs, pattern)])} }}'
        for title, patterns in NAV
    )
    return f"""[project]
site_name = "friends-presence"
docs_dir = "docs"
site_dir = "site"
use_directory_urls = false
nav = [
{nav}
]

[project.theme]
font = false
features = ["navigation.sections", "navigation.top", "content.code.copy", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
"""


def _listed(docs: Path, pattern: str) -> list[str]:
    """The pages of a name or of a folder, its index first."""
    if not pattern.endswith("/*"):
        return [pattern]
    found = sorted(path.relative_to(docs).as_posix() for path in docs.glob(pattern) if path.suffix == ".md")
    return sorted(found, key=lambda name: not name.endswith("index.md"))


def build(folder: Path) -> Path:
    """Build the site in `folder`; returns the path of its first page. Raises SystemExit where zensical fails."""
    configuration = copy_pages(folder)
    program = Path(sys.executable).with_name("zensical")
    command: list[str | Path] = [program, "build", "--strict", "--clean", "--config-file", configuration]
    ran = subprocess.run(  # noqa: S603 - fixed arguments
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(ran.stdout + ran.stderr)
    return folder / "site" / "index.html"


def built_pages(first: Path) -> Iterator[str]:
    """The pages of a built site."""
    yield from sorted(path.relative_to(first.parent).as_posix() for path in first.parent.rglob("*.html"))


def main(to: Annotated[Path, typer.Option(help="Where it is built.")] = Path("build/docs")) -> None:
    """Build the documentation site and list its pages."""
    first = build(to.absolute())
    names = list(built_pages(first))
    typer.echo("\n".join(names))
    typer.echo(f"{len(names)} pages: {first}")


if __name__ == "__main__":
    typer.run(main)
