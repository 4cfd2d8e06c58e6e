"""Metrics of the guide's section "Business Metrics"; how they are measured is in `app/recorders/business.py`."""

from __future__ import annotations

from typing import Annotated, TypedDict

from app.catalogue.labels import Model, Plan, Provider
from telemetry.catalogue import Budget, CounterSpec, FactSpec, NoLabels


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
