"""What the pool processes of a node share with it: it is loaded before the first fork, and stays unwritten after it."""

from __future__ import annotations

import gc
from typing import Any

from celery.signals import worker_before_create_process, worker_init

from app import db
from app.llm import chat_vendor, media_vendor


@worker_init.connect
def load(**_: Any) -> None:
    """Load what the first task of each pool process would load; nothing here connects to anything."""
    db.load()
    chat_vendor().load()
    media_vendor().load()


@worker_before_create_process.connect
def keep_shared(**_: Any) -> None:
    """The garbage collector writes to what it examines, and what is written to is shared no longer."""
    gc.freeze()
