"""What a process loads before it forks a pool, so that its children share it instead of loading it one by one."""

from __future__ import annotations

import sys
from importlib import import_module

from telemetry import guard

_HOOKS = {"sqlalchemy": "telemetry.instrumentation.sqlalchemy.engine"}
_LLM_CLIENTS = ("anthropic", "litellm", "openai")


def preload() -> None:
    """Load the hooks on libraries that are there, and where there is a client of an LLM vendor, the prices (21 MiB)."""
    for library, hooks in _HOOKS.items():
        if library in sys.modules:
            with guard.guarded("loading hooks before a fork"):
                import_module(hooks)
    if any(client in sys.modules for client in _LLM_CLIENTS):
        with guard.guarded("loading prices before a fork"):
            from telemetry.instrumentation.llm import pricing

            pricing.load()
