"""The product's own metrics: declared like a user's, they complete the guide's table."""

from __future__ import annotations

from pathlib import Path

from app.catalogue import FLEET, MODULES
from app.plans import Plan
from app.recorders import business, storage
from telemetry import testing
from telemetry.catalogue.reference import PROMETHEUS_TYPE

GUIDE = Path(__file__).parents[1] / "telemetry" / "guide_metrics.txt"


def test_documented_is_the_guide() -> None:
    """With the product's own metrics, names, types, labels and order are the guide's, word for word."""
    rows = [
        f"{spec.name}|{PROMETHEUS_TYPE[spec.kind]}|{', '.join(spec.documented_labels)}" for spec in FLEET.documented
    ]
    assert rows == GUIDE.read_text().splitlines()


def test_largest_users_are_told_apart() -> None:
    """The twenty largest users of a plan have a series each, the others of the plan one together."""
    with testing.captured(catalogue=MODULES) as captured:
        storage.observe_quota_used([(f"u{size}", Plan.PRO, size) for size in range(1, 24)] + [("u", Plan.FREE, 5)])
        assert captured.value("storage_quota_used_bytes", user_id="u23", plan="pro") == 23
        assert captured.value("storage_quota_used_bytes", user_id="other", plan="pro") == 1 + 2 + 3
        assert len(captured.series("storage_quota_used_bytes")) == 22


def test_readings_that_failed_are_absent() -> None:
    """A reading that could not be taken is absent, which is not 0."""
    with testing.captured(catalogue=MODULES) as captured:
        business.observe_users_active({Plan.FREE: 3})
        business.observe_conversations_active(2)
        testing.assert_counted("users_active", {"plan": "free"}, 3)
        business.forget_readings()
        assert captured.value("users_active", plan="free") is None
        assert captured.value("conversations_active") is None
