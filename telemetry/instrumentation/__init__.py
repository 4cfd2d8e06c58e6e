"""Hooks into FastAPI, Celery and SQLAlchemy; each module calls the domain verbs of one library's events."""
