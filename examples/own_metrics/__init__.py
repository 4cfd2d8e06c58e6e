"""A shop with four metrics of its own: docs/own-metrics.md walks through it."""
