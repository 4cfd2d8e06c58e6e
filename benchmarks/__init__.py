"""What measuring costs, against peers; results are in `results/`, their tables in `docs/performance.md`."""
