"""Who a request comes from: an API key, or the client's address for anonymous users of the free plan."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.faults import AppError, Fault
from app.models import User
from app.resources import Held
from app.services import users

_CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def _session(held: Held) -> AsyncIterator[AsyncSession]:
    async with held.sessions() as session:
        yield session


# These document the headers and judge nothing: without a key a request is an anonymous user's.
Key = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", scheme_name="API key", auto_error=False))]
Bearer = Annotated[object, Security(HTTPBearer(scheme_name="Bearer", auto_error=False))]
AdminToken = Annotated[str | None, Security(APIKeyHeader(name="X-Admin-Token", scheme_name="Admin", auto_error=False))]
Db = Annotated[AsyncSession, Depends(_session)]


def presented_key(request: Request) -> str | None:
    """Return the key of `X-API-Key` or `Authorization: Bearer`, or None when the request has neither.

    Raises:
        AppError: 401, there is an Authorization header of another kind.
    """
    if (key := request.headers.get("x-api-key")) is not None:
        return key
    if (header := request.headers.get("authorization")) is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused("InvalidApiKey", "Send the API key as 'X-API-Key: <key>' or 'Authorization: Bearer <key>'.")
    return token.strip()


async def _user(request: Request, session: Db, _key: Key, _bearer: Bearer) -> User:
    """Return who sent the request, having counted it against the rate limit of the endpoint."""
    key = presented_key(request)
    user = await _anonymous(request, session) if key is None else await users.by_key(session, key)
    if user is None:
        raise _refused("InvalidApiKey", "This API key is not known. Leave it out to go on as an anonymous user.")
    await users.touch(session, user)
    return user


async def _anonymous(request: Request, session: AsyncSession) -> User:
    return await users.anonymous(session, request.client.host if request.client else "unknown")


Identified = Annotated[User, Depends(_user)]


async def _limited(request: Request, user: Identified, held: Held) -> User:
    await held.rate_limits.check(user.id, user.plan, request.method, request.scope["route"].path)
    return user


CurrentUser = Annotated[User, Depends(_limited)]


async def require_admin(request: Request, held: Held, _token: AdminToken, _bearer: Bearer) -> None:
    """Let only the holder of ADMIN_TOKEN pass.

    Raises:
        AppError: 401, or 403 when no token is configured.
    """
    expected = held.settings.admin_token
    if expected is None or not expected.get_secret_value():
        text = "Creating users is switched off: ADMIN_TOKEN is not set. Set it to a long random text and restart."
        raise AppError(Fault("AdminDisabled", text, 403, "auth"))
    given = request.headers.get("x-admin-token") or presented_key(request) or ""
    if not secrets.compare_digest(given.encode(), expected.get_secret_value().encode()):
        raise _refused("InvalidAdminToken", "Send the admin token as 'X-Admin-Token: <token>' or as a Bearer token.")


def _refused(kind: str, text: str) -> AppError:
    return AppError(Fault(kind, text, 401, "auth", headers=_CHALLENGE))
