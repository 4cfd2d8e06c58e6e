"""Realistic chat traffic through the front door; a client that knows nothing of the fleet behind it."""
