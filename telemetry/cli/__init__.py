"""The command line ``fleet-telemetry``: a file for each command; the library loads nothing of it."""
