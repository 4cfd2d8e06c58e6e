"""Answers that a vendor's client has not parsed yet: of ``with_raw_response`` and ``with_streaming_response``."""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from telemetry import guard
from telemetry.instrumentation.llm.call import LlmCall

_PARSING = "_telemetry_parsing"

Watch = Callable[[LlmCall, Any], Any]


def is_raw(answer: object) -> bool:
    """Whether it keeps the vendor's HTTP response, and has a way to parse it."""
    return "http_response" in getattr(answer, "__dict__", ()) and hasattr(type(answer), "parse")


def watched_raw(call: LlmCall, answer: Any, watched: Watch) -> Any:
    """The same answer: its usage is read now where its body is here, else when it is parsed.

    Args:
        call: Is over with the body; with the answer itself where nobody parses it.
        answer: Of the vendor's client.
        watched: Watches what it is parsed into.
    """
    with guard.guarded("reading an answer that is not parsed"):
        if not answer.http_response.is_closed:
            vars(answer)[_PARSING] = _Parsing(call, answer, watched)
            kind: Any = type(answer)
            answer.__class__ = _class_for(kind)
            return answer
        call.response(_body(answer.http_response))
    call.end()
    return answer


def _body(response: Any) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


class _Parsing:
    """What becomes of an answer when it is parsed.

    Args:
        call: Is over with what is parsed, or with the answer where nobody parses it.
        answer: Is not kept alive by this, which it keeps.
        watched: Watches what it is parsed into.
    """

    def __init__(self, call: LlmCall, answer: object, watched: Watch) -> None:
        self._call = call
        self._watched = watched
        self._unparsed = weakref.finalize(answer, call.end)
        self._unparsed.atexit = False
        self._known: tuple[Any, Any] = (None, None)

    def parsing(self, parse: Callable[[], Any]) -> Any:
        """Parse it."""
        self._unparsed.detach()
        try:
            parsed = parse()
        except BaseException as error:
            self._call.end(error)
            raise
        return self._awaited(parsed) if hasattr(type(parsed), "__await__") else self._once(parsed)

    async def _awaited(self, parsing: Awaitable[Any]) -> Any:
        try:
            return self._once(await parsing)
        except BaseException as error:
            self._call.end(error)
            raise

    def _once(self, parsed: Any) -> Any:
        """Clients keep what they have parsed, and hand it out again."""
        if self._known[0] is not parsed:
            self._known = parsed, self._watched(self._call, parsed)
        return self._known[1]


@functools.cache
def _class_for(kind: type[Any]) -> type[Any]:
    """A class like that of an answer, but for its ``parse()``."""
    before = kind.parse

    @functools.wraps(before)
    def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        parsing: _Parsing = vars(self)[_PARSING]
        return parsing.parsing(partial(before, self, *args, **kwargs))

    like = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**like, "parse": parse})
