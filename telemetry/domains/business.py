"""Records users, conversations, messages, images and audio; declared in ``catalogue/business.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from telemetry import guard
from telemetry.catalogue import business as catalogue
from telemetry.catalogue.business import AudioLabels, PlanLabels, UserPlanLabels
from telemetry.metrics.catalogue_instruments import Instruments


class BusinessRecorder:
    """What the product is for: messages, images and audio as they happen, users and conversations as read."""

    def __init__(self, instruments: Instruments) -> None:
        self._users = instruments.fact(catalogue.USERS_ACTIVE)
        self._conversations = instruments.fact(catalogue.CONVERSATIONS_ACTIVE)
        self._messages = instruments.counter(catalogue.MESSAGES_SENT)
        self._images = instruments.counter(catalogue.IMAGES_GENERATED)
        self._audio = instruments.counter(catalogue.AUDIO_TRANSCRIBED)

    def message_sent(self, *, plan: str) -> None:
        """A user of ``plan`` sent a message."""
        self._messages.add(1, cast("UserPlanLabels", {"user_plan": plan}))

    def image_generated(self, *, model: str, count: int = 1) -> None:
        """``model`` drew ``count`` images."""
        self._images.add(count, {"model": model})

    def audio_transcribed(self, *, seconds: float, provider: str, language: str) -> None:
        """``provider`` transcribed ``seconds`` of audio in ``language``."""
        labels: AudioLabels = {"provider": provider, "language": language}
        with guard.guarded("counting audio"):
            self._audio.add(seconds / 60, labels)

    def observe_users_active(self, users_by_plan: Mapping[str, int]) -> None:
        """How many users are active now, by plan; replaces the last reading."""
        with guard.guarded("reading active users"):
            self._users.set_all([(cast("PlanLabels", {"plan": plan}), count) for plan, count in users_by_plan.items()])

    def observe_conversations_active(self, count: int) -> None:
        """How many conversations are active now; replaces the last reading."""
        self._conversations.set_all([({}, count)])

    def forget_readings(self) -> None:
        """The readings could not be taken: they become absent, which is not 0."""
        self._users.forget()
        self._conversations.forget()
