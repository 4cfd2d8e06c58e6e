"""The Celery side of the example chat backend: the app object and thin tasks; the work itself lives in `app.services`."""
