"""Draws the flowcharts of pages, layers from top to bottom, without a script that a browser would have to fetch."""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape

_BOX = re.compile(r'^ *(\w+)\["([^"]+)"\]$', re.MULTILINE)
_ARROW = re.compile(r"^ *(\w+) --> (\w+)$", re.MULTILINE)
_SIGN, _PADDING, _HEIGHT, _GAP, _BETWEEN = 7.3, 10, 28, 14, 64  # pixels
_SWEEPS = 12

Arrows = list[tuple[str, str]]


def drawn(chart: str) -> str:
    """A flowchart of boxes and arrows as an SVG element; colours are those of the page."""
    names, arrows = dict(_BOX.findall(chart)), _ARROW.findall(chart)
    layers = _ordered(_layers(list(names), arrows), arrows)
    widths = {box: _SIGN * len(name) + 2 * _PADDING for box, name in names.items()}
    total = max(sum(widths[box] + _GAP for box in layer) for layer in layers)
    places = _places(layers, widths, total)
    height = len(layers) * (_HEIGHT + _BETWEEN) - _BETWEEN + 2
    lines = "".join(_line(places[one], places[other]) for one, other in arrows)
    boxes = "".join(_box(*places[box], widths[box], names[box]) for box in names)
    return (
        f'<svg class="flowchart" viewBox="0 0 {total:.0f} {height}" role="img" aria-label="Boxes and arrows" '
        f'xmlns="http://www.w3.org/2000/svg">{lines}{boxes}</svg>'
    )


def _layers(boxes: list[str], arrows: Arrows) -> list[list[str]]:
    """Each box below all that point to it, as high as that allows."""
    above = defaultdict(list)
    for one, other in arrows:
        above[other].append(one)

    def depth(box: str) -> int:
        return 1 + max(map(depth, above[box]), default=-1)

    found: dict[int, list[str]] = defaultdict(list)
    for box in boxes:
        found[depth(box)].append(box)
    return [found[level] for level in sorted(found)]


def _ordered(layers: list[list[str]], arrows: Arrows) -> list[list[str]]:
    """With each box near the middle of its neighbours."""
    near = defaultdict(set)
    for one, other in arrows:
        near[one].add(other)
        near[other].add(one)
    for _ in range(_SWEEPS):
        at = {box: (index + 1) / (len(layer) + 1) for layer in layers for index, box in enumerate(layer)}
        for layer in layers:
            layer.sort(key=lambda box: sum(at[other] for other in near[box]) / len(near[box]) if near[box] else at[box])
            at |= {box: (index + 1) / (len(layer) + 1) for index, box in enumerate(layer)}
    return layers


def _places(layers: list[list[str]], widths: dict[str, float], total: float) -> dict[str, tuple[float, float]]:
    """The middle of each box's upper edge."""
    places = {}
    for level, layer in enumerate(layers):
        space = (total - sum(widths[box] for box in layer)) / len(layer)
        x = space / 2
        for box in layer:
            places[box] = x + widths[box] / 2, 1.0 + level * (_HEIGHT + _BETWEEN)
            x += widths[box] + space
    return places


def _box(x: float, y: float, width: float, name: str) -> str:
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y}" width="{width:.1f}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x:.1f}" y="{y + _HEIGHT / 2 + 4}">{escape(name)}</text>'
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    y1 += _HEIGHT
    bend = (y2 - y1) / 2
    tip = f"M{x2 - 4:.1f} {y2 - 7:.1f}L{x2:.1f} {y2:.1f}L{x2 + 4:.1f} {y2 - 7:.1f}"
    return f'<path d="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}{tip}"/>'
