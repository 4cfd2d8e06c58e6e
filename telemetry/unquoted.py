"""What a log may show of an exception: its class, and where it was raised. What it says may quote anybody."""

from __future__ import annotations

import traceback


def told(error: BaseException) -> str:
    """The traceback as Python prints it, of the causes, too, without what any of the exceptions says."""
    chain = [error]
    while (before := chain[0].__cause__ or chain[0].__context__) is not None and before not in chain:
        chain.insert(0, before)
    return "\n".join(_one(each) for each in chain)


def _one(error: BaseException) -> str:
    kind = type(error)
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    return "".join([*lines, f"{kind.__module__}.{kind.__qualname__}"])
