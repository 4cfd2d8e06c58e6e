"""Puts the built program into the wheel and says for which machine it is; `build.sh` builds it."""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAM, MACHINE = "COLLECTOR_PROGRAM", "COLLECTOR_MACHINE"


class CollectorBuildHook(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """Takes program and machine from the environment; neither can be told from here."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is made.

        Raises:
            RuntimeError: If it is not said which program for which machine.
        """
        program, machine = os.environ.get(PROGRAM), os.environ.get(MACHINE)
        if not program or not machine:
            raise RuntimeError(f"{PROGRAM} and {MACHINE} are not set: run `make collector-wheels`")
        build_data["pure_python"] = False
        # The program is static: it asks nothing of either C library.
        build_data["tag"] = f"py3-none-manylinux_2_17_{machine}.musllinux_1_1_{machine}"
        build_data["force_include"][program] = "fleet_telemetry_collector/otelcol"
