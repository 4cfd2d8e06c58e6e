"""Keeping `users.storage_used` exact: each change is one atomic statement, usable from sync and async code."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Update, update

from app.faults import AppError, Fault
from app.models import File, User, now
from app.plans import Plan
from app.settings import get_settings

# Bytes that never arrive (a process died on the way) are given back when the reservation expires.
RESERVED_FOR = timedelta(hours=1)


def reserve(user_id: str, size: int, quota: int) -> Update:
    """Take `size` bytes of a user's quota; matches no row when they do not fit."""
    fits = User.storage_used + size <= quota
    return update(User).where(User.id == user_id, fits).values(storage_used=User.storage_used + size)


def release(user_id: str, size: int) -> Update:
    """Give `size` bytes back."""
    return update(User).where(User.id == user_id).values(storage_used=User.storage_used - size)


def finish(file_id: str) -> Update:
    """Note that a file's bytes have arrived, and keep it for as long as the settings say."""
    kept_until = now() + timedelta(days=get_settings().file_retention_days)
    return update(File).where(File.id == file_id).values(ready=True, expires_at=kept_until)


def reservation(user_id: str, name: str, content_type: str, size: int, bucket: str) -> File:
    """Return the row of a file whose bytes are on their way."""
    return File(
        user_id=user_id,
        name=name,
        content_type=content_type,
        size=size,
        bucket=bucket,
        expires_at=now() + RESERVED_FOR,
    )


def exceeded(plan: Plan, size: int) -> AppError:
    """Return the error for a file that does not fit."""
    quota = get_settings().storage_quota.of(plan)
    text = f"{size} bytes do not fit: the {plan} plan stores at most {quota} bytes. Delete files or change the plan."
    return AppError(Fault("QuotaExceeded", text, 413, "storage"))
