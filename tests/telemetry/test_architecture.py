"""The diagram of `docs/architecture.md`: which arrows it shows."""

from __future__ import annotations

import pytest

from docs.rooms import needed, room_imports


def test_implied_arrows_are_left_out() -> None:
    """A room that another one leads to anyway has no arrow of its own."""
    imports = {"hooks": {"verbs", "cells"}, "verbs": {"cells"}}
    assert needed(imports, "hooks") == {"verbs"}
    assert needed(imports, "verbs") == {"cells"}


def test_circle_is_named() -> None:
    """Rooms that import each other in a circle are an error that names them."""
    imports = {"hooks": {"verbs"}, "verbs": {"cells"}, "cells": {"verbs"}}
    with pytest.raises(ValueError, match="verbs → cells → verbs"):
        needed(imports, "hooks")


def test_rooms_are_those_of_the_library() -> None:
    """Each library's hooks are a room, and lead to the verbs; the box is one that leads nowhere."""
    imports = room_imports()
    assert {"instrumentation/celery", "instrumentation/llm"} <= set(imports)
    assert "domains" in imports["instrumentation/sqlalchemy"]
    assert "box" not in imports
