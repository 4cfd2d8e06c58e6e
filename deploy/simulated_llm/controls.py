"""Reads what a test asks for in a prompt, such as ``[[error:500]]``; carrying it out is ``fate``'s business."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from deploy.simulated_llm.fate import Controls
from deploy.simulated_llm.faults import VendorError

_CONTROL = re.compile(r"\[\[(error|hang|tokens|drop|tool|language)(?::([^\[\]]*))?\]\]")
_STATUSES = frozenset({400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529})
_MOST_TOKENS = 100_000
_LONGEST_HANG = 600.0


def read_controls(*texts: str) -> Controls:
    """Collect the controls in some texts.

    Raises:
        VendorError: 400, a control is known but what it says is not understood.
    """
    controls = Controls()
    for name, argument in (match for text in texts for match in _CONTROL.findall(text)):
        try:
            controls = replace(controls, **_parse(name, argument))
        except ValueError:
            sentence = f"The control [[{name}:{argument}]] is not understood; see deploy/simulated_llm/__init__.py."
            raise VendorError(400, sentence) from None
    return controls


def _parse(name: str, argument: str) -> dict[str, Any]:
    if name == "error":
        status, _, times = argument.partition(":")
        return {"error": _status(status), "error_times": _whole(times) if times else None}
    if name == "hang":
        return {"hang": _seconds(argument)}
    if name == "tokens":
        return {"tokens": max(1, _whole(argument))}
    if name == "drop":
        return {"drop": True, "drop_after": _whole(argument) if argument else None}
    return {name: argument}


def _status(text: str) -> int:
    if int(text) not in _STATUSES:
        raise ValueError(text)
    return int(text)


def _whole(text: str) -> int:
    if not 0 <= int(text) <= _MOST_TOKENS:
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    if not 0 <= float(text) <= _LONGEST_HANG:
        raise ValueError(text)
    return float(text)
