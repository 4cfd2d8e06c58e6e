"""What the scenarios are measured with: ours in three ways, and the alternatives."""

from __future__ import annotations

from tests.accuracy.systems.alternatives import PrometheusClient, SdkAndContrib
from tests.accuracy.systems.base import System
from tests.accuracy.systems.ours import Durable, Endpoint, Official

ALL: tuple[type[System], ...] = (Durable, Official, Endpoint, SdkAndContrib, PrometheusClient)
