"""Users, their keys and their last activity; deciding who a request comes from is `app.auth`'s business."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, new_id, now
from app.plans import Plan

TOUCH_EVERY = timedelta(minutes=1)


def hash_key(key: str) -> str:
    """Return what is stored of an API key; keys are long and random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(key.encode()).hexdigest()


async def create(session: AsyncSession, name: str, plan: Plan) -> tuple[User, str]:
    """Create a user and return it with its API key, which is not stored and cannot be shown again."""
    key = f"ck-{secrets.token_urlsafe(32)}"
    user = User(id=new_id(), name=name, plan=plan, key_hash=hash_key(key))
    session.add(user)
    await session.commit()
    return user, key


async def by_key(session: AsyncSession, key: str) -> User | None:
    """Return the user of an API key."""
    user: User | None = await session.scalar(select(User).where(User.key_hash == hash_key(key)))
    return user


async def anonymous(session: AsyncSession, address: str) -> User:
    """Return the anonymous user of a client address, creating it at its first request."""
    user_id = f"anon-{hashlib.sha256(address.encode()).hexdigest()[:32]}"
    user = await session.get(User, user_id)
    if user is None:
        user = User(id=user_id, name="anonymous", plan=Plan.FREE, storage_used=0, created_at=now())
        await _insert_once(session, user)
    return user


async def _insert_once(session: AsyncSession, user: User) -> None:
    """Insert a user whom a parallel request may be inserting as well."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    names = ("id", "name", "plan", "storage_used", "created_at")
    values = {name: getattr(user, name) for name in names}
    await session.execute(insert(User).values(values).on_conflict_do_nothing(index_elements=["id"]))
    await session.commit()


async def touch(session: AsyncSession, user: User) -> None:
    """Note that a user did something; at most one write a minute, not one a request."""
    moment = now()
    if user.last_seen_at is None or moment - user.last_seen_at >= TOUCH_EVERY:
        await session.execute(update(User).where(User.id == user.id).values(last_seen_at=moment))
    # Ends the transaction in any case: the request must not keep a connection while it waits for others.
    await session.commit()
