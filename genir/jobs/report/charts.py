"""Charts as inline SVG: a histogram with its thresholds, and lines."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_W, _H = 360, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 8, 24
_HEAD = 14  # above the bars: the words of a limit


def histogram(
    title: str,
    edges: Sequence[float],
    kept: Sequence[int],
    others: Sequence[int],
    bounds: tuple[float | None, float | None],
    note: str,
) -> str:
    """Stacked bars of kept and not kept images between `edges`; a dashed line at each bound."""
    low, high = edges[0], edges[-1]
    tallest = max((a + b for a, b in zip(kept, others, strict=True)), default=0) or 1
    width = (_W - _LEFT - _RIGHT) / len(kept)
    marks = []
    for place, (good, bad) in enumerate(zip(kept, others, strict=True)):
        x, base = _LEFT + place * width, float(_H - _BOTTOM)
        span = f"{_number(edges[place])} to {_number(edges[place + 1])}: {good} kept, {bad} not"
        for count, kind in ((good, "kept"), (bad, "rejected")):
            height = (_H - _TOP - _HEAD - _BOTTOM) * count / tallest
            if height:
                base -= height
                marks.append(
                    f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{base:.1f}" width="{max(width - 1, 0.5):.1f}" '
                    f'height="{height:.1f}"><title>{span}</title></rect>'
                )
    for bound, side in zip(bounds, ("min", "max"), strict=True):
        if bound is not None and low <= bound <= high:
            x = _scale(bound, low, high, _LEFT, _W - _RIGHT)
            anchor = "end" if x > _W * 0.6 else "start"
            marks.append(
                f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_H - _BOTTOM}"/>'
                f'<text class="bound" x="{x + (-4 if anchor == "end" else 4):.1f}" y="{_TOP + 10}" '
                f'text-anchor="{anchor}">{side} {bound:g}</text>'
            )
        elif bound is not None:
            note = f"{side} {bound:g} lies beyond what was seen" + (f"; {note}" if note else "")
    return _figure(title, "".join(marks) + _axis(_number(low), _number(high)), note)


def lines(title: str, series: dict[str, tuple[Sequence[float], Sequence[float]]], note: str, zero: bool = False) -> str:
    """One polyline a name over a shared x axis; `zero` begins the y axis at zero."""
    xs = [x for places, _ in series.values() for x in places]
    ys = [y for _, values in series.values() for y in values if math.isfinite(y)]
    if not xs or not ys:
        return ""
    low, high = min([*ys, 0.0] if zero else ys), max(ys)
    marks = []
    for number, (name, (places, values)) in enumerate(series.items()):
        points = " ".join(
            f"{_scale(x, min(xs), max(xs), _LEFT + 34, _W - _RIGHT):.1f},{_scale(y, low, high, _H - _BOTTOM, _TOP):.1f}"
            for x, y in zip(places, values, strict=True)
            if math.isfinite(y)
        )
        marks.append(f'<polyline class="line line{number}" points="{points}"><title>{escape(name)}</title></polyline>')
    axis = _axis(_number(min(xs)), _number(max(xs)), _LEFT + 34)
    ends = ((high, _TOP + 8), (low, _H - _BOTTOM))
    scale = "".join(f'<text x="{_LEFT}" y="{y}">{_number(value)}</text>' for value, y in ends)
    names = ", ".join(series)
    return _figure(title, "".join(marks) + axis + scale, note or (names if len(series) > 1 else ""))


def _figure(title: str, marks: str, note: str) -> str:
    label = escape(f"{title}. {note}", quote=True)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="{label}">{marks}</svg><p class="note">{escape(note)}</p></figure>'
    )


def _axis(first: str, last: str, left: int = _LEFT) -> str:
    y = _H - _BOTTOM
    return (
        f'<line class="axis" x1="{left}" x2="{_W - _RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{left}" y="{_H - 8}">{first}</text>'
        f'<text x="{_W - _RIGHT}" y="{_H - 8}" text-anchor="end">{last}</text>'
    )


def _scale(value: float, low: float, high: float, start: float, stop: float) -> float:
    return start + (stop - start) * ((value - low) / (high - low) if high > low else 0.5)


def _number(value: float) -> str:
    """1234567 -> "1,234,567"; 0.00012345 -> "0.000123"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
