"""The figures for people: one table of systems, one of questions, charts, and the page that holds them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.charts import bars
from bench.peers.fair import SECTIONS
from bench.peers.quoted import NAKAMA

System = Mapping[str, Any]
Said = tuple[str, Callable[[System], str], str]
"""A row: what, the cell of a system that ran, the quoted one's."""
NONE = "–"
BEGINS, ENDS = "<!-- peers: written by make bench-peers -->", "<!-- /peers -->"


def best(system: System) -> Mapping[str, Any] | None:
    """The fastest step that was passed."""
    passed = [step for step in system["steps"] if step["passed"]]
    return max(passed, key=lambda step: float(step["turnsPerSecond"]), default=None)


def title(system: System) -> str:
    """A column's head."""
    if not system["holdSeconds"] and not system["windowSeconds"]:
        return str(system["name"])
    usual = "" if system.get("options") else " (defaults)"
    return f"{system['name']}, hold {system['holdSeconds']:g} s, window {system['windowSeconds']:g} s{usual}"


def systems(parts: Mapping[str, Any]) -> list[System]:
    """Those of a run's parts that are systems and were not skipped."""
    return [part for part in parts.values() if "steps" in part]


def versions(parts: Mapping[str, Any]) -> dict[str, str]:
    """Of everything that ran."""
    found: dict[str, str] = {}
    for part in parts.values():
        found |= part.get("versions", {})
        if "version" in part:
            found[part["name"]] = part["version"]
    return found


def tables(parts: Mapping[str, Any]) -> list[list[list[str]]]:
    """All there is to show, heads first."""
    made = [systems_table(systems(parts))]
    return made + ([questions_table(parts["questions"])] if "questions" in parts else [])


def results(parts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of the systems' table, by their heads."""
    heads, *rows = systems_table(systems(parts))
    return [dict(zip(["what", *heads[1:]], row, strict=True)) for row in rows]


def systems_table(systems: Sequence[System]) -> list[list[str]]:
    """Heads first; the quoted column last."""
    heads = ["", *map(title, systems), "Nakama (quoted, not run here)"]
    return [heads, *([name, *map(cell, systems), quoted] for name, cell, quoted in _rows())]


def compared(text: str, parts: Mapping[str, Any]) -> str:
    """The page of comparisons with this run's table between its marks."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    rows = "\n".join(_markdown(systems_table(systems(parts))))
    return f"{before}{BEGINS}\n\n{rows}\n\n{ENDS}{after}"


def questions_table(questions: Mapping[str, Any]) -> list[list[str]]:
    """Milliseconds by question and engine."""
    engines = list(questions["versions"])
    rows = [["question, ms", *(f"{engine} p50 / p95" for engine in engines)]]
    for one in questions["results"]:
        cells = [
            f"{one[engine]['p50']:.2f} / {one[engine]['p95']:.2f}" if engine in one else NONE
            for engine in engines
        ]
        rows.append([one["question"], *cells])
    return rows


def _rows() -> list[Said]:
    return [*_at_first(), *_at_best(), *_kept()]


def _at_first() -> list[Said]:
    """The slowest step, which is the same load for all; Nakama's was another."""
    return [
        ("first step, turns/s", _first_rate, NONE),
        ("freshness at the first step, p50 / p99 ms", _pair(_first, "p50Ms", "p99Ms"), NONE),
        (
            "freshness at the first step without the hold",
            _ours(_pair(_first, "p50BeyondHoldMs", "p99BeyondHoldMs")),
            NONE,
        ),
        (
            "CPU ms per 1,000 deliveries at the first step, without / with the local origin",
            _pair(_first, "cpuMsPer1000", "cpuMsPer1000WithOrigin"),
            NONE,
        ),
    ]


def _at_best() -> list[Said]:
    real, kept = NAKAMA["reconnects"], NAKAMA["socketsKept"]
    both = {
        name: f"{real[name]:,}; {kept[name]:,}" for name in ("deliveriesPerSecond", "cpuMsPer1000", "p99Ms")
    }
    rate = f"{real['turnsPerSecond']} with reconnects; {kept['turnsPerSecond']} sockets kept"
    a_second = f"{1e6 / real['cpuMsPer1000']:,.0f}; {1e6 / kept['cpuMsPer1000']:,.0f}"
    beyond, with_origin = "p99BeyondHoldAndWindowMs", "deliveriesPerCpuSecondWithOrigin"
    return [
        ("fastest step passed, turns/s", _best("turnsPerSecond"), rate),
        ("first step failed, turns/s", _failed, NONE),
        ("deliveries/s at the fastest", _best("deliveriesPerSecond"), both["deliveriesPerSecond"]),
        ("deliveries a CPU second of the server", _best("deliveriesPerCpuSecond"), a_second),
        ("the same with the local origin's share", _ours(_best(with_origin)), NONE),
        ("CPU ms per 1,000 deliveries", _best("cpuMsPer1000"), both["cpuMsPer1000"]),
        ("CPU ms with the local origin's share", _ours(_best("cpuMsPer1000WithOrigin")), NONE),
        ("freshness at the fastest, p50 / p99 ms", _pair(best, "p50Ms", "p99Ms"), f"p99 {both['p99Ms']}"),
        ("freshness without the hold", _ours(_pair(best, "p50BeyondHoldMs", "p99BeyondHoldMs")), NONE),
        ("p99 without hold and window", _ours(_best(beyond)), NONE),
    ]


def _kept() -> list[Said]:
    storm = " to ".join(f"{one:g} s" for one in NAKAMA["storm"]["allRightSeconds"])
    memory = " to ".join(map(str, NAKAMA["memoryKiBPerOnlineUser"]))
    return [
        ("memory an online user after the arrival, KiB", _memory("afterArrival"), memory),
        ("the same after the turns", _memory("afterTurns"), NONE),
        ("everybody arrives: all views right", _storm(0), NONE),
        ("all connections break and return: all views right", _storm(1), storm),
        ("all gone and told of, all return: all views right", _storm(2), NONE),
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


def _ours(cell: Callable[[System], str]) -> Callable[[System], str]:
    """Said of systems that have a hold or an origin; the others' figure is the row above."""
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
            f" ({storm['allRightBeyondHoldSeconds']:.1f} s without the hold)" if system["holdSeconds"] else ""
        )
        return f"{storm['allRightSeconds']:.1f} s{aside}{wrong}"

    return cell


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def charts(systems: Sequence[System]) -> dict[str, str]:
    """SVGs by the end of their name."""
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
        "-storm": bars.bars("900 people drop and return: until all views are right", "s", storms),
    }


def _with_origin(system: System, step: Mapping[str, Any]) -> dict[str, float]:
    return {"with the local origin": step["cpuMsPer1000WithOrigin"]} if "origin" in step["cores"] else {}


def page(kept: Mapping[str, Any]) -> str:
    """The document beside the figures."""
    machine, parts = kept["machine"], kept["parts"]
    lines = [
        "# Beside peers",
        "",
        (
            f"Written by `{kept['command']}` on {kept['date']}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memoryGiB']} GiB, load before {machine['loadBefore']:.1f}. Ratios within one run are the claim."
        ),
        *(f"Skipped: {name}, {part['skipped']}." for name, part in parts.items() if "skipped" in part),
        *_apart(kept),
        "Figures: [peers.json](peers.json). What the words mean: [concepts](../concepts.md).",
        "",
        *_markdown(systems_table(systems(parts))),
        "",
        "![CPU of the server](peers.svg)",
        "",
        "![Storms](peers-storm.svg)",
    ]
    if "questions" in parts:
        heading = ["", "## The graph's questions, same friends", ""]
        lines += [*heading, *_markdown(questions_table(parts["questions"]))]
    for head, sentences in SECTIONS.items():
        lines += ["", f"## {head}", "", *(f"- {one}" for one in sentences)]
    return "\n".join([*lines, ""])


def _apart(kept: Mapping[str, Any]) -> list[str]:
    """The parts that are from another run, between which and these there is no ratio."""
    dates = {name: part.get("run", {}).get("date") for name, part in kept["parts"].items()}
    return [
        f"From another run: {name}, {date}."
        for name, date in dates.items()
        if date not in {None, kept["date"]}
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    heads, *others = [f"| {' | '.join(row)} |" for row in rows]
    return [heads, "|---" * len(rows[0]) + "|", *others]
