"""A user's own metrics on their way out: as safe over forks and kills as ours."""

from __future__ import annotations

from tests.support.otlp_sink import OtlpSink
from tests.support.processes import run


def test_own_metrics_survive_forks_and_kills(sink: OtlpSink) -> None:
    """Verbs made at import, before `configure()`, count in parent and children exactly, killed children included."""
    begin = """
import os, signal
from tests.support import own_metrics as own
import telemetry
own.SEEN.add(100, {})  # nobody counts yet
telemetry.configure("test", catalogue=own)
def order():
    own.SEEN.add(1, {}); own.ORDERS.add(1, {"plan": "pro", "shop": "a"}); own.ORDER_SECONDS.record(0.5, {"plan": "pro"})
"""
    run(
        """
        order()
        for number in range(10):
            pid = os.fork()
            if pid == 0:
                for _ in range(10): order()
                os.kill(os.getpid(), signal.SIGKILL) if number % 2 else os._exit(0)
            os.waitpid(pid, 0)
        order()
        """,
        sink.url,
        begin=begin,
    )
    assert sink.total("own_seen_total") == 102
    assert sink.total("own_orders_total", plan="pro", shop="a") == 102
    assert sink.total("own_order_seconds") == 102
