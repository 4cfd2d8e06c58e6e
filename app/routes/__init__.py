"""The HTTP endpoints: what a request says and what is answered; the work is in `app.services`."""

from fastapi import APIRouter

from app.routes import chat, files, media, tasks, users

api = APIRouter(prefix="/api/v1")
for module in (chat, files, media, tasks, users):
    api.include_router(module.router)
