"""The example chat backend: a real FastAPI service whose events feed the metrics; it contains no metric names."""
