"""Flowcharts of the site."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

from docs.rooms import diagram
from docs.site.drawing import drawn


def test_every_box_and_arrow_is_drawn() -> None:
    """The architecture's flowchart has a box for each room with its name in it, a line for each arrow, and all of it is inside."""
    chart = diagram()
    picture = ET.fromstring(drawn(chart))
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes, names, lines = (picture.findall(f"{{*}}{tag}") for tag in ("rect", "text", "path"))
    assert sorted(str(name.text) for name in names) == sorted(re.findall(r'\["(.*)"\]', chart))
    assert len(lines) == chart.count("-->")
    for box in boxes:
        x, y, wide, high = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0, box.attrib
        assert x + wide <= width, box.attrib
        assert y >= 0, box.attrib
        assert y + high <= height, box.attrib


def test_boxes_do_not_overlap() -> None:
    """Boxes of one layer have room between them."""
    picture = ET.fromstring(drawn(diagram()))
    layers: dict[str, list[tuple[float, float]]] = {}
    for box in picture.findall("{*}rect"):
        left = float(box.attrib["x"])
        layers.setdefault(box.attrib["y"], []).append((left, left + float(box.attrib["width"])))
    for layer in layers.values():
        layer.sort()
        assert all(one[1] < other[0] for one, other in pairwise(layer))
