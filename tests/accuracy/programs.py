"""Programs that record a known number of events, as replicas, workers and their children do; truth by construction."""

from __future__ import annotations

DURATIONS = (0.003, 0.04, 0.3, 1.5, 7.0, 200.0)

# Every event is a counter and a histogram; `n % 6` decides the bucket, so that the truth is known bucket by bucket.
RECORD = f"""
DURATIONS = {DURATIONS}
def event(n, endpoint="/x"):
    t.business.message_sent(plan="free")
    t.http.answered("GET", endpoint, 200, DURATIONS[n % 6])
def record(events, pause=0.0, endpoint="/x"):
    for n in range(events):
        event(n, endpoint)
        if pause: time.sleep(pause)
def record_in_threads(threads, events, pause=0.0):
    made = [threading.Thread(target=record, args=(events, pause)) for _ in range(threads)]
    for thread in made: thread.start()
    for thread in made: thread.join()
"""


def buckets(events: int) -> dict[str, float]:
    """Counts of `http_request_duration_seconds` by `le`, cumulative, after `record(events)`."""
    from telemetry.catalogue.http import DURATION

    values = [DURATIONS[n % 6] for n in range(events)]
    shown = {f"{bound:g}": float(sum(value <= bound for value in values)) for bound in DURATION.buckets}
    return {**shown, "+Inf": float(events)}
