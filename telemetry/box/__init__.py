"""Counts that outlive their process: a memory-mapped file of cells, and what becomes of it when its process is dead.

It knows no metric and no SDK: what is counted comes from ``telemetry.metrics``, who sends it is ``telemetry.pipeline``.
"""
