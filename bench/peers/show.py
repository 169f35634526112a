"""Presentation of the comparison: tables of systems and of queries, charts, and the generated page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.charts import bars
from bench.peers.fair import SECTIONS
from bench.peers.quoted import NAKAMA

System = Mapping[str, Any]
Row = tuple[str, Callable[[System], str], str]
"""A row: label, function for the cell of a measured system, cell of the quoted one."""
NONE = "–"
TABLE_BEGIN, TABLE_END = "<!-- peers: written by make bench-peers -->", "<!-- /peers -->"


def best(system: System) -> Mapping[str, Any] | None:
    """The fastest step that passed."""
    passed = [step for step in system["steps"] if step["passed"]]
    return max(passed, key=lambda step: float(step["turnsPerSecond"]), default=None)


def title(system: System) -> str:
    """The heading of a system's column."""
    if not system["holdSeconds"] and not system["windowSeconds"]:
        return str(system["name"])
    usual = "" if system.get("options") else " (defaults)"
    return (
        f"{system['name']}, debounce {system['holdSeconds']:g} s, window {system['windowSeconds']:g} s{usual}"
    )


def systems(parts: Mapping[str, Any]) -> list[System]:
    """The parts of a run that are systems and were not skipped."""
    return [part for part in parts.values() if "steps" in part]


def versions(parts: Mapping[str, Any]) -> dict[str, str]:
    """Versions of everything that ran."""
    found: dict[str, str] = {}
    for part in parts.values():
        found |= part.get("versions", {})
        if "version" in part:
            found[part["name"]] = part["version"]
    return found


def tables(parts: Mapping[str, Any]) -> list[list[list[str]]]:
    """All tables; the first row of each has the headings."""
    made = [systems_table(systems(parts))]
    return made + ([questions_table(parts["questions"])] if "questions" in parts else [])


def results(parts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of the systems' table, by heading."""
    heads, *rows = systems_table(systems(parts))
    return [dict(zip(["what", *heads[1:]], row, strict=True)) for row in rows]


def systems_table(systems: Sequence[System]) -> list[list[str]]:
    """Headings first; the quoted column last."""
    heads = ["", *map(title, systems), "Nakama (quoted, not run here)"]
    return [heads, *([name, *map(cell, systems), quoted] for name, cell, quoted in _rows())]


def compared(text: str, parts: Mapping[str, Any]) -> str:
    """The comparison page with this run's table between its marks."""
    before, _, rest = text.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    rows = "\n".join(_markdown(systems_table(systems(parts))))
    return f"{before}{TABLE_BEGIN}\n\n{rows}\n\n{TABLE_END}{after}"


def questions_table(questions: Mapping[str, Any]) -> list[list[str]]:
    """Milliseconds by query and database."""
    engines = list(questions["versions"])
    rows = [["query, ms", *(f"{engine} p50 / p95" for engine in engines)]]
    for one in questions["results"]:
        cells = [
            f"{one[engine]['p50']:.2f} / {one[engine]['p95']:.2f}" if engine in one else NONE
            for engine in engines
        ]
        rows.append([one["question"], *cells])
    return rows


def _rows() -> list[Row]:
    return [*_at_first(), *_at_best(), *_memory_and_storms()]


def _at_first() -> list[Row]:
    """The slowest step, which is the same load for all systems but Nakama."""
    return [
        ("first step, transitions/s", _first_rate, NONE),
        ("freshness at the first step, p50 / p99 ms", _pair(_first, "p50Ms", "p99Ms"), NONE),
        (
            "freshness at the first step without the debounce time",
            _where_different(_pair(_first, "p50BeyondHoldMs", "p99BeyondHoldMs")),
            NONE,
        ),
        (
            "CPU ms per 1,000 deliveries at the first step, without / with the local origin",
            _pair(_first, "cpuMsPer1000", "cpuMsPer1000WithOrigin"),
            NONE,
        ),
    ]


def _at_best() -> list[Row]:
    reconnects, open_sockets = NAKAMA["reconnects"], NAKAMA["socketsKept"]
    both = {
        name: f"{reconnects[name]:,}; {open_sockets[name]:,}"
        for name in ("deliveriesPerSecond", "cpuMsPer1000", "p99Ms")
    }
    rate = (
        f"{reconnects['turnsPerSecond']} with reconnects; {open_sockets['turnsPerSecond']} with open sockets"
    )
    a_second = f"{1e6 / reconnects['cpuMsPer1000']:,.0f}; {1e6 / open_sockets['cpuMsPer1000']:,.0f}"
    beyond, with_origin = "p99BeyondHoldAndWindowMs", "deliveriesPerCpuSecondWithOrigin"
    return [
        ("fastest step passed, transitions/s", _best("turnsPerSecond"), rate),
        ("first step failed, transitions/s", _failed, NONE),
        ("deliveries/s at the fastest", _best("deliveriesPerSecond"), both["deliveriesPerSecond"]),
        ("deliveries a CPU second of the server", _best("deliveriesPerCpuSecond"), a_second),
        ("the same with the local origin's share", _where_different(_best(with_origin)), NONE),
        ("CPU ms per 1,000 deliveries", _best("cpuMsPer1000"), both["cpuMsPer1000"]),
        ("CPU ms with the local origin's share", _where_different(_best("cpuMsPer1000WithOrigin")), NONE),
        ("freshness at the fastest, p50 / p99 ms", _pair(best, "p50Ms", "p99Ms"), f"p99 {both['p99Ms']}"),
        (
            "freshness without the debounce time",
            _where_different(_pair(best, "p50BeyondHoldMs", "p99BeyondHoldMs")),
            NONE,
        ),
        ("p99 without debounce time and window", _where_different(_best(beyond)), NONE),
    ]


def _memory_and_storms() -> list[Row]:
    storm = " to ".join(f"{one:g} s" for one in NAKAMA["storm"]["allRightSeconds"])
    memory_kib = " to ".join(map(str, NAKAMA["memoryKiBPerOnlineUser"]))
    return [
        ("memory per online user after all connected, KiB", _memory("afterArrival"), memory_kib),
        ("the same after the transitions", _memory("afterTurns"), NONE),
        ("all users connect: all views right", _storm(0), NONE),
        ("all connections break and return: all views right", _storm(1), storm),
        ("all left and friends notified, all return: all views right", _storm(2), NONE),
    ]


def _first(system: System) -> Mapping[str, Any] | None:
    return next(iter(system["steps"]), None)


def _first_rate(system: System) -> str:
    return _number((_first(system) or {}).get("turnsPerSecond"))


def _best(member: str) -> Callable[[System], str]:
    return lambda system: _number((best(system) or {}).get(member))


def _failed(system: System) -> str:
    failed = [step["turnsPerSecond"] for step in system["steps"] if not step["passed"]]
    return _number(failed[0]) if failed else "none of those tried"


def _pair(step: Callable[[System], Mapping[str, Any] | None], low: str, high: str) -> Callable[[System], str]:
    def cell(system: System) -> str:
        found = step(system) or {}
        return f"{_number(found.get(low))} / {_number(found.get(high))}"

    return cell


def _where_different(cell: Callable[[System], str]) -> Callable[[System], str]:
    """For systems with a debounce time or an origin; the others have the figure of the row above."""
    return lambda system: cell(system) if system["holdSeconds"] or system["windowSeconds"] else "the same"


def _memory(when: str) -> Callable[[System], str]:
    def cell(system: System) -> str:
        each: Mapping[str, float] = system["memoryKiBPerOnlineUser"][when]
        return ", ".join(f"{name} {kib:,.0f}" for name, kib in each.items())

    return cell


def _storm(number: int) -> Callable[[System], str]:
    def cell(system: System) -> str:
        if number >= len(system["storms"]):
            return NONE
        storm = system["storms"][number]
        wrong = f"; {storm['wrongViews']} never" if storm["wrongViews"] else ""
        aside = (
            f" ({storm['allRightBeyondHoldSeconds']:.1f} s without the debounce time)"
            if system["holdSeconds"]
            else ""
        )
        return f"{storm['allRightSeconds']:.1f} s{aside}{wrong}"

    return cell


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def charts(systems: Sequence[System]) -> dict[str, str]:
    """SVGs by the ending of their name."""
    cpu = [
        (title(one), {"server": step["cpuMsPer1000"]} | _with_origin(one, step))
        for one in systems
        if (step := best(one)) and step["cpuMsPer1000"]
    ]
    cpu.append(("Nakama, reconnects (quoted)", {"server": NAKAMA["reconnects"]["cpuMsPer1000"]}))
    storms = [
        (f"{title(one)}: {name}", {"all views right": one["storms"][number]["allRightSeconds"]})
        for number, name in ((1, "break"), (2, "gone"))
        for one in systems
        if number < len(one["storms"]) and one["storms"][number]["allRightSeconds"] > 0
    ]
    storms.append(("Nakama (quoted)", {"all views right": NAKAMA["storm"]["allRightSeconds"][1]}))
    return {
        "": bars.bars("CPU of the server for 1,000 deliveries, fastest step passed", "ms", cpu),
        "-storm": bars.bars("900 users drop and return: until all views are right", "s", storms),
    }


def _with_origin(system: System, step: Mapping[str, Any]) -> dict[str, float]:
    return {"with the local origin": step["cpuMsPer1000WithOrigin"]} if "origin" in step["cores"] else {}


def page(document: Mapping[str, Any]) -> str:
    """The page next to the figures."""
    machine, parts = document["machine"], document["parts"]
    lines = [
        "# Compared with peers",
        "",
        (
            f"Written by `{document['command']}` on {document['date']}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memoryGiB']} GiB, load before {machine['loadBefore']:.1f}. Ratios within one run are the claim."
        ),
        *(f"Skipped: {name}, {part['skipped']}." for name, part in parts.items() if "skipped" in part),
        *_apart(document),
        "Figures: [peers.json](peers.json). Terms: [glossary](../glossary.md).",
        "",
        *_markdown(systems_table(systems(parts))),
        "",
        "![CPU of the server](peers.svg)",
        "",
        "![Storms](peers-storm.svg)",
    ]
    if "questions" in parts:
        heading = ["", "## Graph queries, same friendships", ""]
        lines += [*heading, *_markdown(questions_table(parts["questions"]))]
    for head, sentences in SECTIONS.items():
        lines += ["", f"## {head}", "", *(f"- {one}" for one in sentences)]
    return "\n".join([*lines, ""])


def _apart(document: Mapping[str, Any]) -> list[str]:
    """A line for each part from another run, with which figures must not be compared."""
    dates = {name: part.get("run", {}).get("date") for name, part in document["parts"].items()}
    return [
        f"From another run: {name}, {date}."
        for name, date in dates.items()
        if date not in {None, document["date"]}
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    heads, *others = [f"| {' | '.join(row)} |" for row in rows]
    return [heads, "|---" * len(rows[0]) + "|", *others]
