"""A moment as a picture for a terminal of any size; 80 columns and 24 lines hold all of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from telemetry.cli.watch.moment import Moment, Worker

_FIXED_LINES = 8  # title, heads of five tables, the end, one for what is missing
_MANY_ERRORS = 0.05
_NOTHING = "-"
_EXACT_BELOW = 100  # a second
_SECONDS_BELOW = 120


def picture(moment: Moment, source: str, width: int, height: int, now: datetime) -> RenderableType:
    """The whole screen.

    Args:
        moment: What is shown.
        source: Where it was read.
        width: Columns.
        height: Lines.
        now: For the title.
    """
    rows = max(1, (height - _FIXED_LINES) // 5)
    parts = [
        _title(moment, source, width, now),
        _http(moment, rows + 1, width),
        _tasks(moment, rows + 1, width),
        _broker(moment, rows, width),
        _models(moment, rows, width),
        *_alerts(moment, rows, width),
    ]
    return Group(*parts)


def _title(moment: Moment, source: str, width: int, now: datetime) -> Text:
    over = f"rates over {moment.seconds:.0f} s" if moment.seconds else "rates from the next read on"
    says = f"cannot read {moment.problem}" if moment.problem else f"{source}  {over}"
    text = Text(f"{now:%H:%M:%S}  {says}", style="bold red" if moment.problem else "bold", no_wrap=True)
    text.truncate(width - len("  q leaves"), overflow="ellipsis")
    return text.append("  q leaves", style="dim")


def _table(width: int, first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), width=width, header_style="bold cyan", expand=True)
    table.add_column(first, no_wrap=True, overflow="ellipsis", ratio=1)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, min_width=7)
    return table


def _http(moment: Moment, rows: int, width: int) -> Table:
    table = _table(width, "HTTP", "req/s", "errors", "p95", "now")
    for route in moment.routes()[:rows]:
        style = "red" if route.errors > _MANY_ERRORS else ""
        cells = (_rate(route.rate), f"{route.errors:.1%}", _seconds(route.p95), f"{route.in_progress:.0f}")
        table.add_row(route.name, *cells, style=style)
    return table


def _tasks(moment: Moment, rows: int, width: int) -> Table:
    table = _table(width, "TASKS", "sent/s", "done/s", "fail/s", "p95")
    for task in moment.tasks()[:rows]:
        cells = (_rate(task.submitted), _rate(task.completed), _rate(task.failed), _seconds(task.p95))
        table.add_row(task.name, *cells, style="red" if task.failed else "")
    return table


def _broker(moment: Moment, rows: int, width: int) -> Table:
    """Queues and workers, beside each other."""
    half = (width - 2) // 2
    queues = _table(half, "QUEUES", "length", "oldest")
    for queue in moment.queues()[:rows]:
        queues.add_row(queue.name, f"{queue.length:.0f}", _seconds(queue.oldest))
    workers = _table(half, _workers_title(moment), "busy")
    for worker in moment.workers()[:rows]:
        workers.add_row(worker.name, _busy(worker), style="" if worker.is_active else "red")
    beside = Table.grid(padding=(0, 2, 0, 0))
    beside.add_row(queues, workers)
    return beside


def _busy(worker: Worker) -> str:
    if not worker.is_active:
        return "gone"
    return f"{worker.busy:.0f}/{worker.size:.0f}" if worker.size else f"{worker.busy:.0f}"


def _workers_title(moment: Moment) -> str:
    workers = moment.workers()
    return f"WORKERS {sum(worker.is_active for worker in workers)}/{len(workers)}"


def _models(moment: Moment, rows: int, width: int) -> Table:
    table = _table(width, "LLM", "calls/s", "tok/min", "USD/h")
    for model in moment.models()[: rows + 1]:
        table.add_row(model.name, _rate(model.calls), f"{model.tokens:,.0f}", f"{model.cost:.2f}")
    return table


def _alerts(moment: Moment, rows: int, width: int) -> Iterable[RenderableType]:
    if moment.alerts is None:
        return
    table = Table(box=None, padding=(0, 1, 0, 0), width=width, show_header=True, header_style="bold cyan")
    firing = sum(alert.state == "firing" for alert in moment.alerts)
    pending = len(moment.alerts) - firing
    table.add_column(f"ALERTS {firing}", no_wrap=True)
    table.add_column(f"{pending} pending" if pending else "", no_wrap=True, overflow="ellipsis", ratio=1)
    for alert in moment.alerts[:rows]:
        style = {"critical": "red", "warning": "yellow"}.get(alert.severity, "") if alert.state == "firing" else "dim"
        table.add_row(alert.name, alert.about, style=style)
    yield table


def _rate(value: float) -> str:
    return f"{value:.2f}" if value < _EXACT_BELOW else f"{value:.0f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return _NOTHING
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < _SECONDS_BELOW else f"{value / 60:.0f} min"
