"""How Alembic reaches the database of DATABASE_URL; run by the alembic command only."""

from __future__ import annotations

import os
import sys

from alembic import context

from app.db import make_sync_engine, sync_url
from app.models import Base


def _database_url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("DATABASE_URL is not set: set it to e.g. sqlite:////var/lib/chat/chat.db")
    return url


def _offline() -> None:
    context.configure(url=sync_url(_database_url()), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def _online() -> None:
    engine = make_sync_engine(_database_url())
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    _offline()
else:
    _online()
