"""The place in memory where Linux lets files be made."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path("/dev/shm")

MEMORY = _SHARED if _SHARED.is_dir() else None
"""``None`` where there is no such place; the library keeps its counts there in production."""
