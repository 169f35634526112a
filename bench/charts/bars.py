"""Grouped bar chart as SVG, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#2563eb", "#94a3b8", "#f59e0b", "#10b981")
BAR, GAP, LEFT, RIGHT, TOP = 13, 12, 250, 90, 54
WIDTH = 860


def bars(title: str, unit: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """A chart with one group a row and one bar a series. Every value must be positive."""
    series = list(dict.fromkeys(name for _, values in rows for name in values))
    values = [value for _, group in rows for value in group.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.001))
    height = TOP + sum(len(group) * BAR + GAP for _, group in rows) + 10
    parts = [
        _opening(height),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
        *_legend(series),
        *_scale(low, high, unit, height),
    ]
    top = TOP
    for name, group in rows:
        parts.append(f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{escape(name)}</text>')
        for one, value in group.items():
            x = _x(value, low, high)
            parts.append(
                f'<rect x="{LEFT}" y="{top}" width="{max(1.0, x - LEFT):.1f}" height="{BAR - 2}" '
                f'fill="{COLOURS[series.index(one) % len(COLOURS)]}"/>'
                f'<text x="{x + 5:.1f}" y="{top + 10}" font-size="10">{value:,.4g}</text>'
            )
            top += BAR
        top += GAP
    return "\n".join([*parts, "</svg>", ""])


def _opening(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">'
    )


def _x(value: float, low: int, high: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / max(1, high - low)


def _legend(series: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{LEFT + 130 * at}" y="28" width="10" height="10" fill="{COLOURS[at % len(COLOURS)]}"/>'
        f'<text x="{LEFT + 130 * at + 15}" y="37">{escape(name)}</text>'
        for at, name in enumerate(series)
    ]


def _scale(low: int, high: int, unit: str, height: int) -> list[str]:
    lines = []
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{height - 6}" stroke="#e2e8f0"/>'
            f'<text x="{x:.1f}" y="{TOP - 6}" text-anchor="middle" fill="#64748b" font-size="10">'
            f"{10.0**power:g} {escape(unit)}</text>"
        )
    return lines
