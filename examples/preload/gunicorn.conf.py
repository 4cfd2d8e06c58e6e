"""Three workers, forked from a process that has imported the application."""

preload_app = True
workers = 3
worker_class = "uvicorn_worker.UvicornWorker"
