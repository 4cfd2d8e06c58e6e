"""Hooks into SQLAlchemy: statements as they execute, connection pools as they stand."""
