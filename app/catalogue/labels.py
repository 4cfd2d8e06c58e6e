"""Label types that several metrics of the product share; no metric is declared here."""

from __future__ import annotations

from typing import Annotated, Literal

from telemetry.catalogue import Budget

Plan = Literal["free", "pro", "enterprise", "other"]
Provider = Annotated[str, Budget(20, "LLM vendors the application calls")]
Model = Annotated[str, Budget(100, "models the application calls")]
