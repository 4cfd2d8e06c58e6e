"""The HTTP endpoints: what a request says and what is answered; the work is in `app.services`."""

from app.routes import chat, files, health, media, tasks, users

# Each router has its whole prefix itself, so that a route's own `path` is the full template rate limits go by.
ROUTERS = tuple(module.router for module in (chat, files, media, tasks, users, health))
