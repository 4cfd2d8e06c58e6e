"""What a process does that records a known number of events, whatever records them; truth by construction, or by notes.

A program begins with what its system gives it: `message(plan)`, `timed(seconds, endpoint)`, `flush()`, `shutdown()`,
`in_progress()`, `own_histogram(bounds)` and `say(…)`.
"""

from __future__ import annotations

from pathlib import Path

from telemetry.catalogue.http import DURATION

COUNTER, HISTOGRAM, OWN = "messages_sent_total", "http_request_duration_seconds", "changed_seconds"
BOUNDS = list(DURATION.buckets)
DURATIONS = (0.003, 0.04, 0.3, 1.5, 7.0, 200.0)

# Every event is a counter and a histogram; `n % 6` decides the bucket, so that the truth is known bucket by bucket.
EVENTS = f"""
import multiprocessing, os, queue, random, signal, sys, threading, time
DURATIONS = {DURATIONS}
def say(*words): print(*words, flush=True)
def event(n, endpoint="/x"):
    message()
    timed(DURATIONS[n % 6], endpoint)
def record(events, pause=0.0, endpoint="/x"):
    for n in range(events):
        event(n, endpoint)
        if pause: time.sleep(pause)
def in_threads(threads, *arguments):
    made = [threading.Thread(target=record, args=arguments) for _ in range(threads)]
    for thread in made: thread.start()
    for thread in made: thread.join()
def wait_for_all(children):
    while children: os.waitpid(children.pop(), 0)
"""

# For processes that are killed: one byte before each event and one after it, in files that all of a scenario share.
NOTED = """
NOTES = [os.open(f"{os.environ['NOTES']}.{end}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for end in ("begun", "done")]
def noted(n):
    os.write(NOTES[0], b"x")
    event(n)
    os.write(NOTES[1], b"x")
def note_for_ever(at_once=10, pause=0.01):
    n = 0
    while True:
        for _ in range(at_once): noted(n); n += 1
        time.sleep(pause)
"""

# Records between the first and the second line from the test, and so on; says when it stands still and all is exported.
IN_BURSTS = """
told = queue.Queue()
threading.Thread(target=lambda: [told.put(line) for line in sys.stdin], daemon=True).start()
def in_bursts(noted):
    n = 0
    while True:
        told.get()
        while told.empty():
            for _ in range(10): noted(n); n += 1
            time.sleep(0.01)
        told.get(); flush(); say("still")
"""


class Notes:
    """What happened in processes that do not live to tell: bytes they wrote before and after each event.

    Args:
        directory: For the two files.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "notes"

    @property
    def variables(self) -> dict[str, str]:
        """For the processes."""
        return {"NOTES": str(self._path)}

    @property
    def begun(self) -> int:
        """Events that were begun."""
        return self._size("begun")

    @property
    def done(self) -> int:
        """Events that were completed; one less than begun for each thread that was killed in the middle of one, at most."""
        return self._size("done")

    def _size(self, end: str) -> int:
        path = self._path.with_suffix(f".{end}")
        return path.stat().st_size if path.exists() else 0


def buckets(events: int) -> dict[str, float]:
    """Counts of the histogram by `le`, cumulative, after `record(events)`."""
    values = [DURATIONS[n % 6] for n in range(events)]
    shown = {f"{bound:g}": float(sum(value <= bound for value in values)) for bound in BOUNDS}
    return {**shown, "+Inf": float(events)}
