"""What the tests of Celery found, as data, and the table that `docs/celery.md` shows of it."""
