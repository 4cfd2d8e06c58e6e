"""Pictures and recordings: makes the first, measures the second; no HTTP."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

from deploy.simulated_llm.chance import Chance

# The names that OpenAI's verbose_json uses.
LANGUAGES = {"en": "english", "de": "german", "ar": "arabic", "fa": "persian", "es": "spanish"}
_COMPRESSED_BYTES_PER_SECOND = 16_000
_SIDE = 8
_SQUARE = {"low": 272, "medium": 1056, "high": 4160}
_TALL = {"low": 408, "medium": 1584, "high": 6240}
_WIDE = {"low": 400, "medium": 1568, "high": 6208}


def image_tokens(size: str | None, quality: str | None) -> int:
    """Output tokens that one image is billed as."""
    table = {"1024x1536": _TALL, "1536x1024": _WIDE}.get(size or "", _SQUARE)
    return table.get(quality or "", table["medium"])


def png_base64(chance: Chance, number: int) -> str:
    """A tiny PNG of one colour; its metadata says that it is simulated."""
    colour = bytes.fromhex(chance.hex(f"colour {number}")[:6])
    rows = (b"\0" + colour * _SIDE) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tEXt", b"Comment\0This image is simulated."),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def audio_seconds(audio: bytes) -> float:
    """The length of a WAV file, of anything else an estimate from its size."""
    try:
        with wave.open(io.BytesIO(audio)) as wav:
            return float(wav.getnframes() / wav.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError):
        return len(audio) / _COMPRESSED_BYTES_PER_SECOND
