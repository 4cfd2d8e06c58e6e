"""Tools that run and read other programs: for tests, benchmarks and the example's stage; they import none of these.

Nothing in here knows a metric, an application or the library: ports, processes, waiting, HTTP, Prometheus' text, a
collector. What only tests need is in ``tests/support``.
"""
