"""Counts what belongs together as one, though an exception of a signal handler may land in the middle of it."""

from __future__ import annotations

from collections.abc import Callable

from telemetry import guard

Step = Callable[[], "Steps | None"]
Steps = list[Step]


def complete(left: Steps) -> None:
    """Take every step in order, and let an exception that lands here pass only then.

    CPython runs signal handlers where a function begins, where a loop turns, and after a call of a built-in function: a
    step that is written in Python and ends with the addition to one series is therefore taken once, however late it is
    interrupted. A step that fails twice is left out. What has to be found out first is a step that counts nothing and
    returns those that take its place.

    Args:
        left: What is left to do; a step that is taken goes from the list.

    Raises:
        BaseException: What a step raised, or a signal handler meanwhile; of several the first one of the host's.
    """
    try:
        while left:
            left[:1] = left[0]() or ()
    except BaseException as first:
        try:
            _go_on(left)
        except BaseException as second:
            if guard.is_the_hosts(second) and not guard.is_the_hosts(first):
                raise
        raise


def _go_on(left: Steps) -> None:
    try:
        if left:
            left[:1] = left[0]() or ()
    except BaseException:
        del left[:1]
        raise
    finally:
        if left:
            complete(left)
