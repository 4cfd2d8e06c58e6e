"""The live screen: draws a moment at each interval until somebody presses ``q``; what is drawn is in ``view.py``."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, RenderableType
from rich.live import Live

from telemetry.cli.watch.sources import Source
from telemetry.cli.watch.view import picture

_LEAVES = frozenset(b"qQ\x03\x04")  # also Ctrl-C and Ctrl-D
_NO_KEY = b"\x00"  # _POSIX_VDISABLE of Linux
_AT_ONCE = 1024


def run(source: Source, interval: float) -> None:
    """Show moments until the user leaves; the terminal is as before then."""
    console = Console()
    with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_drawn(source, console), refresh=True)
            if _left_within(interval):
                return


def show_once(source: Source, interval: float) -> None:
    """Print one moment, with the rates of one interval."""
    console = Console()
    source.read()
    time.sleep(interval)
    console.print(_drawn(source, console))


def _drawn(source: Source, console: Console) -> RenderableType:
    return picture(source.read(), source.name, console.width, console.height, datetime.now().astimezone())


@contextmanager
def _keys() -> Iterator[None]:
    """Keys are read as they are pressed, without a line's end; Ctrl-C is one, which interrupts no drawing."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        keys = termios.tcgetattr(sys.stdin)
        keys[-1][termios.VINTR] = _NO_KEY
        termios.tcsetattr(sys.stdin, termios.TCSANOW, keys)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _left_within(seconds: float) -> bool:
    """Wait; whether the user wants to leave."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([sys.stdin], [], [], left)
        if ready and _leaves(os.read(sys.stdin.fileno(), _AT_ONCE)):
            return True
    return False


def _leaves(keys: bytes) -> bool:
    """Whether one of them means to leave, or there are none, because the terminal has gone."""
    return not keys or not _LEAVES.isdisjoint(keys)
