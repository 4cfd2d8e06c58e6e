"""What people look at: dashboards, alert rules and queries over the metrics of the catalogue."""
