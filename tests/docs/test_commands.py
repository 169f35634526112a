"""Every command block of README and tutorial runs as written, and every command named on a page exists.

Blocks of language `sh` run in the order of the page. `make test` and the like are looked up, not run.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from local_stack.cli.main import add_commands
from pubnub_bridge.cli.main import app
from tests.docs.terminals import ROOT, Reader, fences, reader, stays

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "friends-presence" / "README.md",
    ROOT / "deploy" / "README.md",
]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
_MAKE = re.compile(r"(?:^|`)make ([a-z0-9-]+)", re.MULTILINE)

runs_it = pytest.mark.timeout(600)


def commands(page: Path) -> list[str]:
    """The blocks to run, in order."""
    return [text for language, text in fences(page) if language == "sh"]


def names() -> set[str]:
    """Every command and subcommand of the console script."""
    whole = typer.Typer()
    whole.registered_commands += app.registered_commands
    whole.registered_groups += app.registered_groups
    if "up" not in {one.name for one in app.registered_commands}:
        add_commands(whole)
    group: Any = typer.main.get_command(whole)
    inner = {f"{name} {sub}" for name, one in group.commands.items() for sub in getattr(one, "commands", {})}
    return set(group.commands) | inner


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """Targets of the Makefile, commands of `friends-presence`."""
    text = page.read_text("utf-8")
    assert set(_MAKE.findall(text)) <= TARGETS
    known = names()
    for named in re.findall(r"\bfriends-presence ((?:[a-z]+(?:\\\||/)?)+)(?: ([a-z]+))?", code(text)):
        first, second = named
        for one in re.split(r"\\\||/", first):
            grouped = {name for name in known if name.startswith(f"{one} ")}
            assert one in known, f"friends-presence {one}"
            assert not grouped or not second or f"{one} {second}" in grouped, (
                f"friends-presence {one} {second}"
            )


def code(text: str) -> str:
    """The text in backticks and fences; prose may use the name in a sentence."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_every_block_has_a_language(page: str) -> None:
    """A block without one would never run."""
    assert fences(ROOT / page)
    assert all(language for language, _ in fences(ROOT / page))


@runs_it
def test_the_readme_runs_as_written(tmp_path: Path) -> None:
    """Everything starts, the five calls make two friends, and the watching one sees the other come online."""
    with reader(tmp_path) as one:
        responses, terminals = typed(one, ROOT / "README.md")
        assert [friend["name"] for friend in responses[-1]["friends"]] == ["Ben"]
        one.sees(terminals["watch"], "Ann.*online")


@runs_it
def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    """Ben sees that Ann came and left, and the last call says why."""
    with reader(tmp_path) as one:
        responses, terminals = typed(one, ROOT / "docs" / "tutorial.md", shown_before_calls="Ann.*online")
        assert responses[-1]["friend"]
        one.presses_ctrl_c(terminals["join"])
        one.sees(terminals["watch"], "Ann.*offline")


def typed(one: Reader, page: Path, shown_before_calls: str = "") -> tuple[list[Any], dict[str, Path]]:
    """Run a whole page; returns the JSON responses in order, and the terminals of running commands by command."""
    responses: list[Any] = []
    terminals: dict[str, Path] = {}
    for block in commands(page):
        target = re.fullmatch(r"make ([a-z0-9-]+)(?: .*)?\n", block)
        if stays(block):
            name = "run" if target else block.split()[1]
            terminals[name] = one.leaves_running(block)
            one.sees(terminals[name], {"run": "ready: http", "join": "is present", "watch": "friends"}[name])
        elif target:
            subprocess.run(["make", "-n", target[1]], cwd=ROOT, check=True, capture_output=True)
        else:
            if shown_before_calls and "watch" in terminals:
                one.sees(terminals["watch"], shown_before_calls)
            responses += documents(one.types(block))
    assert terminals.keys() == {"run", "watch", "join"}
    assert not [one for one in responses if "code" in one], "a call returned a problem"
    return responses, terminals


def documents(text: str) -> Iterator[Any]:
    """JSON documents one after the other."""
    rest = text.strip()
    while rest:
        found, end = json.JSONDecoder().raw_decode(rest)
        yield found
        rest = rest[end:].strip()
