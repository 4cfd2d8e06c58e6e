"""``fleet-telemetry doctor``: a file for each question it asks; ``examination.py`` joins the answers."""
