"""What the backend does, without HTTP and without Celery: async functions for the app, sync ones for the worker."""
