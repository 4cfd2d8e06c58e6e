"""Service level objectives: declared in one file, and the rules, runbooks and panels that follow from it.

Needs the extra ``fleet-telemetry[objectives]``.
"""
