"""The Celery side of the example chat backend: the app object and thin tasks; the work is in `app.services`."""
