"""The metrics API of OpenTelemetry over a box: meters and instruments whose counts outlive their process.

Views, resource, encoder and exporters are the SDK's. What is measured is in ``telemetry.catalogue``.
"""
