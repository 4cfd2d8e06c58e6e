"""Rules that follow from the catalogue or an objective; ``python -m grafana.rules`` writes them."""
