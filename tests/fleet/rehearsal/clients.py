"""What clients saw of a storm, against what was counted: an answer is counted, and what was not answered may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from docs.accuracy.table import Row
from support.exposition import Samples, series, total

Answer = tuple[str, str, str]
_PROBES = {"/ready", "/health"}
# NGINX's, where no replica answers; the vendor's failure has the same status, so these tell nothing about the app.
_BY_NGINX = {"502", "504"}
_LEFT = "left"  # a stream that nobody waited for to its end
_COUNTED_AS = {_LEFT: "499"}
_CHATS = "/api/v1/chat/conversations"
_TASKS = {
    "chat.generate_reply": {_CHATS, f"{_CHATS}/{{conversation_id}}/messages"},
    "media.generate_image": {"/api/v1/images"},
    "media.transcribe_audio": {"/api/v1/audio/transcriptions"},
}
_ACCEPTED, _REFUSED = "202", "503"  # refused: the broker did not confirm the task, and may have it


def rows(answers: Counter[Answer], page: Samples, kills_of_replicas: int) -> Iterator[Row]:
    """Requests and tasks as clients saw them.

    Args:
        answers: By method, route and status; an error's name where no answer came, `left` where nobody waited for it.
        page: The collector's totals.
        kills_of_replicas: Each may fall between an answer and its count, which are one after the other in one thread.
    """
    yield _requests(answers, page, kills_of_replicas)
    for task, routes in _TASKS.items():
        posts = {(route, status): count for (method, route, status), count in answers.items() if method == "POST"}
        known = sum(count for (route, status), count in posts.items() if route in routes and status == _ACCEPTED)
        unknown = sum(
            count
            for (route, status), count in posts.items()
            if route in routes and (_is_unknown(status) or status == _REFUSED)
        )
        counted = total(page, "celery_tasks_submitted_total", {"task_name": task})
        yield _row(f"tasks acknowledged, {task}", known, counted, 0, unknown)


def differences(answers: Counter[Answer], page: Samples) -> list[str]:
    """Every route and status of which not as many were counted as were answered, in words."""
    known: Counter[Answer] = Counter()
    for (method, route, status), count in answers.items():
        if status == _LEFT or not _is_unknown(status):
            known[method, route, _COUNTED_AS.get(status, status)] += count
    counted = _counted(page)
    return [
        f"{' '.join(key)}: {known[key]} answered, {counted.get(key, 0):.0f} counted"
        for key in sorted({*known, *counted})
        if known[key] != counted.get(key, 0)
    ]


def _requests(answers: Counter[Answer], page: Samples, kills: int) -> Row:
    unknown = sum(count for (_, _, status), count in answers.items() if _is_unknown(status))
    return _row("requests answered", answers.total() - unknown, sum(_counted(page).values()), kills, unknown + kills)


def _counted(page: Samples) -> dict[Answer, float]:
    """What clients may have been answered: probes and what NGINX answers in the app's place are left out."""
    shown = ((dict(key), value) for key, value in series(page, "http_requests_total").items() if value)
    counted = {(row["method"], row["endpoint"], row["status_code"]): value for row, value in shown}
    return {key: value for key, value in counted.items() if key[1] not in _PROBES and key[2] not in _BY_NGINX}


def _row(what: str, known: float, counted: float, fewer: float, more: float) -> Row:
    """More may have been counted than was answered where no answer came; fewer where a kill fell in between."""
    bound = f"{more:.0f} more may have been, whose clients do not know"
    return Row("rehearsal", "storm", what, "clients", known, known, counted, known - fewer, known + more, bound)


def _is_unknown(status: str) -> bool:
    """Whether the client does not know what the app made of its request."""
    return not status.isdigit() or status in _BY_NGINX
