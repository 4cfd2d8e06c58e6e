"""What the instrumentors of all libraries have in common: they wait for their library, if its version fits.

OpenTelemetry finds them by entry points, beside other instrumentors of the same libraries, which go on with traces.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Protocol

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from packaging.specifiers import SpecifierSet
from wrapt import when_imported

from telemetry import guard


class Found:
    """What zero code finds in this process.

    Attributes:
        is_measured: Whether it is measured; set by who configures it, before instrumentors are loaded.
        libraries: The installed ones with their versions, and why one is not measured; nothing where it is.
    """

    def __init__(self) -> None:
        self.is_measured = False
        self.libraries: dict[str, str] = {}


found = Found()


class Closable(Protocol):
    """Hooks that can be taken away."""

    def close(self) -> None:
        """Take them away."""


class LibraryInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Hooks a library when the program imports it, and not before: a process that does not use it pays nothing.

    Attributes:
        library: The name under which it is installed.
        versions: Those that are measured.
    """

    library: ClassVar[str]
    versions: ClassVar[str]

    _hooks: tuple[Closable, ...] = ()
    _open = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """What has to be installed."""
        return (f"{self.library} {self.versions}",)

    @abstractmethod
    def hooks(self) -> Mapping[str, Callable[[Any], Closable]]:
        """What is to be done with which module of the library once it is imported."""

    def _instrument(self, **_: Any) -> None:
        if not found.is_measured or not self._fits():
            return
        self._open = True
        for module, hook in self.hooks().items():
            when_imported(module)(partial(self._imported, hook))

    def _fits(self) -> bool:
        try:
            installed = version(self.library)
        except PackageNotFoundError:
            return False
        fits = SpecifierSet(self.versions).contains(installed, prereleases=True)
        found.libraries[f"{self.library} {installed}"] = "" if fits else f"needs {self.versions}"
        return fits

    def _imported(self, hook: Callable[[Any], Closable], module: Any) -> None:
        with guard.guarded(f"hooking {self.library}"):
            if self._open:
                self._hooks = (*self._hooks, hook(module))

    def _uninstrument(self, **_: Any) -> None:
        """Leave alone what the program makes from now on."""
        hooks, self._hooks, self._open = self._hooks, (), False
        for hook in hooks:
            hook.close()
