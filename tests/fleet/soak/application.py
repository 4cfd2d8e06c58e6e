"""The worker's Celery app with pools that may be restarted and a schedule that publishes often; nothing else is different."""

from __future__ import annotations

from worker.celery_app import celery_app

celery_app.conf.worker_pool_restarts = True
celery_app.conf.beat_schedule = {
    "delete-expired": {
        "task": "maintenance.delete_expired",
        "schedule": 2.0,
        "options": {"queue": "low", "priority": 9, "expires": 600},
    }
}
