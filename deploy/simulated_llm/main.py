"""The process: ``uvicorn deploy.simulated_llm.main:app``; tests may use ``application.create_app`` instead."""

from __future__ import annotations

import os
import sys
from typing import Any

from deploy.simulated_llm.application import create_app
from deploy.simulated_llm.settings import SettingsError, load_settings


def __getattr__(name: str) -> Any:
    """``app`` is made when a server asks for it, so that importing this module needs no settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(load_settings(os.environ))
    except SettingsError as problem:
        sys.exit(f"The simulated LLM vendor cannot start.\n{problem}")
