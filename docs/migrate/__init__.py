"""Coming from something else: a page for each peer, whose tables follow from ``grafana/rules/compatibility.py``."""
