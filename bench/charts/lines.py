"""Line charts over time as SVG, one panel above the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from bench.charts.bars import COLOURS

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 860, 190, 60, 170, 44, 34
Line = Sequence[tuple[float, float]]
"""Points (x, y) in order of x."""


def panels(title: str, x_name: str, rows: Sequence[tuple[str, Mapping[str, Line]]]) -> str:
    """A chart with one panel a row, each with its own scale from 0. All share the x axis."""
    height = TOP + len(rows) * (PANEL + GAP) + 10
    right = max((x for _, lines in rows for line in lines.values() for x, _ in line), default=1.0)
    parts = [
        _opening(height),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    for number, (name, lines) in enumerate(rows):
        parts += _panel(name, x_name, lines, (TOP + number * (PANEL + GAP), right))
    return "\n".join([*parts, "</svg>", ""])


def _opening(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">'
    )


def _panel(name: str, x_name: str, lines: Mapping[str, Line], place: tuple[float, float]) -> list[str]:
    top, right = place
    most = max((y for line in lines.values() for _, y in line), default=1.0) * 1.05 or 1.0
    bottom, wide = top + PANEL, WIDTH - LEFT - RIGHT
    parts = [f'<text x="{LEFT}" y="{top - 6}" font-weight="600">{escape(name)}</text>']
    for step in range(5):
        y = bottom - PANEL * step / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#64748b" font-size="10">'
            f"{most * step / 4:,.0f}</text>"
        )
    parts.append(
        f'<text x="{LEFT + wide}" y="{bottom + 14}" text-anchor="end" fill="#64748b" font-size="10">'
        f"{right:,.0f} {escape(x_name)}</text>"
    )
    for at, (label, line) in enumerate(lines.items()):
        colour = (*COLOURS, "#dc2626", "#7c3aed")[at % (len(COLOURS) + 2)]
        points = " ".join(f"{LEFT + wide * x / right:.1f},{bottom - PANEL * y / most:.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            f'<rect x="{WIDTH - RIGHT + 14}" y="{top + 18 * at}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{WIDTH - RIGHT + 30}" y="{top + 18 * at + 9}">{escape(label)}</text>'
        )
    return parts
