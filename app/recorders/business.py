"""Records users, conversations, messages, images and audio; declared in `app/catalogue/business.py`."""

from __future__ import annotations

from collections.abc import Mapping

import telemetry
from app.catalogue import business as catalogue
from app.plans import Plan

_USERS = telemetry.fact(catalogue.USERS_ACTIVE)
_CONVERSATIONS = telemetry.fact(catalogue.CONVERSATIONS_ACTIVE)
_MESSAGES = telemetry.counter(catalogue.MESSAGES_SENT)
_IMAGES = telemetry.counter(catalogue.IMAGES_GENERATED)
_AUDIO = telemetry.counter(catalogue.AUDIO_TRANSCRIBED)


def message_sent(plan: Plan) -> None:
    """A user of `plan` sent a message."""
    _MESSAGES.add(1, {"user_plan": plan.value})


def image_generated(model: str) -> None:
    """`model` drew an image."""
    _IMAGES.add(1, {"model": model})


def audio_transcribed(*, seconds: float, provider: str, language: str) -> None:
    """`provider` transcribed `seconds` of audio in `language`."""
    _AUDIO.add(seconds / 60, {"provider": provider, "language": language})


def observe_users_active(users_by_plan: Mapping[Plan, int]) -> None:
    """How many users are active now, by plan; replaces the last reading."""
    _USERS.set_all([({"plan": plan.value}, count) for plan, count in users_by_plan.items()])


def observe_conversations_active(count: int) -> None:
    """How many conversations are active now; replaces the last reading."""
    _CONVERSATIONS.set_all([({}, count)])


def forget_readings() -> None:
    """The readings could not be taken: they become absent, which is not 0."""
    _USERS.forget()
    _CONVERSATIONS.forget()
