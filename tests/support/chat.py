"""A user's own metrics in tests of the library: a module like any application's, and a recorder over it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypedDict, cast
from weakref import WeakKeyDictionary

from telemetry import guard
from telemetry.catalogue import BUILT_IN, Budget, CounterSpec, FactSpec, NoLabels
from telemetry.setup import Telemetry
from telemetry.steps import complete

Plan = Literal["free", "pro", "enterprise", "other"]
Provider = Annotated[str, Budget(20, "vendors")]
Model = Annotated[str, Budget(100, "models")]
Operation = Literal["upload", "download", "delete", "list", "stat", "other"]


class PlanLabels(TypedDict):
    """Users by plan."""

    plan: Plan


class UserPlanLabels(TypedDict):
    """The plan of the user who sent it."""

    user_plan: Plan


class ImageLabels(TypedDict):
    """The model that drew it."""

    model: Model


class AudioLabels(TypedDict):
    """Who transcribed what language."""

    provider: Provider
    language: Annotated[str, Budget(100, "languages the transcription vendor reports")]


USERS_ACTIVE = FactSpec(
    name="users_active",
    help="Users who did something within the activity window, by plan.",
    labels=PlanLabels,
    unit="{user}",
)
CONVERSATIONS_ACTIVE = FactSpec(
    name="conversations_active",
    help="Conversations with a message within the activity window.",
    labels=NoLabels,
    unit="{conversation}",
)
MESSAGES_SENT = CounterSpec(
    name="messages_sent_total",
    help="Messages users sent.",
    labels=UserPlanLabels,
    unit="{message}",
)
IMAGES_GENERATED = CounterSpec(
    name="images_generated_total",
    help="Images generated.",
    labels=ImageLabels,
    unit="{image}",
)
AUDIO_TRANSCRIBED = CounterSpec(
    name="audio_transcribed_minutes_total",
    help="Minutes of audio transcribed.",
    labels=AudioLabels,
    unit="min",
)


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


class Recorder:
    """The verbs of these metrics, in one telemetry."""

    def __init__(self, telemetry: Telemetry) -> None:
        of = telemetry.instruments
        self._messages, self._images, self._audio = map(
            of.counter, (MESSAGES_SENT, IMAGES_GENERATED, AUDIO_TRANSCRIBED)
        )
        self._operations, self._bytes = of.counter(OPERATIONS), of.counter(BYTES_TRANSFERRED)
        self._users, self._conversations = of.fact(USERS_ACTIVE), of.fact(CONVERSATIONS_ACTIVE)
        self._quota = of.fact(QUOTA_USED)

    def message_sent(self, *, plan: str) -> None:
        self._messages.add(1, cast("Any", {"user_plan": plan}))

    def image_generated(self, *, model: str, count: int = 1) -> None:
        self._images.add(count, cast("Any", {"model": model}))

    def audio_transcribed(self, *, seconds: float, provider: str, language: str) -> None:
        with guard.guarded("counting audio"):
            self._audio.add(seconds / 60, cast("Any", {"provider": provider, "language": language}))

    def operation(self, operation: str, *, bucket: str, transferred_bytes: int = 0) -> None:
        labels = cast("OperationLabels", {"operation": operation, "bucket": bucket})
        complete([lambda: self._operations.add(1, labels), lambda: self._bytes.add(transferred_bytes, labels)])

    def observe_users_active(self, users_by_plan: Mapping[str, int]) -> None:
        with guard.guarded("reading active users"):
            self._users.set_all((cast("PlanLabels", {"plan": plan}), count) for plan, count in users_by_plan.items())

    def observe_conversations_active(self, count: int) -> None:
        self._conversations.set_all([({}, count)])

    def observe_quota_used(self, usage: Iterable[tuple[str, str, int]]) -> None:
        self._quota.set_all((cast("QuotaLabels", {"user_id": user, "plan": plan}), used) for user, plan, used in usage)

    def forget_readings(self) -> None:
        self._users.forget()
        self._conversations.forget()


_RECORDERS: WeakKeyDictionary[Telemetry, Recorder] = WeakKeyDictionary()
CHAT = BUILT_IN.including(sys.modules[__name__])


def of(telemetry: Telemetry) -> Recorder:
    """The verbs of these metrics in a telemetry."""
    made = _RECORDERS.get(telemetry)
    if made is None:
        made = _RECORDERS[telemetry] = Recorder(telemetry)
    return made
