"""What `deploy/compose.yaml` asks whoever starts it for."""

from __future__ import annotations

NAMES = (
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "ADMIN_TOKEN",
    "FLOWER_PASSWORD",
    "GRAFANA_PASSWORD",
    "SIMULATED_LLM_API_KEY",
)
"""Variables that are secret and have no default."""
