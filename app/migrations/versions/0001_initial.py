"""The first tables: users, conversations, messages, jobs, files."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _choice(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(16), nullable=False)


def _owner(table: str) -> list[Any]:
    """The column of a row's user, whose rows go when the user goes."""
    foreign_key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE")
    return [sa.Column("user_id", sa.String(64), nullable=False), foreign_key]


def _create(table: str, *columns: Any, indexes: tuple[str, ...]) -> None:
    op.create_table(table, *columns, sa.PrimaryKeyConstraint("id", name=f"pk_{table}"))
    for column in indexes:
        op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    """Bring the database to this revision."""
    _create_users()
    _create_conversations()
    _create_messages()
    _create_jobs()
    _create_files()


def _create_users() -> None:
    _create(
        "users",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        _choice("plan"),
        sa.Column("key_hash", sa.String(64), nullable=True),
        sa.Column("storage_used", sa.BigInteger(), nullable=False),
        _moment("created_at"),
        _moment("last_seen_at", nullable=True),
        sa.UniqueConstraint("key_hash", name="uq_users_key_hash"),
        indexes=("last_seen_at",),
    )


def _create_conversations() -> None:
    _create(
        "conversations",
        sa.Column("id", sa.String(32), nullable=False),
        *_owner("conversations"),
        sa.Column("title", sa.String(80), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        indexes=("user_id", "updated_at"),
    )


def _create_messages() -> None:
    _create(
        "messages",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        _choice("role"),
        _choice("status"),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        _moment("created_at"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name="fk_messages_conversation_id", ondelete="CASCADE"
        ),
        indexes=("conversation_id",),
    )


def _create_jobs() -> None:
    _create(
        "jobs",
        sa.Column("id", sa.String(32), nullable=False),
        *_owner("jobs"),
        sa.Column("name", sa.String(100), nullable=False),
        _choice("state"),
        sa.Column("message_id", _BIG, nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_jobs_message_id", ondelete="SET NULL"),
        indexes=("user_id", "message_id", "updated_at"),
    )


def _create_files() -> None:
    _create(
        "files",
        sa.Column("id", sa.String(32), nullable=False),
        *_owner("files"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.String(32), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        indexes=("user_id", "expires_at"),
    )


def downgrade() -> None:
    """Take the database back to the revision before."""
    for table in ("files", "jobs", "messages", "conversations", "users"):
        op.drop_table(table)
