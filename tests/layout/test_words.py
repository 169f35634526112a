"""The field's words stand where the field's patterns are implemented, and private words are gone. Reads files only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPLEMENTED: dict[str, tuple[str, ...]] = {
    "debounce": ("pubnub_bridge/debounce/debouncer.py",),
    "backpressure": ("pubnub_bridge/store/backpressure.py", "pubnub_bridge/ingest/subscriber.py"),
    "backoff": ("graph_service/concurrency/retry.py", "pubnub_bridge/fanout/publisher.py"),
    "circuit breaker": ("pubnub_bridge/fanout/circuit_breaker.py",),
    "load shedding": ("graph_service/concurrency/load_shedding.py",),
    "round robin": ("pubnub_bridge/model/round_robin.py",),
}
"""By word, the files that implement it."""
PRIVATE = re.compile(
    r"\b(who[e]ver|for [e]ver|no[b]ody|of its [o]wn|s[e]ldom|told o[f]|keeps? (its )?di[s]tance|comp[a]ny)\b",
    re.IGNORECASE,
)
"""Each with one letter in brackets, so that neither this line nor a search for the words finds it."""
VALUE = re.compile(r"""["'`=/]no[b]ody\b|\bno[b]ody["'`]""", re.IGNORECASE)
"""The same word as a value: an id in tests, or a member of the API."""
MAX_LINES = 9
FOLDERS = (
    "graph_service", "pubnub_bridge", "local_stack", "bench", "chaos", "cypher", "web", "deploy", "docs", "docs_site",
    "friends-presence", "tests", ".ci",
)  # fmt: skip
TEXTS = frozenset(
    {".py", ".md", ".js", ".mjs", ".html", ".css", ".cypher", ".yaml", ".yml", ".json", ".toml", ".sh"}
)
FIGURES = ROOT / "docs" / "benchmarks"


def files() -> Iterator[Path]:
    """Code, tests, documents and deployment files; no figures, and not the log of changes, which quotes old words."""
    yield from (
        path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"} and path.name != "CHANGELOG.md"
    )
    yield ROOT / "Makefile"
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            hidden = {"node_modules", "__pycache__"} & set(path.parts)
            if path.suffix in TEXTS and path.is_file() and not hidden and FIGURES not in path.parents:
                yield path


def private_lines(text: str) -> list[str]:
    """Lines with a private word that is not a value."""
    return [line for line in text.splitlines() if PRIVATE.search(VALUE.sub("", line))]


def test_the_private_words_are_gone() -> None:
    """A few lines of ordinary English may remain."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files()
        for line in private_lines(path.read_text("utf-8"))
    ]
    assert len(found) <= MAX_LINES, "\n".join(found)


@pytest.mark.parametrize(
    ("word", "path"), [(word, path) for word, paths in IMPLEMENTED.items() for path in paths]
)
def test_a_pattern_is_named_by_the_fields_word_where_it_is_implemented(word: str, path: str) -> None:
    pattern = re.escape(word).replace(r"\ ", r"[\s_-]+")
    assert re.search(rf"\b{pattern}\b", (ROOT / path).read_text("utf-8"), re.IGNORECASE)


def test_a_value_does_not_count_and_a_sentence_does() -> None:
    word = "nob" + "ody"
    assert private_lines(f'post("/v1/session", "{word}")\n`{word}`\n?user={word}\n') == []
    assert private_lines(f"{word} knows\n") == [f"{word} knows"]
