"""Sound files, for clients of APIs that take sound."""

from __future__ import annotations

import io
import wave


def silence(seconds: float) -> bytes:
    """A WAV file of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(1)
        wav.setframerate(8000)
        wav.writeframes(b"\x80" * int(8000 * seconds))
    return file.getvalue()
