"""The end of a process: the last counts arrive, within one deadline; what does not arrive waits, or is said to be lost."""

from __future__ import annotations

import signal
from pathlib import Path
from unittest.mock import Mock

import pytest

from support import exposition
from support.ports import closed_url, free_port
from support.waiting import eventually
from telemetry.box.dead import dead_boxes
from telemetry.pipeline.otlp import amounts_of
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import finish, line, run, started
from tests.telemetry.pipeline.fakes import Exporting

SLACK = 1.0  # seconds that a busy machine may take beyond a deadline; every way to break one takes longer
SHUT_DOWN = "begun = time.monotonic(); telemetry.shutdown(); say(time.monotonic() - begun)"


def test_exit_delivers_the_last_counts(sink: OtlpSink) -> None:
    """What was recorded just before a normal exit arrives, long before the export interval is over."""
    run("message(); timed()", sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000")
    assert sink.total("messages_sent_total", user_plan="free") == 1
    assert sink.total("http_request_duration_seconds") == 1


def test_refused_exports_are_sent_again(sink: OtlpSink) -> None:
    """A collector that answers 503 takes nothing; once it answers, everything is there exactly once."""
    sink.status = 503
    code = "for _ in range(100): message(); timed(); time.sleep(0.005)\nsys.stdin.read()"
    with started(code, sink.url) as process:
        assert eventually(lambda: sink.requests >= 2)
        sink.status = 200
        assert eventually(lambda: sink.total("messages_sent_total") == 100)
        finish(process)
    assert sink.total("messages_sent_total") == 100
    assert sink.total("http_request_duration_seconds") == 100


THREE = "http_request_duration_seconds 1, http_requests_total 1, messages_sent_total 1"


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A state directory of this test."""
    return {"TELEMETRY_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """No state directory: there is a file in its place."""
    (tmp_path / "file").write_text("")
    return {"TELEMETRY_STATE_DIR": str(tmp_path / "file")}


@pytest.mark.parametrize("collector", ["refused", "hanging", "failing", "dribbling"])
def test_exit_has_one_deadline(sink: OtlpSink, place: dict[str, str], collector: str) -> None:
    """Exit takes no longer than the deadline whatever the collector does, and what it left waits for the next process."""
    sink.hang_seconds = {"hanging": 30.0, "dribbling": 0.9}.get(collector, 0.0)
    sink.status = 200 if collector == "hanging" else 503
    endpoint = closed_url() if collector == "refused" else sink.url
    finished = run("message(); timed(); " + SHUT_DOWN, endpoint, TELEMETRY_EXIT_DEADLINE="2", **place)
    assert float(finished.output) <= 2.0 + SLACK
    assert f"they wait in {place['TELEMETRY_STATE_DIR']}" in finished.errors
    assert THREE in finished.errors
    sink.hang_seconds, sink.status = 0.0, 200
    if collector != "refused":
        before = sink.total("messages_sent_total")
        run("t.force_flush()", sink.url, **place)
        assert sink.total("messages_sent_total") >= 1
        assert before + 1 >= sink.total("messages_sent_total")
        assert list(Path(place["TELEMETRY_STATE_DIR"]).iterdir()) == []


@pytest.mark.parametrize("collector", ["refused", "hanging", "failing"])
def test_exit_without_a_directory_says_what_is_lost(sink: OtlpSink, nowhere: dict[str, str], collector: str) -> None:
    """Where counts are in memory only, the log has one line at the start that says so and one at the end with the loss."""
    sink.hang_seconds = 30.0 if collector == "hanging" else 0.0
    sink.status = 200 if collector == "hanging" else 503
    endpoint = closed_url() if collector == "refused" else sink.url
    finished = run("message(); timed(); " + SHUT_DOWN, endpoint, TELEMETRY_EXIT_DEADLINE="2", **nowhere)
    assert float(finished.output) <= 2.0 + SLACK
    assert "cannot be used (File exists): counts are kept in memory" in finished.errors
    assert f"the exit loses: {THREE}" in finished.errors


@pytest.mark.parametrize("collector", ["refused", "hanging", "failing"])
def test_server_and_exit_share_the_deadline(sink: OtlpSink, nowhere: dict[str, str], collector: str) -> None:
    """A server's last delivery and the exit after it take one deadline together; what may be lost is said before."""
    sink.hang_seconds = 30.0 if collector == "hanging" else 0.0
    sink.status = 200 if collector == "hanging" else 503
    endpoint = closed_url() if collector == "refused" else sink.url
    code = "message(); begun = time.monotonic(); t.deliver_before_exit(); telemetry.shutdown(); say(time.monotonic() - begun)"
    more = {"TELEMETRY_EXIT_DEADLINE": "2", "OTEL_METRIC_EXPORT_INTERVAL": "60000", **nowhere}
    finished = run(code, endpoint, **more)
    assert float(finished.output) <= 2.5 + SLACK
    assert "an exit now loses: messages_sent_total 1" in finished.errors
    assert "the exit loses: messages_sent_total 1" in finished.errors


def test_process_lives_after_its_server(sink: OtlpSink) -> None:
    """What is recorded after a server's last delivery is exported as ever."""
    code = (
        "message(); t.deliver_before_exit(); message(); t.force_flush(); message(); t.deliver_before_exit(); say('ok')"
    )
    run(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000")
    assert sink.total("messages_sent_total") == 3


def test_server_that_ends_by_its_signal_leaves_no_file(sink: OtlpSink, place: dict[str, str]) -> None:
    """A server delivers what it has and ends by the signal it was stopped with, unseen by any exit handler."""
    code = "message(); t.deliver_before_exit(); os.kill(os.getpid(), signal.SIGTERM); sys.stdin.read()"
    with started(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000", **place) as process:
        process.wait(30)
        assert process.returncode == -signal.SIGTERM
    assert sink.total("messages_sent_total") == 1
    assert list(Path(place["TELEMETRY_STATE_DIR"]).iterdir()) == []


def test_refused_exit_is_quick(place: dict[str, str]) -> None:
    """Where nobody ever listened, the exit does not wait for the deadline."""
    finished = run("message(); " + SHUT_DOWN, closed_url(), TELEMETRY_EXIT_DEADLINE="20", **place)
    assert float(finished.output) < 5.0
    assert "messages_sent_total 1" in finished.errors


def test_exit_waits_for_a_restart(sink: OtlpSink) -> None:
    """Where a collector answered until a moment ago, the exit waits for it to come back, within the deadline."""
    sink.status = 200
    code = f"message(); t.force_flush(); message(); say('flushed'); sys.stdin.readline()\n{SHUT_DOWN}"
    with started(code, sink.url, TELEMETRY_EXIT_DEADLINE="30", OTEL_METRIC_EXPORT_INTERVAL="60000") as process:
        assert line(process) == "flushed"
        sink.status = 503
        before = sink.requests
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert eventually(lambda: sink.requests >= before + 2)
        sink.status = 200
        assert float(line(process)) < 15.0
        errors = finish(process).errors
    assert sink.total("messages_sent_total") == 2
    assert "lost" not in errors.replace("nothing was lost", "")


def test_report_includes_the_last_moment(sink: OtlpSink, place: dict[str, str]) -> None:
    """What was recorded while an export hung is in the log of what waits, too."""
    sink.hang_seconds = 30.0
    code = f"message(); say('recorded'); sys.stdin.readline(); message(); message()\n{SHUT_DOWN}"
    with started(code, sink.url, TELEMETRY_EXIT_DEADLINE="1", **place) as process:
        assert line(process) == "recorded"
        assert eventually(lambda: sink.requests == 1)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert float(line(process)) <= 1.0 + SLACK
        assert "messages_sent_total 3" in finish(process).errors


KILLED = "for _ in range(100): message(); timed()\nsay('recorded'); os.kill(os.getpid(), signal.SIGKILL)"


def test_killed_process_loses_nothing(sink: OtlpSink, place: dict[str, str]) -> None:
    """What a process counted up to its SIGKILL is delivered by the next one that is started in its directory, once."""
    with started(KILLED, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000", **place) as process:
        assert line(process) == "recorded"
        assert process.wait(20) == -signal.SIGKILL
    assert sink.total("messages_sent_total") == 0
    with started("sys.stdin.read()", sink.url, **place) as heir:
        assert eventually(lambda: sink.total("messages_sent_total") == 100)
        finish(heir)
    assert sink.total("messages_sent_total") == sink.total("http_request_duration_seconds") == 100
    assert list(Path(place["TELEMETRY_STATE_DIR"]).iterdir()) == []


def test_sibling_delivers_for_the_killed(sink: OtlpSink, place: dict[str, str]) -> None:
    """A process that runs already delivers what another one counted that is killed, at its next export."""
    with started("message('pro'); say('up'); sys.stdin.read()", sink.url, **place) as sibling:
        assert line(sibling) == "up"
        with started(KILLED, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000", **place) as process:
            assert line(process) == "recorded"
        assert eventually(lambda: sink.total("messages_sent_total", user_plan="free") == 100)
        finish(sibling)
    assert sink.total("messages_sent_total", user_plan="pro") == 1
    assert list(Path(place["TELEMETRY_STATE_DIR"]).iterdir()) == []


def test_export_in_flight_at_the_kill_is_counted_once(sink: OtlpSink, place: dict[str, str]) -> None:
    """A process killed while the collector has its export and has not answered: the repeat is recognised."""
    sink.hang_seconds = 30.0
    with started("message(); say('recorded'); time.sleep(60)", sink.url, **place) as process:
        assert line(process) == "recorded"
        assert eventually(lambda: sink.requests == 1)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    sink.take_what_hangs()
    sink.hang_seconds = 0.0
    run("message(); t.force_flush()", sink.url, **place)
    assert sink.total("messages_sent_total") == 2
    assert sink.duplicates == 1


def test_removed_directory_is_made_again(sink: OtlpSink, place: dict[str, str]) -> None:
    """A cleaner that takes the directory of a living process takes no count: it goes on in a new box, safe from kills."""
    code = """
    message(); t.force_flush(); message()
    import shutil; shutil.rmtree(os.environ["TELEMETRY_STATE_DIR"])
    message(); t.force_flush()
    for _ in range(5): message()
    say(len(os.listdir(os.environ["TELEMETRY_STATE_DIR"]))); os.kill(os.getpid(), signal.SIGKILL)
    """
    with started(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000", **place) as process:
        assert line(process) == "1"
        process.wait(20)
    run("t.force_flush()", sink.url, **place)
    assert sink.total("messages_sent_total") == 8


def test_hanging_callback_holds_nothing_up(sink: OtlpSink, place: dict[str, str]) -> None:
    """A callback of the application that never answers keeps no count from being exported, and is named once."""
    code = """
    telemetry.process.lifetime.collecting.subscribe(lambda: time.sleep(3600))
    for _ in range(3):
        message(); t.force_flush(30)
    """
    finished = run(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000", OTEL_EXPORTER_OTLP_TIMEOUT="1", **place)
    assert sink.total("messages_sent_total") == 3
    assert finished.errors.count("a callback that a collection asks has not answered") == 1


OBSERVED = """
from opentelemetry.metrics import Observation, get_meter
seen = []
get_meter("own").create_observable_counter("jobs_total", [lambda options: [Observation(len(seen))]])
t.force_flush(); seen += [1, 2, 3]
def starts_no_thread(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
import atexit, threading  # what Python 3.12 and later do for every exit handler
atexit.register(lambda: setattr(threading.Thread, "start", starts_no_thread))
"""


def test_what_is_observed_at_the_end_arrives(sink: OtlpSink) -> None:
    """What an observable counter counted since the last export arrives where an ending interpreter starts no thread."""
    run(OBSERVED, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000")
    assert sink.total("jobs_total") == 3


def test_what_is_observed_at_the_end_is_on_the_endpoint(place: dict[str, str]) -> None:
    """The Prometheus endpoint of a host shows what an observable counter counted since it was asked last."""
    port = free_port()
    own = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port), **place}
    run(OBSERVED, "", OTEL_METRIC_EXPORT_INTERVAL="60000", **own)
    with started("say('up'); sys.stdin.read()", "", **own) as process:
        assert line(process) == "up"
        samples = exposition.scrape(f"http://localhost:{port}/metrics")
    assert [value for (name, _), value in samples.items() if name == "jobs_total"] == [3]


def test_second_shutdown_does_nothing(sink: OtlpSink) -> None:
    """Shutting down by hand and then ending normally delivers once."""
    run("message(); telemetry.shutdown(); telemetry.shutdown()", sink.url)
    assert sink.total("messages_sent_total") == 1


def test_flush_tells_the_truth(sink: OtlpSink) -> None:
    """`force_flush` is true after the collector's answer, and false, in time, without it."""
    code = """
    message()
    say(t.force_flush())
    message()
    sys.stdin.readline()
    begun = time.monotonic()
    say(t.force_flush(0.5), time.monotonic() - begun < 5)
    os._exit(0)
    """
    with started(code, sink.url, OTEL_METRIC_EXPORT_INTERVAL="60000") as process:
        assert line(process) == "True"
        assert sink.total("messages_sent_total") == 1
        sink.hang_seconds = 30
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "False True"


def test_outage_does_not_flood_the_log(place: dict[str, str]) -> None:
    """Without a collector the log has two lines of ours: that there is an outage, and what waits in the end."""
    finished = run("for _ in range(20): message(); time.sleep(0.1)", closed_url(), **place)
    assert len(finished.errors.splitlines()) == 2, finished.errors


def test_thread_that_cannot_start_is_replaced(sink: OtlpSink) -> None:
    """Where the system allows no thread more, the exit delivers by itself."""
    begin = """
import sys, threading
start = threading.Thread.start
def no_thread(self):
    if self.name == "telemetry-export": raise RuntimeError("can't start new thread")
    start(self)
threading.Thread.start = no_thread
import telemetry
from tests.support import chat
t = telemetry.configure("test", catalogue=chat)
"""
    run("chat.of(t).message_sent(plan='free')", sink.url, begin=begin, TELEMETRY_RAISE_ERRORS="")
    assert sink.total("messages_sent_total") == 1


def test_what_is_counted_during_the_exit_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has left no box behind and counts once more while it ends leaves that for others."""
    process = Exporting(tmp_path)
    pipeline = process.telemetry.pipeline
    pipeline.start()
    way = Mock()
    way.shutdown.side_effect = lambda seconds: process.message()
    monkeypatch.setattr(pipeline, "_ways", {"otlp": way})
    process.telemetry.shutdown()
    (box,) = dead_boxes(tmp_path)
    assert amounts_of(box.undelivered()) == {"messages_sent_total": 1}
    box.close()


@pytest.mark.parametrize("lives", [0, 1.3], ids=["before the first export", "in the middle of it"])
def test_nothing_counted_waits_for_nobody(sink: OtlpSink, place: dict[str, str], lives: float) -> None:
    """A process that counted nothing does not wait at its end for a collector that does not answer; one that did waits."""
    sink.hang_seconds = 10.0
    code = f"""
    time.sleep({lives}); began = time.monotonic()
    telemetry.shutdown(); say(time.monotonic() - began)
    """
    env = {"OTEL_METRIC_EXPORT_INTERVAL": "60000", "TELEMETRY_EXIT_DEADLINE": "2", **place}
    nothing, something = (float(run(f"{does}\n{code}", sink.url, **env).output) for does in ("", "    message()"))
    assert nothing < 1.5
    assert 1.5 < something < 6
