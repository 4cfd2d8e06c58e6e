"""``fleet-telemetry watch``: the fleet live in a terminal."""
