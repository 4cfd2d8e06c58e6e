"""The command line: ``python -m deploy.traffic --base-url URL --seconds 60``; what is done is in ``run``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from deploy.traffic.run import NotReachableError, run

TOKEN = "ADMIN_TOKEN"  # noqa: S105 (a name)


def main() -> int:
    """Run the command."""
    options = _parser().parse_args()
    token = os.environ.get(TOKEN) or _token_of_fleet()
    if not token:
        print("ADMIN_TOKEN is not set: run `make traffic`, or take it from the fleet's secrets.env.", file=sys.stderr)
        return 2
    try:
        truth = asyncio.run(run(options.base_url, token, options.seed, options.seconds, options.requests))
    except NotReachableError as error:
        print(error, file=sys.stderr)
        return 2
    except TimeoutError:
        print("The traffic did not end in time: is the fleet overloaded? `make status` tells.", file=sys.stderr)
        return 1
    print(truth.table())
    if options.truth:
        options.truth.write_text(json.dumps(truth.as_json(), indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.traffic", description="Send realistic chat traffic.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8100", help="the front door")
    parser.add_argument("--seconds", type=float, default=60, help="how long; what has begun is finished")
    parser.add_argument("--requests", type=_count, help="instead of --seconds: exactly this number of actions")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same")
    parser.add_argument("--truth", type=Path, help="write what was done to this file, as JSON")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of actions")
    return int(text)


def _token_of_fleet() -> str:
    secrets = Path(os.environ.get("FLEET_DIR") or ".fleet") / "secrets.env"
    lines = secrets.read_text().splitlines() if secrets.is_file() else []
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{TOKEN}=")), "")


if __name__ == "__main__":
    sys.exit(main())
