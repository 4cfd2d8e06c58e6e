"""The series of a module's metrics as text, to keep in a file that a test compares and a review shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

from telemetry.catalogue import BUILT_IN, Catalogue, HistogramSpec, Spec
from telemetry.catalogue.loading import Module, extended
from telemetry.catalogue.reference import PROMETHEUS_TYPE
from telemetry.testing.capturing import captured
from telemetry.testing.failure import shown

UPDATE = "UPDATE_GOLDEN"


def golden(*modules: Module) -> str:
    """Every metric that modules declare, as text: kind, meaning, labels with their bounds, buckets, zero series.

    Args:
        modules: Modules that declare metrics, or their dotted names.

    Raises:
        CatalogueError: If a module cannot be in the catalogue.
    """
    catalogue = extended(Catalogue(), modules)
    with captured(catalogue=[module for module in catalogue.modules if module not in BUILT_IN.modules]) as recorded:
        recorded.telemetry.instruments.declare_closed()
        zeros = {spec.name: sorted(recorded.series(spec.name, zeros=True)) for spec in catalogue.specs}
    return "\n".join(line for spec in catalogue.specs for line in _lines(spec, zeros[spec.name]))


def _lines(spec: Spec[Any], zeros: list[Any]) -> Iterator[str]:
    yield f"# {spec.name} {PROMETHEUS_TYPE[spec.kind].lower()}, {spec.kind}: {spec.help}"
    for label in spec.label_set():
        bound = "|".join(label.values) if label.budget is None else f"at most {label.budget.limit}"
        yield f"#   {label.name}: {bound}, else {label.overflow}"
    if isinstance(spec, HistogramSpec):
        yield "#   le: " + " ".join(f"{bound:g}" for bound in spec.buckets)
    for key in zeros:
        yield f"{shown(spec.name, key)} 0"
    yield ""


def assert_golden(path: Path | str, *modules: Module) -> None:
    """Assert that a file has what ``golden()`` says of these modules; with ``UPDATE_GOLDEN=1`` write it instead.

    Raises:
        AssertionError: If it differs, with the difference and the remedy.
    """
    __tracebackhide__ = True
    file, text = Path(path), golden(*modules)
    if os.environ.get(UPDATE):
        file.write_text(text)
    before = file.read_text() if file.exists() else ""
    if before != text:
        difference = "\n".join(
            unified_diff(before.splitlines(), text.splitlines(), str(file), "declared", lineterm="", n=1)
        )
        raise AssertionError(f"{file} is not what is declared; run this test with {UPDATE}=1 to write it\n{difference}")
