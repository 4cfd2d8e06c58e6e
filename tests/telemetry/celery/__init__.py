"""Celery counted whole: real Redis, real workers, every way a task can end."""
