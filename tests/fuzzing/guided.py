"""One test of random input, led by what it covers of `telemetry`: python -m tests.fuzzing.guided FILE::TEST OPTIONS-OF-LIBFUZZER."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any


def main(arguments: list[str]) -> None:
    """Run it until the options of libFuzzer say that it is enough; the first input that fails is printed and ends the process."""
    atheris: Any = import_module("atheris")  # of an environment that no other check has
    file, _, name = arguments[1].partition("::")
    with atheris.instrument_imports(include=["telemetry"], enable_loader_override=False):
        test = getattr(import_module(file.removesuffix(".py").replace("/", ".")), name)

    def once(data: bytes) -> None:
        try:
            test.hypothesis.fuzz_one_input(data)
        except Exception as error:
            print(f"Add this to {name}: @example(**{_given(test, error)!r})", flush=True)
            raise

    atheris.Setup([arguments[0], *arguments[2:]], once)
    atheris.Fuzz()


def _given(test: Any, error: Exception) -> dict[str, Any]:
    """What the test was called with."""
    code = test.hypothesis.inner_test.__code__
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            return {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
    return {}


if __name__ == "__main__":
    main(sys.argv)
