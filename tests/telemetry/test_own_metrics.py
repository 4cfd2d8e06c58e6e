"""A user's own metrics: declared in a module, named to telemetry, counted by verbs without a recorder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypedDict

import pytest

import telemetry
from telemetry import Settings, SettingsError, guard, process, setup, testing
from telemetry.catalogue import (
    BUILT_IN,
    Budget,
    Catalogue,
    CatalogueError,
    CounterSpec,
    FactSpec,
    HistogramSpec,
    LevelSpec,
    NoLabels,
)
from tests.support import own_metrics as own


class Tier(StrEnum):
    """As an application has it."""

    GOLD = "gold"
    TIN = "tin"


class Tiers(TypedDict):
    """A closed set by an enumeration."""

    tier: Tier


TIERED = CounterSpec(name="own_tiered_total", help="Things by tier.", labels=Tiers)
LATER = HistogramSpec(name="own_later_seconds", help="Seconds.", labels=NoLabels, unit="s", buckets=(1.0, 2.0))


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which `configure()` was not called, and whose calls leave nothing behind."""
    monkeypatch.setattr(process.current, "configured", None)
    monkeypatch.setattr(setup, "_set_globally", lambda provider: None)
    monkeypatch.setattr(process.lifetime.configured, "_subscriptions", {})
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    yield
    if process.current.configured is not None:
        process.current.configured.shutdown()


def _module(name: str, **declared: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(declared)
    return made


def test_verbs_count_what_is_declared() -> None:
    """Each kind counts by its declaration, bounded by it, with the buckets of it."""
    with testing.captured(catalogue=own) as captured:
        own.ORDERS.add(2, {"plan": "free", "shop": "a"})
        own.ORDER_SECONDS.record(0.3, {"plan": "free"})
        own.CARTS.add(3, {"shop": "a"})
        own.CARTS.add(-1, {"shop": "a"})
        own.STOCK.set_all([({"shop": "a"}, 7), ({"shop": "b"}, 9)])
        assert captured.value("own_orders_total", plan="free", shop="a") == 2
        assert captured.buckets("own_order_seconds", plan="free") == [0, 1, 0]
        assert captured.value("own_carts_open", shop="a") == 2
        assert captured.series("own_stock") == {(("shop", "a"),): 7, (("shop", "b"),): 9}


def test_own_labels_are_bounded() -> None:
    """Values outside a closed set or over a budget become `other`, none is lost, and the overflow is counted."""
    wrong: Any = "platinum"
    with testing.captured(catalogue=own) as captured:
        for number in range(5):
            own.ORDERS.add(1, {"plan": "free", "shop": f"shop-{number}"})
        own.ORDERS.add(1, {"plan": wrong, "shop": "shop-0"})
        assert captured.value("own_orders_total", plan="free", shop="other") == 2
        assert captured.value("own_orders_total", plan="other", shop="shop-0") == 1
        testing.assert_counted("telemetry_label_overflows_total", {"metric": "own_orders_total"}, 3)


def test_enumerations_are_closed_sets() -> None:
    """A label may be an application's own enumeration of strings."""
    tiered = telemetry.counter(TIERED)
    with testing.captured(catalogue=_module("tiers", TIERED=TIERED)) as captured:
        captured.telemetry.instruments.declare_closed()
        tiered.add(1, {"tier": Tier.GOLD})
        assert captured.series("own_tiered_total", zeros=True) == {(("tier", "gold"),): 1, (("tier", "tin"),): 0}


def test_verbs_follow_whatever_is_configured(unconfigured: None) -> None:
    """One verb is safe before `configure()`, and counts into what is configured or captured at the moment."""
    own.SEEN.add(1, {})
    configured = telemetry.configure("own", catalogue=own)
    own.SEEN.add(2, {})
    with testing.captured() as inner:
        own.SEEN.add(3, {})
        assert inner.value("own_seen_total") == 3
    own.SEEN.add(4, {})
    outer = testing.Captured.__new__(testing.Captured)
    outer.telemetry = configured
    assert outer.value("own_seen_total") == 6


def test_zero_series_are_there_from_the_start(unconfigured: None) -> None:
    """Series of closed sets exist at 0 once a module is named, also by a later call; declared ones of open labels, too."""
    declared = telemetry.counter(own.ORDERS_PLACED)
    declared.declare({"plan": "pro", "shop": "main"})
    configured = telemetry.configure("own")
    captured = testing.Captured.__new__(testing.Captured)
    captured.telemetry = configured
    assert captured.value("own_refunds_total", plan="free") is None
    assert telemetry.configure("own", catalogue="tests.support.own_metrics") is configured
    assert captured.value("own_refunds_total", plan="free") == 0
    assert captured.value("own_seen_total") == 0
    assert captured.value("own_orders_total", plan="pro", shop="main") == 0


def test_levels_are_read_where_the_truth_is(unconfigured: None) -> None:
    """A level may be read at each collection, from before `configure()` on, until its reading is closed."""
    reading = telemetry.level(own.QUEUED).read_from(lambda: [({}, 4)])
    with testing.captured(catalogue=own) as captured:
        assert captured.value("own_queued") == 4
        reading.close()
        assert captured.value("own_queued") is None


def test_levels_are_read_or_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Whichever comes first holds, in either order; the other verb raises nothing, and one line says so."""
    with testing.captured(catalogue=own) as captured:
        level = telemetry.level(own.QUEUED)
        reading = level.read_from(lambda: [({}, 4)])
        level.add(1, {})
        level.add(1, {})
        assert captured.value("own_queued") == 4
        reading.close()
    with testing.captured(catalogue=own) as captured:
        level.add(2, {})
        level.read_from(lambda: [({}, 4)]).close()
        assert captured.value("own_queued") == 2
    assert [record.message for record in caplog.records] == [
        "own_queued is both counted and read in this process: it stays read, which came first",
        "own_queued is both counted and read in this process: it stays counted, which came first",
    ]


@pytest.mark.parametrize("labels", [None, {"tier": []}, {"tier": "gold", 1: "x"}, 5])
def test_declaring_a_series_never_raises(labels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that cannot be are a line in the log, before `configure()` and after it."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    telemetry.counter(TIERED).declare(labels)
    with testing.captured():
        telemetry.counter(TIERED).declare(labels)


def test_metric_of_no_named_module_counts(caplog: pytest.LogCaptureFixture) -> None:
    """A metric whose module nobody named counts as it is declared, and one line says what to name."""
    later = telemetry.histogram(LATER)
    with testing.captured() as captured:
        for _ in range(3):
            later.record(1.5, {})
        assert captured.buckets("own_later_seconds") == [0, 1 * 3, 0]
    assert [record.levelname for record in caplog.records if "own_later_seconds" in record.message] == ["WARNING"]
    assert "TELEMETRY_CATALOGUE" in caplog.text


def test_nothing_is_said_before_configure(
    unconfigured: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a module counts while it is imported, before anybody could name it, is no reason for a line."""
    monkeypatch.setattr(process.current, "_silent", None)
    monkeypatch.setattr(process.current, "measured", process.Measured())
    own.ORDERS.declare({"plan": "free", "shop": "a"})
    telemetry.counter(TIERED).add(1, {"tier": Tier.TIN})
    assert caplog.records == []


def test_setting_gives_own_buckets() -> None:
    """`TELEMETRY_HISTOGRAM_BUCKETS` gives an own histogram other buckets than it declares."""
    settings = Settings.from_environment(None, {"TELEMETRY_HISTOGRAM_BUCKETS": "own_order_seconds=1,2,3"})
    with testing.captured(settings, catalogue=own) as captured:
        own.ORDER_SECONDS.record(2.5, {"plan": "pro"})
        assert captured.buckets("own_order_seconds", plan="pro") == [0, 0, 1, 0]


def test_wrong_verb_is_refused() -> None:
    """A verb of another kind than the declaration is an error that names the right one."""
    wrong: Any = own.ORDERS_PLACED
    with pytest.raises(TypeError, match=r"own_orders_total is declared by no LevelSpec: call telemetry\.counter"):
        telemetry.level(wrong)


# --- naming modules ---------------------------------------------------------------------------------------------------


def test_variable_names_modules(unconfigured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TELEMETRY_CATALOGUE` names modules by their dotted names."""
    monkeypatch.setenv("TELEMETRY_CATALOGUE", "tests.support.own_metrics, tests.support.chat")
    names = telemetry.configure("own").catalogue.by_name
    assert {"own_orders_total", "messages_sent_total", "http_requests_total"} <= set(names)


def test_module_beside_the_application_is_found(
    unconfigured: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A module in the current directory is found also where Python's path lacks it, as under an agent; the path stays."""
    (tmp_path / "beside_metrics.py").write_text(
        "from telemetry.catalogue import CounterSpec, NoLabels\n"
        "BESIDE = CounterSpec(name='beside_total', help='Things.', labels=NoLabels)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(tmp_path)}])
    monkeypatch.setenv("TELEMETRY_CATALOGUE", "beside_metrics")
    before = list(sys.path)
    assert "beside_total" in telemetry.configure("own").catalogue.by_name
    assert sys.path == before


def test_entry_points_name_modules(unconfigured: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed distribution names a module in the group `telemetry_catalogue`."""
    info = tmp_path / "shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[telemetry_catalogue]\nshop = tests.support.own_metrics\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "own_orders_total" in telemetry.configure("own").catalogue.by_name


WRONG: dict[str, tuple[str, str]] = {
    "no_such_module": ("", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_module'\)"),
    "raising": ("raise RuntimeError('not today')", r"cannot be imported \(RuntimeError: not today\)"),
    "nothing": ("X = 1", "the module nothing declares no metric"),
    "builtin": (
        "S = CounterSpec(name='http_requests_total', help='Mine.', labels=NoLabels)",
        r"http_requests_total: builtin\.S and telemetry\.catalogue\.http\.REQUESTS declare different metrics",
    ),
    "part": (
        "S = FactSpec(name='http_request_duration_seconds_count', help='Mine.', labels=NoLabels)",
        r"http_request_duration_seconds_count and http_request_duration_seconds: part\.S and .*http\.DURATION",
    ),
    "twice": (
        "S = CounterSpec(name='own_orders_total', help='Others.', labels=NoLabels)",
        r"twice\.S and tests\.support\.own_metrics\.ORDERS_PLACED declare different metrics",
    ),
    "reserved": (
        "class L(TypedDict):\n    environment: Literal['a']\nS = CounterSpec(name='x_total', help='X.', labels=L)",
        "label 'environment' is one that a collector or Prometheus adds",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_module_that_cannot_be_had(
    name: str,
    unconfigured: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A module that cannot be in the catalogue is one ERROR line that names it and the reason; the others are there."""
    text, said = WRONG[name]
    head = "from typing import Literal, TypedDict\nfrom telemetry.catalogue import CounterSpec, FactSpec, NoLabels\n"
    if text:
        (tmp_path / f"{name}.py").write_text(head + text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TELEMETRY_CATALOGUE", f"tests.support.own_metrics,{name}")
    with pytest.raises(SettingsError, match=said):
        telemetry.configure("own")
    monkeypatch.delenv("TELEMETRY_STRICT")
    configured = telemetry.configure("own")
    assert "own_orders_total" in configured.catalogue.by_name
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "TELEMETRY_CATALOGUE=" in line.message
    assert name in line.message


IMPORTED_TWICE = """
import sys, threading, types, telemetry
from support.waiting import eventually
from telemetry import process
sys.modules["moments"] = moments = types.ModuleType("moments")
moments.begun, moments.go_on = threading.Event(), threading.Event()
def is_held():
    is_free = process.current.lock.acquire(blocking=False)
    if is_free: process.current.lock.release()
    return not is_free
importing = threading.Thread(target=__import__, args=("slow",), daemon=True)
importing.start(); moments.begun.wait(20)
configuring = threading.Thread(target=telemetry.configure, kwargs={"catalogue": "slow"}, daemon=True)
configuring.start(); eventually(is_held, 1); moments.go_on.set()
for thread in (importing, configuring): thread.join(10)
print(importing.is_alive(), configuring.is_alive(), "slow_total" in telemetry.get().catalogue.by_name, flush=True)
"""
SLOW = """
import moments, telemetry
from telemetry.catalogue import CounterSpec, NoLabels
moments.begun.set(); moments.go_on.wait(20); telemetry.get()
SLOW = CounterSpec(name="slow_total", help="Slow.", labels=NoLabels)
"""


def test_module_that_two_threads_import(tmp_path: Path) -> None:
    """A thread that imports a module of the catalogue, which asks for telemetry, and one that configures go on both."""
    (tmp_path / "slow.py").write_text(SLOW)
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command = [sys.executable, "-c", IMPORTED_TWICE]
    env = {**os.environ, "PYTHONPATH": paths, "OTEL_METRICS_EXPORTER": "none"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False True\n", done.stderr


def test_metric_whose_name_is_taken_counts_for_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A verb of a metric that clashes with another one does not count into that one, and says so once."""
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    mine = telemetry.counter(CounterSpec(name="http_requests_total", help="Mine.", labels=NoLabels))
    with testing.captured() as captured:
        mine.add(5, {})
        mine.add(5, {})
        assert captured.total("http_requests_total") == 0
    assert caplog.text.count("http_requests_total is not counted") == 1


def test_module_imported_twice_is_one() -> None:
    """The same declarations under two names of modules, as a reload makes them, are one metric."""
    again = FactSpec(name="own_again", help="Again.", labels=NoLabels)
    same = FactSpec(name="own_again", help="Again.", labels=NoLabels)
    catalogue = Catalogue((_module("a", X=again), _module("b", X=same)))
    assert catalogue.specs == (again,)


ILLEGAL: dict[str, tuple[Any, str]] = {
    "double underscore": (lambda: _counter("own__x_total", NoLabels), "single underscores"),
    "prometheus": (lambda: _fact("up", NoLabels), "Prometheus or a collector uses"),
    "collector": (lambda: _fact("otelcol_things", NoLabels), "Prometheus or a collector uses"),
    "level total": (lambda: LevelSpec(name="x_total", help="X.", labels=NoLabels), "which says counter"),
    "le": (lambda: _counter("x_total", TypedDict("L", {"le": Literal["1"]})), "label 'le'"),
    "instance": (lambda: _counter("x_total", TypedDict("L", {"instance": Literal["1"]})), "label 'instance'"),
    "case": (lambda: _counter("x_total", TypedDict("L", {"Shop": Literal["1"]})), "label 'Shop' is not snake_case"),
    "open": (lambda: _counter("x_total", TypedDict("L", {"shop": str})), r"Annotated\[str, Budget"),
    "numbers": (lambda: _counter("x_total", TypedDict("L", {"shop": Literal[1, 2]})), "cannot have the value 1, 2"),
    "empty": (lambda: _counter("x_total", TypedDict("L", {"shop": Literal["a", ""]})), "cannot have the value ''"),
    "budget": (lambda: TypedDict("L", {"shop": Annotated[str, Budget(0, "x")]}), "a whole number from 1"),
}


def _counter(name: str, labels: Any) -> Any:
    return CounterSpec(name=name, help="X.", labels=labels)


def _fact(name: str, labels: Any) -> Any:
    return FactSpec(name=name, help="X.", labels=labels)


@pytest.mark.parametrize(("declare", "said"), ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_declarations(declare: Any, said: str) -> None:
    """A declaration that a collector would fold or Prometheus misread is refused where it is written, with the remedy."""
    with pytest.raises(ValueError, match=said):
        declare()


def test_types_of_labels_have_to_be_there() -> None:
    """Labels that name a type which their module lacks are refused with what to do."""

    class Hidden(TypedDict):
        shop: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ValueError, match=r"use 'Nowhere'.*at the top of the module"):
        _counter("x_total", Hidden)


def test_many_closed_values_begin_at_their_first_event(caplog: pytest.LogCaptureFixture) -> None:
    """A metric whose closed sets multiply to thousands of series does not take the room of all of them at start."""
    values = Literal[tuple(map(str, range(40)))]  # type: ignore[valid-type]
    labels: Any = TypedDict("labels", {"a": values, "b": values})
    module = _module("many", MANY=_counter("own_many_total", labels))
    with testing.captured(catalogue=module) as captured:
        captured.telemetry.instruments.declare_closed()
        assert captured.series("own_many_total", zeros=True) == {}
    assert "own_many_total has more than 1000 series" in caplog.text


def test_catalogue_is_a_value() -> None:
    """A catalogue with more modules is another one; what is in it twice is in it once."""
    more = BUILT_IN.including(own, own)
    assert "own_orders_total" not in BUILT_IN.by_name
    assert more.modules == (*BUILT_IN.modules, own)
    with pytest.raises(CatalogueError):
        BUILT_IN.including(_module("none"))
