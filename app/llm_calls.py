"""What every call to an LLM vendor has in common: it is counted, and its errors are translated; no vendor here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2

import telemetry
from app.faults import AppError, Fault

MAX_REPLY_TOKENS = 1024
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_BASE_ERRORS = {"openai": "OpenAIError", "anthropic": "AnthropicError"}

ChatMessages = Sequence[dict[str, str]]


@contextmanager
def vendor_call(sdk: Any, provider: str, model: str) -> Iterator[Any]:
    """Count one call to a vendor and say what its error means.

    Args:
        sdk: The vendor's client package; both vendors' packages name their errors alike.
        provider: The vendor's name.
        model: As sent to the vendor.

    Yields:
        Telemetry's view of the call, which takes the response. It counts errors, so nothing else counts them again.
    """
    try:
        with telemetry.get().llm.request(provider=provider, model=model) as call:
            yield call
    except (sdk.APITimeoutError, httpx2.TimeoutException) as error:
        raise AppError(_fault("VendorTimeout", f"{provider} did not answer in time.", 504)) from error
    except sdk.APIStatusError as error:
        code = error.status_code
        text = f"{provider} answered with status {code}."
        retryable = code >= _SERVER_ERROR or code == _TOO_MANY_REQUESTS
        raise AppError(_fault("VendorError", text, retryable=retryable)) from error
    except (sdk.APIConnectionError, httpx2.TransportError) as error:
        raise AppError(_fault("VendorError", f"{provider} cannot be reached.")) from error
    except getattr(sdk, _BASE_ERRORS[provider]) as error:
        text = f"{provider} could not be used: {type(error).__name__}."
        raise AppError(_fault("VendorError", text, retryable=False)) from error


def _fault(kind: str, text: str, status: int = 502, *, retryable: bool = True) -> Fault:
    return Fault(kind, text, status, component=None, retryable=retryable)
