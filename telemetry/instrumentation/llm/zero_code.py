"""Measures the calls of OpenAI's and Anthropic's clients and of LiteLLM without a line of code in the program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from wrapt import wrap_function_wrapper

from telemetry import guard
from telemetry.instrumentation.handle import put_back
from telemetry.instrumentation.instrumentor import Closable, LibraryInstrumentor
from telemetry.instrumentation.llm import clients
from telemetry.instrumentation.llm.call import LlmCall
from telemetry.instrumentation.llm.clients import Target
from telemetry.instrumentation.llm.covering import Part, PartElsewhere, part_of_another
from telemetry.instrumentation.llm.decorator import awaiting, calling, prompt_of
from telemetry.process import get

Function = Callable[..., Any]


class _Methods:
    """Measures functions of a module, and methods of its classes, until ``close()``.

    Args:
        module: Has them, or some of them.
        paths: ``function`` or ``Class.method``.
        target: Says whom a call is for.
        library: Under whose name other instrumentors may record the same calls, whomever they are for.
    """

    def __init__(self, module: Any, paths: Iterable[str], target: Callable[..., Target], library: str) -> None:
        self._open = True
        self._target = target
        self._library = library
        self._replaced = [self._replace(module, path) for path in paths if _find(module, path) is not None]

    def close(self) -> None:
        """Measure no more."""
        self._open = False
        for owner, name, ours, before in self._replaced:
            put_back(owner, name, ours, before)

    def _replace(self, module: Any, path: str) -> tuple[Any, str, Any, Any]:
        owner_path, _, name = path.rpartition(".")
        owner = getattr(module, owner_path) if owner_path else module
        before = vars(owner)[name]
        is_awaited = inspect.iscoroutinefunction(inspect.unwrap(before))
        wrapper = self._awaited if is_awaited else self._called
        return owner, name, wrap_function_wrapper(owner, name, wrapper), before

    def _called(self, function: Function, instance: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not self._open:
            return function(*args, **named)
        target, part = self._found(instance, args, named)
        if not isinstance(part, Part):
            return calling(function, partial(self._begin, target, part))(*args, **named)
        with part:
            return function(*args, **named)

    async def _awaited(self, function: Function, instance: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not self._open:
            return await function(*args, **named)
        target, part = self._found(instance, args, named)
        if not isinstance(part, Part):
            return await awaiting(function, partial(self._begin, target, part))(*args, **named)
        with part:
            return await function(*args, **named)

    def _found(
        self, instance: Any, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Target, Part | PartElsewhere | None]:
        """Whom a call is for, and what it is if it is part of another one."""
        get().llm.claim(self._library)
        target = Target(self._library, clients.UNKNOWN)
        with guard.guarded("finding out whom a call is for"):
            target = self._target(instance, args, named)
        with guard.guarded("finding out what a call is part of"):
            return target, part_of_another(*target)
        return target, None

    def _begin(self, target: Target, part: PartElsewhere | None, named: dict[str, Any]) -> LlmCall:
        call = get().llm.request(
            provider=target.provider,
            model=target.model,
            messages=prompt_of(named),
            service_tier=named.get("service_tier"),
        )
        call.is_found, call.part = True, part
        return call


def _find(module: Any, path: str) -> Any:
    owner_path, _, name = path.rpartition(".")
    owner = getattr(module, owner_path, None) if owner_path else module
    return None if owner is None else vars(owner).get(name)


class _ClientInstrumentor(LibraryInstrumentor):
    """Hooks the methods of a client that make a call.

    Attributes:
        methods: By module.
    """

    methods: ClassVar[Mapping[str, tuple[str, ...]]]

    def target(self, instance: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Target:
        """Whom a call is for; the client's own vendor, unless it speaks to another."""
        return clients.of_client(instance, named, self.library)

    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """A hook for each of the modules."""
        return {
            module: partial(_Methods, paths=paths, target=self.target, library=self.library)
            for module, paths in self.methods.items()
        }


class ZeroCodeOpenAI(_ClientInstrumentor):
    """Chat completions, responses, embeddings."""

    library = "openai"
    versions = ">= 1.40"
    methods = clients.OPENAI


class ZeroCodeAnthropic(_ClientInstrumentor):
    """Messages."""

    library = "anthropic"
    versions = ">= 0.40"
    methods = clients.ANTHROPIC


class ZeroCodeLiteLLM(_ClientInstrumentor):
    """Completions, responses, embeddings of any vendor; what it calls of other clients is part of its own call."""

    library = "litellm"
    versions = ">= 1.40"
    methods = clients.LITELLM

    def target(self, instance: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Target:
        """Whom a call is for, as LiteLLM finds out."""
        return clients.of_litellm(args, named)
