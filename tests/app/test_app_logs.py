"""What the backend's processes log: which task and what class of error; nothing that somebody else wrote."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import pytest
from celery.app.trace import LOG_FAILURE, LOG_RETRY, LOG_SUCCESS
from celery.worker.consumer.consumer import INVALID_TASK_ERROR, UNKNOWN_FORMAT, UNKNOWN_TASK_ERROR

from telemetry.box.own import new_box
from worker import logs

MARK = "canary7f3a91"


@pytest.fixture(autouse=True)
def _installed() -> None:
    logs.install({"chat.x"})


def test_exceptions_are_told_by_class(caplog: pytest.LogCaptureFixture) -> None:
    """A line has the class of an exception and where it was raised, also of one that is an argument."""
    try:
        int(MARK)
    except ValueError as error:
        logging.getLogger("app").exception("unexpected error in %s", error)  # noqa: TRY401 - the app does so, too
    assert "unexpected error in ValueError" in caplog.text
    assert "in test_exceptions_are_told_by_class" in caplog.text
    assert MARK not in caplog.text


@pytest.mark.parametrize("line", [UNKNOWN_TASK_ERROR, UNKNOWN_FORMAT, INVALID_TASK_ERROR])
def test_messages_are_not_quoted(line: str, caplog: pytest.LogCaptureFixture) -> None:
    """Celery's line about a message that it cannot make a task of is there, without the message."""
    logging.getLogger("celery.worker.consumer.consumer").error(line, *[MARK] * line.count("%s"))
    assert line.partition("%s")[0] in caplog.text
    assert MARK not in caplog.text


@pytest.mark.parametrize("line", [LOG_FAILURE, LOG_RETRY, LOG_SUCCESS])
def test_ends_of_tasks_name_the_task(line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A task's line names it, its id and its exception's class; not what it was given, returned or said."""
    about = dict.fromkeys(("args", "kwargs", "return_value", "traceback", "internal"), MARK)
    identity = uuid.uuid4().hex
    context = {
        **about,
        "name": "chat.x",
        "id": identity,
        "exc": f"ValueError('{MARK}')",
        "runtime": 1,
        "description": "raised",
    }
    with caplog.at_level(logging.INFO):
        logging.getLogger("celery.app.trace").info(line.strip(), context)
    assert f"chat.x[{identity}]" in caplog.text
    assert ("ValueError" in caplog.text) == ("exc" in line)
    assert MARK not in caplog.text


def test_names_and_ids_of_senders(caplog: pytest.LogCaptureFixture) -> None:
    """A name that a sender gives a task instead of its own, and an id that is none, are left out."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("celery.worker.strategy").info("Task %(name)s[%(id)s] received", {"name": MARK, "id": MARK})
        logging.getLogger("celery.worker.request").error("Hard time limit (%ss) exceeded for %s[%s]", 3, "chat.x", MARK)
    assert [record.getMessage() for record in caplog.records] == [
        "Task …[…] received",
        "Hard time limit (3s) exceeded for chat.x[…]",
    ]


def test_other_lines_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """What has no exception and no message in it is logged as it was."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("celery.worker.consumer.connection").info("Connected to %s", "redis://127.0.0.1:6379/1")
        logging.getLogger("app").info("nothing")
    assert [record.getMessage() for record in caplog.records] == ["Connected to redis://127.0.0.1:6379/1", "nothing"]


def test_wrong_settings_are_explained(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """What telemetry says of a setting names the remedy, in the backend's processes, too."""
    tmp_path.chmod(0o755)
    new_box(tmp_path, {})
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"TELEMETRY_STATE_DIR={tmp_path} cannot be used" in line
    assert "chmod 700" in line
