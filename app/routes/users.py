"""Creating users; there is deliberately no endpoint that lists them."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from app import answers
from app.auth import Db, require_admin
from app.schemas import CreatedUser, NewUser
from app.services import users

router = APIRouter(prefix="/api/v1", tags=["users"], responses=answers.WITH_BODY | answers.refusals(401, 403, 422, 503))


@router.post("/users", status_code=201, dependencies=[Depends(require_admin)])
async def create_user(body: NewUser, session: Db) -> CreatedUser:
    """Create a user; its API key is in this response and nowhere else."""
    user, key = await users.create(session, body.name, body.plan)
    return CreatedUser(id=user.id, name=user.name, plan=user.plan, api_key=key)
