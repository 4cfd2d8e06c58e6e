"""``fleet-telemetry preview``: Grafana's dashboard files drawn in a browser, where there is no Grafana."""
