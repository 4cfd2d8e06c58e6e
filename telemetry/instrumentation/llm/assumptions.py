"""What this room relies on in ``genai-prices`` and in vendors' clients beyond their documentation."""

from __future__ import annotations

from telemetry.instrumentation.assumptions import Assumption, check

CHUNKS_OF_HELPER = "_raw_stream"
_ENDS_OF_HELPERS = ("get_final_message", "get_final_completion", "get_final_response")


def is_helper(stream: object) -> bool:
    """Whether a stream is a vendor's helper around a plain one, which it keeps where we expect it.

    One that keeps it elsewhere is said once; then only what is iterated is seen, and not what its methods read.
    """
    kind = type(stream)
    if not any(hasattr(kind, name) for name in _ENDS_OF_HELPERS):
        return False
    if CHUNKS_OF_HELPER in getattr(stream, "__dict__", ()):
        return True
    kept = Assumption(f"{kind.__module__}:{kind.__qualname__}", CHUNKS_OF_HELPER)
    return check(kind.__module__, [kept], "of a streamed reply only what is iterated is seen")
