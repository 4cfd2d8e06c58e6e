"""What the backend logs: which task, what class of error, and where; nothing that users and senders of tasks wrote."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any

from telemetry.unquoted import told

_LEFT_OUT = "…"
_ID = re.compile(r"[0-9a-fA-F-]{32,36}")
_SAID = frozenset({"args", "kwargs", "return_value", "traceback", "internal"})
"""What Celery knows of a task that is the sender's, or the task's own."""
_OF_REQUESTS = frozenset({"celery.worker.request", "celery.worker.strategy", "celery.worker.state"})
"""They log a task's name and id."""
_QUOTES_NOBODY = "telemetry"
"""Its exceptions as arguments say which setting is wrong, and what to do."""


def install(tasks: Container[str] = ()) -> None:
    """From now on, in this process and in those that it forks.

    Args:
        tasks: Names of tasks that may be logged; a sender may give a task any other one (``shadow``).
    """
    logging.setLogRecordFactory(partial(_made, tasks, logging.getLogRecordFactory()))


def _made(
    tasks: Container[str],
    make: Callable[..., logging.LogRecord],
    name: str,
    level: int,
    path: str,
    line: int,
    message: object,
    args: Any,
    exc_info: Any,
    *others: Any,
    **more: Any,
) -> logging.LogRecord:
    said = _of_celery(name, str(message), args, tasks) if name.startswith("celery.") else args
    shown = said if name == _QUOTES_NOBODY else _by_class(said)
    record = make(name, level, path, line, message, shown, None, *others, **more)
    error = exc_info[1] if exc_info else None
    if error is not None:
        record.exc_text = told(error)
    return record


def _of_celery(logger: str, message: str, args: Any, tasks: Container[str]) -> Any:
    if isinstance(args, tuple) and len(args) == 1 and isinstance(args[0], Mapping):
        return ({key: _of_task(key, value, tasks) for key, value in args[0].items()},)
    if not isinstance(args, tuple):
        return args
    if logger.startswith("celery.worker.consumer") and "body" in message:
        return tuple(_LEFT_OUT for _ in args)  # a message that it cannot make a task of, as a whole
    if logger in _OF_REQUESTS:
        return tuple(_known(value, tasks) for value in args)
    return args


def _of_task(key: object, value: Any, tasks: Container[str]) -> Any:
    if key in _SAID:
        return _LEFT_OUT
    if key == "exc":
        return str(value).partition("(")[0]
    return _known(value, tasks) if key in {"name", "id"} else value


def _known(value: Any, tasks: Container[str]) -> Any:
    is_unknown = isinstance(value, str) and value not in tasks and not _ID.fullmatch(value)
    return _LEFT_OUT if is_unknown else value


def _by_class(args: Any) -> Any:
    if not isinstance(args, tuple):
        return args
    return tuple(type(value).__name__ if isinstance(value, BaseException) else value for value in args)
