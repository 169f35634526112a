"""Generate ``docs/benchmarks/README.md`` from the figures next to it: ``python -m bench.report``.

Every number on the page comes from a file of figures, except those in `notes.toml`, which explain where the time goes
and what was tried.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.budgets import Figures, Judgement, judge
from bench.parts import FOLDER, PARTS, Part

NOTES = Path(__file__).with_name("notes.toml")
PROVENANCE_KEYS = frozenset({"command", "date", "machine", "versions", "seconds", "results"})


def readme(files: Mapping[str, Figures], charts: Iterable[str], notes: Mapping[str, str]) -> str:
    """The text of the page."""
    drawn, judgements = set(charts), judge(files)
    parts = [
        "# Benchmarks",
        notes["opening"].strip(),
        "## Budgets",
        _budgets(judgements),
        *_missed(judgements, notes),
        *(_part(part, files[part.file], drawn, notes) for part in _parts(files)),
    ]
    return "\n\n".join(parts) + "\n"


def _parts(files: Mapping[str, Figures]) -> list[Part]:
    """Parts with figures, in the order of the catalogue; then files that are not in it."""
    known = {part.file for part in PARTS}
    others = [Part(file, file.capitalize(), f"make bench-{file}") for file in sorted(set(files) - known)]
    return [part for part in PARTS if part.file in files] + others


def _budgets(judgements: Sequence[Judgement]) -> str:
    lines = []
    for one in judgements:
        budget = one.budget
        figure = "" if one.value is None else f"{number(one.value)} {budget.unit}"
        source = f"[{budget.file}](#{anchor(budget.file)})" if one.value is not None else ""
        verdict = f"**{one.verdict}**" if one.verdict == "missed" else one.verdict
        lines.append([budget.what, budget.text(), figure, verdict, source])
    return markdown(["what", "budget", "figure", "", "from"], lines)


def _missed(judgements: Sequence[Judgement], notes: Mapping[str, str]) -> list[str]:
    """The notes for each missed budget."""
    missed = [one for one in judgements if one.verdict == "missed"]
    if not missed:
        return []
    lines = ["### Missed budgets, and where the time goes"]
    for one in missed:
        key = one.budget.key
        lines.append(f"- **{one.budget.what}**: {notes.get(key, 'not investigated yet').strip()}")
    return ["\n".join([lines[0], "", *lines[1:]])]


def anchor(file: str) -> str:
    """The fragment of a part's heading, as GitHub derives it."""
    title = next((part.title for part in PARTS if part.file == file), file)
    slug = "".join(char for char in title.lower() if char.isalnum() or char in " -_")
    return slug.replace(" ", "-")


def _part(part: Part, figures: Figures, drawn: set[str], notes: Mapping[str, str]) -> str:
    paragraphs = [f"## {part.title}", _provenance(part, figures)]
    if note := notes.get(f"about-{part.file}", ""):
        paragraphs.append(note.strip())
    paragraphs += list(_tables(figures))
    if f"{part.file}.svg" in drawn:
        paragraphs.append(f"![{part.title}]({part.file}.svg)")
    return "\n\n".join(paragraphs)


def _provenance(part: Part, figures: Figures) -> str:
    """The command, and the machine and versions it ran on."""
    known: Mapping[str, Any] = figures if isinstance(figures, Mapping) else {}
    facts = [f"`{part.target}`", f"[figures]({part.file}.json)"]
    if "command" in known:
        facts.append(f"`{known['command']}`")
    facts += [str(known["date"])] if "date" in known else []
    facts += [_machine(known["machine"])] if "machine" in known else []
    facts += [f"{name} {version}" for name, version in known.get("versions", {}).items()]
    for name in ("population", "plan"):
        facts += [_facts_text(known[name])] if name in known else []
    facts += [f"took {known['seconds']} s"] if "seconds" in known else []
    return " · ".join(facts)


def _machine(machine: Any) -> str:
    if not isinstance(machine, Mapping):
        return str(machine)
    words = [f"{machine.get('cores')} cores {machine.get('processor', '')}".strip()]
    words += [f"{machine['memoryGiB']} GiB"] if "memoryGiB" in machine else []
    words += [f"Python {machine['python']}"] if "python" in machine else []
    words += [f"load before {machine['loadBefore']:.1f}"] if "loadBefore" in machine else []
    return ", ".join(words)


def _facts_text(facts: Mapping[str, Any]) -> str:
    plain_facts = {key: value for key, value in facts.items() if not isinstance(value, list | tuple | dict)}
    return ", ".join(f"{key} {number(value)}" for key, value in plain_facts.items())


def _tables(figures: Figures) -> Iterable[str]:
    """A table of the results and of every other list of records."""
    if isinstance(figures, list):
        yield of_rows(figures)
        return
    if results := figures.get("results"):
        yield of_rows(results)
    for name, value in figures.items():
        if name not in PROVENANCE_KEYS and _is_rows(value) and len(value) <= 60:
            yield f"**{_spaced(name)}**\n\n{of_rows(value)}"
    if not results:
        plain = {
            k: v for k, v in figures.items() if isinstance(v, int | float | str) and k not in PROVENANCE_KEYS
        }
        yield of_rows([{"what": _spaced(key), "figure": value} for key, value in plain.items()])


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of records. Nested mappings are shown one level deep."""
    flat = [_flat(one) for one in rows]
    headings = list(dict.fromkeys(name for one in flat for name in one))
    headings = [name for name in headings if any(one.get(name) not in {None, ""} for one in flat)]
    return markdown(headings, [[number(one.get(name, "")) for name in headings] for one in flat])


SHOWN_INSIDE = ("p50", "p95", "p99", "perSecond")
"""The columns of a timing; the file has more."""


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    page: dict[str, Any] = {}
    for name, value in one.items():
        if isinstance(value, Mapping):
            inside = {key: v for key, v in value.items() if not isinstance(v, Mapping | list)}
            if "p50" in inside:
                inside = {key: inside[key] for key in SHOWN_INSIDE if key in inside}
            page |= {f"{_spaced(name)} {key}": v for key, v in inside.items()}
        elif not isinstance(value, list):
            page[_spaced(name)] = value
    return page


def _spaced(name: str) -> str:
    """`deliveriesPerSecond` as separate words."""
    return re.sub(r"(?<=[a-z])[A-Z](?![A-Z])", lambda judgements: f" {judgements[0].lower()}", name).replace(
        "_", " "
    )


def number(value: Any) -> str:
    """Four significant digits, with thousands separators; texts unchanged."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(headings), "|" + "---|" * len(headings), *map(line, rows)])


def page(folder: Path = FOLDER, notes: Path = NOTES) -> str:
    """The page for a folder of figures."""
    files = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    charts = [path.name for path in folder.glob("*.svg")]
    return readme(files, charts, tomllib.loads(notes.read_text("utf-8")))


def main(folder: Annotated[Path, typer.Argument(help="Folder of the figures.")] = FOLDER) -> None:
    """Write the page."""
    (folder / "README.md").write_text(page(folder), encoding="utf-8")
    typer.echo(folder / "README.md")


if __name__ == "__main__":
    typer.run(main)
