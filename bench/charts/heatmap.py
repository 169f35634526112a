"""Heat map of shares as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDE, HIGH, LEFT, TOP = 74, 30, 190, 78
GOOD, BAD = (16, 185, 129), (248, 113, 113)


@dataclass(frozen=True, slots=True)
class Grid:
    """One grid. A cell that is not in `shares` was not measured."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    shares: Mapping[tuple[int, int], float]
    """Share from 0 to 1 by row and column."""


def heatmaps(title: str, across: str, grids: Sequence[Grid], note: str) -> str:
    """Grids below each other; `across` names what the columns are."""
    parts, top = [], TOP
    for grid in grids:
        parts += _grid(grid, top)
        top += HIGH * (len(grid.rows) + 2) + 14
    width = LEFT + WIDE * max(len(grid.columns) for grid in grids) + 20
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" viewBox="0 0 {width} {top}" '
                'font-family="system-ui, sans-serif" font-size="12">'
            ),
            f'<rect width="{width}" height="{top}" fill="#ffffff"/>',
            f'<text x="10" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
            f'<text x="10" y="38" fill="#475569">{escape(across)}</text>',
            *parts,
            f'<text x="10" y="{top - 8}" fill="#475569" font-size="11">{escape(note)}</text>',
            "</svg>",
            "",
        ]
    )


def _grid(grid: Grid, top: int) -> list[str]:
    parts = [f'<text x="10" y="{top - 8}" font-weight="600">{escape(grid.title)}</text>']
    for at, name in enumerate(grid.columns):
        x = LEFT + WIDE * at + WIDE / 2
        parts.append(f'<text x="{x}" y="{top - 8}" text-anchor="middle" fill="#475569">{escape(name)}</text>')
    for row, name in enumerate(grid.rows):
        y = top + HIGH * row
        parts.append(f'<text x="{LEFT - 10}" y="{y + 19}" text-anchor="end">{escape(name)}</text>')
        parts += [_cell(grid.shares.get((row, at)), LEFT + WIDE * at, y) for at in range(len(grid.columns))]
    return parts


def _cell(share: float | None, x: int, y: int) -> str:
    if share is None:
        colour, label = "#f1f5f9", "not run"
    else:
        mixed = [round(bad + (good - bad) * share**3) for good, bad in zip(GOOD, BAD, strict=True)]
        colour, label = f"rgb({mixed[0]},{mixed[1]},{mixed[2]})", f"{_floored(share)} %"
    return (
        f'<rect x="{x + 1}" y="{y + 1}" width="{WIDE - 2}" height="{HIGH - 2}" rx="3" fill="{colour}"/>'
        f'<text x="{x + WIDE / 2}" y="{y + 19}" text-anchor="middle">{label}</text>'
    )


def _floored(share: float) -> str:
    """Percent, rounded down so that only 1 is shown as 100."""
    return f"{int(share * 1000) / 10:g}"
