"""Hooks into Celery: what publishers publish, what workers run, what waits in the broker, what beat owes."""
