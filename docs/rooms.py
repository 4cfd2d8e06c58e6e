"""The rooms of ``telemetry/`` and which of them imports which, as a diagram for ``docs/architecture.md``."""

from __future__ import annotations

from collections import defaultdict

import grimp

# Everybody guards, and these stand outside: the command line, what tests use, and the public names.
OUTSIDE = {"guard", "steps", "extras", "fork_lock", "compatibility", "deliver", "testing", "cli", "__main__", ""}
HALL = "instrumentation"  # a room for each of its folders

Imports = dict[str, set[str]]


def diagram() -> str:
    """Mermaid: an arrow from each room to those it imports, without arrows that others imply.

    Raises:
        ValueError: If rooms import each other in a circle.
    """
    imports = room_imports()
    boxes = [f'    {_id(room)}["{room}"]' for room in sorted(set(imports).union(*imports.values()))]
    arrows = [(room, other) for room in sorted(imports) for other in sorted(needed(imports, room))]
    drawn = [f"    {_id(room)} --> {_id(other)}" for room, other in arrows]
    return "\n".join(["```mermaid", "flowchart TD", *boxes, *drawn, "```"])


def room_imports() -> Imports:
    """The other rooms that each room imports when it runs."""
    graph = grimp.build_graph("telemetry", exclude_type_checking_imports=True, cache_dir=None)
    found: Imports = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            here, there = _room(module), _room(imported)
            if here != there and not {here, there} & OUTSIDE:
                found[here].add(there)
    return dict(found)


def needed(imports: Imports, room: str) -> set[str]:
    """The rooms that a room imports and that no other one of them leads to."""
    direct = imports[room]
    implied = {further for other in direct for further in _reached(imports, other, (room,))}
    return direct - implied


def _reached(imports: Imports, room: str, way: tuple[str, ...]) -> set[str]:
    """Everything that a room leads to."""
    if room in way:
        raise ValueError(f"rooms import each other in a circle: {' → '.join((*way[way.index(room) :], room))}")
    direct = imports.get(room, set())
    return direct.union(*(_reached(imports, other, (*way, room)) for other in direct))


def _room(module: str) -> str:
    _, *path = module.split(".")
    if path[:1] == [HALL]:
        return "/".join(path[:2]) if path[1:] and path[1] != "assumptions" else ""
    return path[0] if path else ""


def _id(room: str) -> str:
    return room.replace("/", "_")
