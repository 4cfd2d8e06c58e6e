"""The fork contract: a child exports its own counts under its own identity, whoever forked and whatever ran meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import textwrap
import threading
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from support.waiting import eventually
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import BEGIN, finish, line, run, started

LONG = "60000"
OTHER_USER = 54321

FORKS = {
    "os.fork": """
        pid = os.fork()
        if pid == 0:
            message("pro"); timed(); sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
    "multiprocessing": """
        def child(): message("pro"); timed()
        p = multiprocessing.get_context("fork").Process(target=child); p.start(); p.join()
        assert p.exitcode == 0
        """,
    "multiprocessing in a child": """
        def inner(): message("pro"); timed()
        def child():
            p = multiprocessing.get_context("fork").Process(target=inner); p.start(); p.join()
        p = multiprocessing.get_context("fork").Process(target=child); p.start(); p.join()
        assert p.exitcode == 0
        """,
    "process pool": """
        from concurrent.futures import ProcessPoolExecutor
        def task(): message("pro"); timed()
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool: pool.submit(task).result()
        """,
    "billiard": """
        import billiard
        def child(): message("pro"); timed()
        p = billiard.get_context("fork").Process(target=child); p.start(); p.join()
        assert p.exitcode == 0
        """,
    "grandchild": """
        pid = os.fork()
        if pid == 0:
            inner = os.fork()
            if inner == 0:
                message("pro"); timed(); sys.exit(0)
            os.waitpid(inner, 0); os._exit(0)
        os.waitpid(pid, 0)
        """,
}


@pytest.mark.parametrize("how", FORKS)
def test_child_exports_only_its_own(sink: OtlpSink, how: str) -> None:
    """A child does not repeat what its parent counted before the fork, and the parent is unaffected."""
    before = "for _ in range(5): message()\n"
    run(before + textwrap.dedent(FORKS[how]) + "message()", sink.url, OTEL_METRIC_EXPORT_INTERVAL=LONG)
    assert sink.total("messages_sent_total", user_plan="free") == 6
    assert sink.total("messages_sent_total", user_plan="pro") == 1
    assert sink.total("http_request_duration_seconds") == 1


def test_child_of_a_parent_that_is_done_delivers_itself(sink: OtlpSink) -> None:
    """After its parent has shut telemetry down nobody delivers for a child: it does so itself, when it ends."""
    run(
        """
        message()
        telemetry.shutdown()
        pid = os.fork()
        if pid == 0:
            message("pro"); timed(); sys.exit(0)
        os.waitpid(pid, 0)
        """,
        sink.url,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("messages_sent_total", user_plan="free") == 1
    assert sink.total("messages_sent_total", user_plan="pro") == 1


FORKSERVER = """
import multiprocessing, os, sys
import telemetry
from tests.support import chat

def child():
    chat.of(telemetry.configure("test", catalogue=chat)).message_sent(plan="pro")

if __name__ == "__main__":
    context = multiprocessing.get_context({how!r})
    p = context.Process(target=child)
    p.start(); p.join()
    assert p.exitcode == 0
"""


@pytest.mark.parametrize("how", ["forkserver", "spawn"])
def test_child_that_configures_itself_flushes(sink: OtlpSink, tmp_path: Path, how: str) -> None:
    """A child of the forkserver or a spawned one, which configures telemetry itself, delivers when it ends."""
    program = tmp_path / "program.py"
    program.write_text(FORKSERVER.format(how=how))
    code = f"import subprocess, sys; subprocess.run([sys.executable, {str(program)!r}], check=True)"
    run(code, sink.url, begin="", OTEL_METRIC_EXPORT_INTERVAL=LONG)
    assert sink.total("messages_sent_total", user_plan="pro") == 1


def test_counts_pending_at_the_fork_stay_with_the_parent(sink: OtlpSink) -> None:
    """What the parent could not deliver before the fork is delivered by the parent alone, once."""
    sink.status = 503
    code = """
    for _ in range(50): message(); timed()
    t.force_flush()
    pid = os.fork()
    if pid == 0:
        message("pro"); timed()
        say("child")
        sys.stdin.readline(); sys.exit(0)
    sys.stdin.readline()
    os.waitpid(pid, 0)
    """
    with started(code, sink.url) as process:
        assert line(process) == "child"
        sink.status = 200
        finish(process)
    assert sink.total("messages_sent_total", user_plan="free") == 50
    assert sink.total("messages_sent_total", user_plan="pro") == 1
    assert sink.total("http_request_duration_seconds") == 51


def test_fork_while_recording_and_exporting(sink: OtlpSink) -> None:
    """Children forked while threads record and export do not hang, and every count arrives once."""
    run(
        """
        ends = time.monotonic() + 3
        counted = [0, 0]
        def record(n):
            while time.monotonic() < ends: message(); timed(); counted[n] += 1
        def flush():
            while time.monotonic() < ends: t.force_flush()
        threads = [threading.Thread(target=record, args=(n,)) for n in (0, 1)] + [threading.Thread(target=flush)]
        for thread in threads: thread.start()
        children = []
        while time.monotonic() < ends - 0.5:
            pid = os.fork()
            if pid == 0:
                message("pro"); timed(); sys.exit(0)
            children.append(pid)
            time.sleep(0.05)
        for pid in children: assert os.waitpid(pid, 0)[1] == 0
        for thread in threads: thread.join()
        for _ in range(len(children)): message("enterprise")
        for _ in range(sum(counted)): chat.of(t).image_generated(model="truth")
        """,
        sink.url,
    )
    children = sink.total("messages_sent_total", user_plan="enterprise")
    assert children > 5
    assert sink.total("messages_sent_total", user_plan="pro") == children
    assert sink.total("messages_sent_total", user_plan="free") == sink.total("images_generated_total")
    assert sink.total("http_request_duration_seconds") == sink.total("images_generated_total") + children


LOCKS = {
    "series": "t.meter_provider.lock",
    "configure": "telemetry.process.current.lock",
    "flush": "t.pipeline._ways['otlp']._flushed",
    "boxes": "telemetry.box.locks._opening.lock",
    "prices": "telemetry.instrumentation.llm.pricing.library.lock",
}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_held_at_the_fork_is_not_inherited(sink: OtlpSink, lock: str) -> None:
    """Whatever lock another thread holds while the process forks, the child records, exports and ends at once."""
    code = f"""
    import telemetry.box.locks, telemetry.instrumentation.llm.pricing, telemetry.process
    held, release = threading.Event(), threading.Event()
    def hold():
        with {LOCKS[lock]}:
            held.set(); release.wait(20)
    holder = threading.Thread(target=hold); holder.start(); held.wait()
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        message("pro"); timed()
        telemetry.configure("test"); t.force_flush()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    say(time.monotonic() - begun < 15)
    release.set(); holder.join()
    """
    finished = run(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL=LONG)
    assert finished.output == "True\n"
    assert sink.total("messages_sent_total", user_plan="pro") == 1


def test_fork_while_prices_load(sink: OtlpSink) -> None:
    """A child that is forked while a thread loads the price library prices its own calls, and does not hang."""
    run(
        """
        def call():
            with t.llm.request(provider="openai", model="gpt-4o") as vendor:
                vendor.usage(prompt_tokens=1_000_000)
        call()
        assert "telemetry-prices" in [thread.name for thread in threading.enumerate()]
        pid = os.fork()
        if pid == 0:
            call(); sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        sink.url,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("llm_requests_total") == 2
    assert sink.total("llm_cost_usd_total") == pytest.approx(2 * 2.5)


def test_fork_that_cannot_wait_for_prices(sink: OtlpSink) -> None:
    """A child that is forked in the middle of loading them prices nothing itself, does not hang, and its parent prices its calls."""
    run(
        """
        from telemetry.instrumentation.llm import pricing as prices
        prices.library._longest_wait = 0.1
        loading, forked = threading.Event(), threading.Event()
        def load():
            with prices.library.lock:
                loading.set(); forked.wait(20)
        def call():
            with t.llm.request(provider="openai", model="gpt-4o") as vendor:
                vendor.usage(prompt_tokens=1_000_000)
        threading.Thread(target=load).start()
        loading.wait(20)
        pid = os.fork()
        if pid == 0:
            call(); t.settle()
            assert "genai_prices" not in sys.modules
            sys.exit(0)
        forked.set()
        assert os.waitpid(pid, 0)[1] == 0
        """,
        sink.url,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("llm_requests_total") == 1
    assert sink.total("llm_cost_usd_total") == pytest.approx(2.5)


def test_fork_storm(sink: OtlpSink) -> None:
    """Two hundred children, each with one count: two hundred counts, two hundred identities."""
    run(
        """
        message()
        for _ in range(10):
            children = []
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    message("pro"); timed(); sys.exit(0)
                children.append(pid)
            for pid in children: assert os.waitpid(pid, 0)[1] == 0
        """,
        sink.url,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
        TELEMETRY_EXIT_DEADLINE="30",
    )
    assert sink.total("messages_sent_total", user_plan="pro") == 200
    assert sink.total("http_request_duration_seconds") == 200
    assert sink.total("messages_sent_total", user_plan="free") == 1
    assert len(sink.instances) == 201


def test_idle_child_sends_nothing(sink: OtlpSink) -> None:
    """A child that records nothing starts no thread, sends nothing and ends at once."""
    run(
        """
        message(); t.force_flush()
        pid = os.fork()
        if pid == 0:
            assert threading.active_count() == 1
            sys.exit(0)
        os.waitpid(pid, 0)
        """,
        sink.url,
    )
    assert len(sink.instances) == 1


def test_identity_survives_fork_recognisably(sink: OtlpSink) -> None:
    """A user's instance id stays; a child's is the same with its process id."""
    run(
        """
        pid = os.fork()
        if pid == 0: message(); sys.exit(0)
        os.waitpid(pid, 0); message()
        """,
        sink.url,
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=web-1",
    )
    assert len(sink.instances) == 2
    assert "web-1" in sink.instances
    assert all(name == "web-1" or name.startswith("web-1.") for name in sink.instances)


def test_instrumentors_before_the_fork_work_in_the_child(sink: OtlpSink) -> None:
    """A bridge, an instrument and an instrumented application made before the fork measure in the child."""
    begin = BEGIN + textwrap.dedent(
        """
        from fastapi import FastAPI
        from fastapi.testclient import TestClient
        app = FastAPI()
        @app.get("/hello/{name}")
        def hello(name: str): return name
        telemetry.instrument(app)
        foreign = t.meter_provider.get_meter("gen_ai").create_histogram("gen_ai.client.operation.duration")
        TestClient(app).get("/hello/parent")
        foreign.record(1.0, {"gen_ai.provider.name": "openai", "gen_ai.request.model": "m"})
        """
    )
    run(
        """
        pid = os.fork()
        if pid == 0:
            for _ in range(2): TestClient(app).get("/hello/child")
            foreign.record(1.0, {"gen_ai.provider.name": "openai", "gen_ai.request.model": "m"})
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        sink.url,
        begin=begin,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("http_requests_total", endpoint="/hello/{name}", status_code="200") == 3
    assert sink.total("llm_requests_total", provider="openai", model="m") == 2
    assert len(sink.instances) == 2


def test_killed_children_lose_nothing(sink: OtlpSink) -> None:
    """What children counted that are SIGKILLed, be it the moment after, their parent delivers at its next collection."""
    code = """
    message()
    children = []
    for number in range(20):
        pid = os.fork()
        if pid == 0:
            for _ in range(number): message("pro"); timed()
            os.kill(os.getpid(), signal.SIGKILL)
        children.append(pid)
    for pid in children: os.waitpid(pid, 0)
    say("killed"); sys.stdin.read()
    """
    with started(code, sink.url) as process:
        assert line(process) == "killed"
        assert eventually(lambda: sink.total("messages_sent_total", user_plan="pro") == 190)
        finish(process)
    assert sink.total("messages_sent_total", user_plan="free") == 1
    assert sink.total("http_request_duration_seconds") == 190
    assert sink.missing == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_child_that_became_another_user_has_a_directory_of_its_own(sink: OtlpSink) -> None:
    """Workers of a server that gives up root's rights deliver for each other; their parent cannot."""
    code = f"""
    message()
    def worker():
        pid = os.fork()
        if pid: return pid
        os.setgroups([]); os.setgid({OTHER_USER}); os.setuid({OTHER_USER})
        for _ in range(5): message("pro")
        say("counted"); signal.pause()
    killed = worker()
    assert sys.stdin.readline()
    os.kill(killed, signal.SIGKILL); os.waitpid(killed, 0)
    heir = worker()
    sys.stdin.read()
    os.kill(heir, signal.SIGKILL)
    """
    directory = Path(f"/dev/shm/telemetry-{OTHER_USER}")
    try:
        with started(code, sink.url, TELEMETRY_STATE_DIR="", OTEL_METRIC_EXPORT_INTERVAL="300") as process:
            sink.status = 503
            assert line(process) == "counted"
            process.stdin.write("go\n")
            process.stdin.flush()
            assert line(process) == "counted"
            sink.status = 200
            assert eventually(lambda: sink.total("messages_sent_total", user_plan="pro") == 10)
            finish(process)
    finally:
        shutil.rmtree(directory)


def test_child_of_a_killed_parent_delivers_itself(sink: OtlpSink) -> None:
    """A child that outlives its parent delivers its own counts and its parent's."""
    code = """
    for _ in range(5): message()
    pid = os.fork()
    if pid == 0:
        message("pro"); say("child"); sys.stdin.readline(); message("pro"); sys.exit(0)
    time.sleep(60)
    """
    with started(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL=LONG) as process:
        assert line(process) == "child"
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert eventually(lambda: sink.total("messages_sent_total") == 7)
        finish(process)
    assert sink.total("messages_sent_total", user_plan="free") == 5


def test_child_waits_for_its_answer(sink: OtlpSink) -> None:
    """A child that ends with an export on its way waits a moment for the answer, so that its parent has nothing to repeat."""
    under_way = threading.Event()

    def slowly(request: ExportMetricsServiceRequest) -> int:
        if "messages_sent_total" in str(request):
            under_way.set()
            time.sleep(0.3)
        return 200

    code = """
    pid = os.fork()
    if pid == 0:
        message("pro"); sys.stdin.readline(); sys.exit(0)
    os.waitpid(pid, 0)
    t.force_flush()
    """
    sink.judge = slowly
    with started(code, sink.url) as process:
        assert under_way.wait(20)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        finish(process)
    assert sink.total("messages_sent_total", user_plan="pro") == 1
    assert sink.duplicates == 0


def test_child_ends_without_waiting(sink: OtlpSink) -> None:
    """A child whose parent lives ends at once and sends nothing, also with a collector that hangs; nothing is lost."""
    sink.hang_seconds = 30
    code = """
    message()
    pid = os.fork()
    if pid == 0:
        message("pro"); begun = time.monotonic(); telemetry.shutdown(); say(time.monotonic() - begun); os._exit(0)
    os.waitpid(pid, 0)
    sys.stdin.readline()
    t.force_flush()
    """
    with started(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL=LONG) as process:
        assert float(line(process)) < 2
        sink.hang_seconds = 0
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        finish(process)
    assert sink.total("messages_sent_total", user_plan="pro") == 1


OWN = """
from opentelemetry import metrics
meter = metrics.get_meter("shop")
orders, sizes = meter.create_counter("orders_total"), meter.create_histogram("order_size")
def order():
    orders.add(1, {"kind": "book", "count": 1}); sizes.record(3, {"kind": "book"})
"""


@pytest.mark.parametrize("instruments", ["before", "after"])
def test_own_metrics_survive_forks_and_kills(sink: OtlpSink, instruments: str) -> None:
    """What an application counts by OpenTelemetry's API is as safe as what the catalogue declares."""
    begin = OWN + BEGIN if instruments == "before" else BEGIN + OWN
    run(
        """
        order()
        for number in range(30):
            pid = os.fork()
            if pid == 0:
                for _ in range(10): order()
                os.kill(os.getpid(), signal.SIGKILL) if number % 2 else os._exit(0)
            os.waitpid(pid, 0)
        order()
        """,
        sink.url,
        begin=begin,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("orders_total", kind="book") == 302
    assert sink.total("order_size", kind="book") == 302


def test_signal_handler_that_forks_while_counting(sink: OtlpSink) -> None:
    """A process that is forked by a signal handler, in the middle of whatever was going on, hangs neither side."""
    run(
        """
        children = []
        def fork(*_):
            pid = os.fork()
            if pid == 0:
                message("pro"); os._exit(0)
            children.append(pid)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
        signal.signal(signal.SIGALRM, fork)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        counted = 0
        while len(children) < 100:
            t.http.answered("GET", f"/{counted % 400}", 200, 0.1); counted += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        for pid in children: os.waitpid(pid, 0)
        for _ in range(len(children)): message("enterprise")
        for _ in range(counted): chat.of(t).image_generated(model="truth")
        """,
        sink.url,
        OTEL_METRIC_EXPORT_INTERVAL=LONG,
    )
    assert sink.total("messages_sent_total", user_plan="pro") == sink.total(
        "messages_sent_total", user_plan="enterprise"
    )
    assert sink.total("http_requests_total") == sink.total("images_generated_total")
