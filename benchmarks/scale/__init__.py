"""Many senders, and what others do with the same traffic; `python -m benchmarks.scale` measures it all."""
