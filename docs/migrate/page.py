"""Old and new names side by side, for the pages of this folder."""

from __future__ import annotations

from docs.markdown import table
from grafana.rules.compatibility import Gone, Old, Peer


def names(peer: Peer) -> str:
    """A row for each of their metrics: what of ours says the same, or why nothing does."""
    rows = [*map(_row, peer.olds), *map(_gone, peer.gone)]
    return table(["Theirs", "Ours", "Labels", "What differs"], rows)


def _row(old: Old) -> list[str]:
    constant = ", ".join(f'{label}="{value}"' for label, value in old.constant if label != "app_name")
    theirs = f"{old.name}{{{constant}}}" if constant else old.name
    ours = old.spec.name + (f"_{old.part}" if old.part else "") + (f"{{{old.where}}}" if old.where else "")
    return [f"`{theirs}`", f"`{_cell(ours)}`", _labels(old), old.remark]


def _labels(old: Old) -> str:
    renamed = {label.old: label.ours for label in old.labels if label.old != label.ours}
    return ", ".join(f"`{theirs}` → `{ours}`" for theirs, ours in renamed.items())


def _gone(gone: Gone) -> list[str]:
    return [gone.name, "none", "", gone.reason]


def _cell(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("|", "\\|")
