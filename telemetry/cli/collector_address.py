"""Where a collector's pages are: its host, and the ports that its configuration takes from the same variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from telemetry.settings.destination import without_credentials

_MAX_PORT = 65535
_PORTS = {"OTELCOL_TOTALS_PORT": 8889, "OTELCOL_LEVELS_PORT": 8890, "OTELCOL_METRICS_PORT": 8888}


class AddressError(ValueError):
    """It is no address; the message says what to write."""


@dataclass(frozen=True)
class CollectorAddress:
    """The pages of one collector.

    Attributes:
        totals: Counters and histograms.
        levels: Levels and facts.
        own: The collector's metrics of itself.
    """

    totals: str
    levels: str
    own: str


def pages_of(collector: str, env: Mapping[str, str]) -> CollectorAddress:
    """The pages of the collector with this address.

    Args:
        collector: A host, or a URL of which the scheme and the host are taken.
        env: Variables, of which ``OTELCOL_TOTALS_PORT``, ``OTELCOL_LEVELS_PORT`` and ``OTELCOL_METRICS_PORT`` are read.

    Raises:
        AddressError: If it has no host, or a port is none.
    """
    parts = _parts(collector)
    if parts is None or not parts.hostname or parts.scheme not in {"http", "https"}:
        raise AddressError(
            f"{without_credentials(collector)!r} is no address of a collector: write it as http://127.0.0.1:4318"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return CollectorAddress(*(f"{parts.scheme}://{host}:{_port(name, env)}/metrics" for name in _PORTS))


def _parts(collector: str) -> SplitResult | None:
    try:
        return urlsplit(collector if "://" in collector else f"http://{collector}")
    except ValueError:  # brackets that do not match
        return None


def _port(name: str, env: Mapping[str, str]) -> int:
    raw = env.get(name, "").strip() or str(_PORTS[name])
    if not raw.isdecimal() or not 0 < int(raw) <= _MAX_PORT:
        raise AddressError(f"{name}={raw!r} is not valid: set it to a port from 1 to {_MAX_PORT}")
    return int(raw)
