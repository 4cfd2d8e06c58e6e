"""The command line as a module: ``python -m telemetry``; the script ``fleet-telemetry`` is the same."""

from __future__ import annotations

import sys

from telemetry.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
