"""Whoever lives delivers for the dead: the same export under the same number, once, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData

from support.ports import closed_url
from telemetry.box import locks
from telemetry.box.box import Box
from telemetry.pipeline.adoption import Adopted, Adoption
from telemetry.pipeline.delivery import MOST_EXPORTS
from telemetry.pipeline.otlp import SENDER
from telemetry.pipeline.transport import Answer
from tests.support import chat
from tests.support.otlp_sink import OtlpSink
from tests.support.processes import environment, started
from tests.telemetry.pipeline.fakes import BUSY, REFUSED, TAKEN, UNANSWERED, Exporting, Script, moved

ROUTE = b"r" * 16


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "state"


def _die(process: Exporting) -> None:
    """Let a process be gone, as a kill does: its lock is free and its file is as it was."""
    box = process.telemetry.meter_provider.renew()
    assert box is not None
    box.leave()


def _adoption(process: Exporting, place: Path, **settings: object) -> Adoption:
    target = process.telemetry.meter_provider.box.process["target"]
    settle = process.telemetry.settle_for
    most_age = float(str(settings.get("most_age", 3600.0)))
    return Adoption(place, str(settings.get("target", target)), process.delivery, most_age, process.observed, settle)


def _adopt(place: Path, process: Exporting | None = None, **settings: object) -> tuple[Exporting, Adopted]:
    heir = process or Exporting(place)
    return heir, _adoption(heir, place, **settings).adopt(ROUTE, 5.0)


def _boxes(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if not locks.is_locked(path)]


def test_counts_of_the_dead_arrive_once(place: Path) -> None:
    """What dead processes counted and did not export arrives, with what they had exported before, and no file stays."""
    script = Script()
    for number in range(10):
        process = Exporting(place, script)
        process.message()
        process.timed()
        if number % 2:
            process.export()
            process.message()
        _die(process)
    heir = Exporting(place, script)
    _, adopted = _adopt(place, heir)
    assert adopted == Adopted(delivered=10)
    assert script.taken.counts["messages_sent_total"] == 15
    assert script.taken.counts["http_request_duration_seconds"] == 10
    assert script.taken.gaps == 0
    assert _boxes(place) == []


def test_export_in_flight_is_repeated_as_it_was(place: Path) -> None:
    """An export that was on its way when its process died goes out under its number, route and content; then the rest."""
    script = Script()
    process = Exporting(place, script)
    process.message()
    script.answer = lambda data: UNANSWERED if data.resource_metrics else TAKEN
    process.export()
    process.message("pro")
    route = script.routes[-1]
    _die(process)
    script.answer = TAKEN
    _adopt(place, Exporting(place, script))
    first, repeat, rest = script.sent
    assert encode_metrics(first).SerializeToString() == encode_metrics(repeat).SerializeToString()
    assert script.routes == [route, route, ROUTE.hex()]
    assert rest.resource_metrics[0].resource.attributes[SENDER] == first.resource_metrics[0].resource.attributes[SENDER]
    assert script.taken.counts["messages_sent_total"] == 2


@pytest.mark.parametrize("taken", [True, False])
def test_heir_that_dies_leaves_it_to_the_next(place: Path, taken: bool) -> None:
    """One who delivers for the dead and dies before or after the collector has it loses nothing and doubles nothing."""
    script = Script()
    process = Exporting(place, script)
    process.message()
    _die(process)

    class _KilledError(BaseException):
        pass

    def die(data: MetricsData) -> Answer:
        if taken:
            script.taken.take(data)
        raise _KilledError

    script.answer = die
    with pytest.raises(_KilledError):
        _adopt(place, Exporting(place, script))
    script.answer = TAKEN
    _, adopted = _adopt(place, Exporting(place, script))
    assert adopted.delivered == 1
    assert script.taken.counts["messages_sent_total"] == 1


def test_outage_keeps_what_the_dead_left(place: Path) -> None:
    """While the collector takes nothing, what the dead left stays for whoever looks next."""
    for _ in range(3):
        process = Exporting(place)
        process.message()
        _die(process)
    heir = Exporting(place)
    heir.transport.answer = BUSY
    _, adopted = _adopt(place, heir)
    assert adopted == Adopted(kept=3)
    assert len(_boxes(place)) == 3


def test_one_request_carries_many_dead(place: Path) -> None:
    """Hundreds of recycled children cost a few requests, not one each."""
    for _ in range(MOST_EXPORTS + 10):
        process = Exporting(place)
        process.message()
        _die(process)
    heir, adopted = _adopt(place)
    assert adopted.delivered == MOST_EXPORTS + 10
    assert len(heir.transport.sent) == 2
    assert heir.transport.taken.counts["messages_sent_total"] == MOST_EXPORTS + 10


def test_poison_of_one_holds_nobody_up(place: Path) -> None:
    """A count of one dead process that is refused for good is given up; those of all others arrive, and nothing stays."""
    for number in range(5):
        process = Exporting(place)
        process.message()
        if number == 2:
            chat.of(process.telemetry).image_generated(model="bad", count=7)
        _die(process)
    heir = Exporting(place)
    heir.transport.answer = lambda data: REFUSED if "images_generated_total" in moved(data) else TAKEN
    _adopt(place, heir)
    assert heir.transport.taken.counts["messages_sent_total"] == 5
    assert heir.observed.lost == {"images_generated_total": 7}
    assert _boxes(place) == []


def test_other_collectors_are_left_to_others(place: Path) -> None:
    """What is meant for another collector waits for those who deliver there, and is named."""
    process = Exporting(place)
    process.message()
    target = process.telemetry.meter_provider.box.process["target"]
    _die(process)
    heir, adopted = _adopt(place, target="http/protobuf http://elsewhere 00")
    assert adopted.foreign == {target: 1}
    assert heir.transport.sent == []
    _, adopted = _adopt(place)
    assert adopted.delivered == 1


def test_old_news_is_dropped_and_said(
    place: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process counted that has been dead for too long is no news of today: it is dropped, counted and named."""
    process = Exporting(place)
    process.message()
    _die(process)
    later = time.time_ns() + int(7200 * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: later)
    heir, adopted = _adopt(place)
    assert adopted.expired == 1
    assert heir.observed.lost["messages_sent_total"] == 1
    assert "TELEMETRY_STATE_MAX_AGE" in caplog.text
    assert "messages_sent_total 1" in caplog.text
    assert _boxes(place) == []


def test_clock_that_stepped_back_drops_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that seems to come from the future is delivered as any other."""
    process = Exporting(place)
    process.message()
    _die(process)
    earlier = time.time_ns() - int(7 * 86400 * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: earlier)
    _, adopted = _adopt(place)
    assert adopted.delivered == 1


def test_process_that_lives_is_left_alone(place: Path) -> None:
    """Nobody delivers for the living, however much they have to deliver."""
    process = Exporting(place)
    process.message()
    heir, adopted = _adopt(place)
    assert adopted == Adopted()
    assert heir.transport.sent == []
    assert process.export()


def test_unpriced_calls_of_the_dead_are_priced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLM calls whose process died before the price library was loaded cost what they cost."""
    monkeypatch.setattr("telemetry.instrumentation.llm.pricing.is_ready", lambda: False)
    monkeypatch.setattr("telemetry.instrumentation.llm.billing.LlmBilling._load", lambda self: None)
    process = Exporting(place)
    for _ in range(10):
        with process.telemetry.llm.request(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=1_000_000)
    with process.telemetry.llm.request(provider="openai", model="nobody-knows") as call:
        call.usage(prompt_tokens=1)
    _die(process)
    heir, _ = _adopt(place)
    assert heir.transport.taken.counts["llm_cost_usd_total"] == pytest.approx(25.0)
    assert heir.transport.taken.counts["llm_unpriced_requests_total"] == 1
    assert heir.transport.taken.counts["llm_requests_total"] == 11
    assert _boxes(place) == []


def test_levels_end_with_their_process(place: Path) -> None:
    """What was in progress in a process that died is in progress no more: nobody says so for it."""
    process = Exporting(place)
    process.telemetry.http.route("GET", "/x").started()
    chat.of(process.telemetry).observe_users_active({"free": 3})
    process.message()
    _die(process)
    heir, _ = _adopt(place)
    assert moved(heir.transport.sent[0]) == {"messages_sent_total"}


def test_credentials_are_not_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a box says of its process holds no header and no password."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@127.0.0.1:4318")
    process = Exporting(place)
    process.message()
    box: Box = process.telemetry.meter_provider.box
    assert box.path is not None
    assert b"secret" not in box.path.read_bytes()
    assert "secret" not in json.dumps(box.process)


# --- python -m telemetry deliver --------------------------------------------------------------------------------------


def _command(place: Path, endpoint: str, *arguments: str, **more: str) -> tuple[int, str]:
    env = environment(endpoint, TELEMETRY_STATE_DIR=str(place), **more)
    command = [sys.executable, "-m", "telemetry", *arguments]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def _killed(place: Path, endpoint: str, **env: str) -> None:
    code = "for _ in range(10): message()\nos.kill(os.getpid(), signal.SIGKILL)"
    env |= {"OTEL_METRIC_EXPORT_INTERVAL": "60000", "TELEMETRY_STATE_DIR": str(place)}
    with started(code, endpoint, **env) as process:
        process.wait(20)


def test_command_delivers_for_the_dead(place: Path, sink: OtlpSink) -> None:
    """`python -m telemetry deliver` delivers what killed processes counted, and says so; a second time there is nothing."""
    for _ in range(3):
        _killed(place, sink.url)
    assert _command(place, sink.url, "deliver") == (0, f"delivered: 3 dead processes in {place}\n")
    assert sink.total("messages_sent_total") == 30
    assert _command(place, sink.url, "deliver") == (0, f"delivered: 0 dead processes in {place}\n")
    assert sink.total("messages_sent_total") == 30


def test_command_says_what_it_cannot_deliver(place: Path, sink: OtlpSink) -> None:
    """Without a collector it says how many wait; for another collector which one; without an exporter what to set."""
    _killed(place, sink.url)
    sink.status = 503
    status, said = _command(place, sink.url, "deliver", "--timeout", "0.5")
    assert status == 1
    assert "not delivered yet: 1 dead process;" in said
    status, said = _command(place, closed_url(), "deliver")
    assert status == 0
    assert f"for another collector (http/protobuf {sink.url}/v1/metrics" in said
    status, said = _command(place, sink.url, "deliver", OTEL_METRICS_EXPORTER="none")
    assert (status, said) == (2, "OTEL_METRICS_EXPORTER='none' delivers nowhere: set it to otlp\n")


def test_command_delivers_with_other_credentials_if_told(place: Path, sink: OtlpSink) -> None:
    """After the headers have changed it names the option by which the dead with the old ones are delivered with the new ones."""
    name = "OTEL_EXPORTER_OTLP_HEADERS"
    _killed(place, sink.url, **{name: "authorization=Bearer%20old"})
    _killed(place, closed_url(), **{name: "authorization=Bearer%20old"})
    new = {name: "authorization=Bearer%20new"}
    status, said = _command(place, sink.url, "deliver", **new)
    assert (status, sink.total("messages_sent_total")) == (0, 0)
    assert "for this collector with other credentials: 1 dead process; run this with --any-credentials\n" in said
    status, said = _command(place, sink.url, "deliver", "--any-credentials", **new)
    assert said.startswith("delivered: 1 dead process in ")
    assert "for another collector" in said
    assert (sink.total("messages_sent_total"), sink.headers["authorization"]) == (10, "Bearer new")
    assert len(_boxes(place)) == 1
