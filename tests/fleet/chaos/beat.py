"""The worker's Celery app with a schedule that publishes all the time; nothing else is different."""

from __future__ import annotations

from worker.celery_app import celery_app

celery_app.conf.beat_schedule = {
    "delete-expired": {
        "task": "maintenance.delete_expired",
        "schedule": 0.5,
        "options": {"queue": "low", "priority": 9, "expires": 600},
    }
}
