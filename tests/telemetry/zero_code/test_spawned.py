"""A program is followed into what it spawns."""

from __future__ import annotations

import os
import signal
import threading

from telemetry.instrumentation.zero_code import spawned


def test_child_of_a_fork_can_spawn() -> None:
    """A process that is forked while another thread spawns one does not wait for that thread, which it has not."""
    held, done = threading.Event(), threading.Event()

    def spawning() -> None:
        with spawned._reaching("/somewhere"):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=spawning)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        with spawned._reaching("/elsewhere"):
            os._exit(0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
