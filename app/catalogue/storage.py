"""Metrics of the guide's section "Storage Metrics"; how they are measured is in `app/recorders/storage.py`."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from app.catalogue.labels import Plan
from telemetry.catalogue import Budget, CounterSpec, FactSpec

Operation = Literal["upload", "download", "delete", "list", "stat", "other"]


class OperationLabels(TypedDict):
    """What was done in which bucket."""

    operation: Operation
    bucket: Annotated[str, Budget(50, "buckets the application is configured with")]


class QuotaLabels(TypedDict):
    """A user among the twenty largest of a plan, or `other` for the rest of the plan."""

    user_id: Annotated[str, Budget(1000, "top 20 per plan at a time; a user who leaves the top 20 leaves the endpoint")]
    plan: Plan


OPERATIONS = CounterSpec(
    name="storage_operations_total",
    help="Operations on the object store that succeeded.",
    labels=OperationLabels,
    unit="{operation}",
)
BYTES_TRANSFERRED = CounterSpec(
    name="storage_bytes_transferred_total",
    help="Bytes moved to or from the object store.",
    labels=OperationLabels,
    unit="By",
)
QUOTA_USED = FactSpec(
    name="storage_quota_used_bytes",
    help="Bytes stored by a user; the top 20 of each plan and `other` for the rest.",
    labels=QuotaLabels,
    unit="By",
)
