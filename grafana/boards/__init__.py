"""Dashboards as typed Python; ``python -m grafana.boards`` writes the JSON. One module a dashboard."""
