"""Reads what clients send, within bounds; every mistake becomes the vendors' 400 or 413."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from deploy.simulated_llm.faults import VendorError

MIB = 1024 * 1024
MOST_JSON_BYTES = 16 * MIB
MOST_AUDIO_BYTES = 25 * MIB

Body = TypeVar("Body", bound=BaseModel)


class Part(BaseModel):
    """A block of a message's content; both vendors' shapes."""

    type: str = "text"
    text: str = ""
    content: str | list[Part] | None = None
    cache_control: dict[str, str] | None = None


Content = str | list[Part] | None

_IMAGE_TOKENS = "image " * 85


def text_of(content: Content) -> str:
    """The text of a message's content; a picture counts as so many words."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(text_of_part(part) for part in content)


def text_of_part(part: Part) -> str:
    """The text of one block."""
    if part.type in {"image", "image_url", "input_image"}:
        return _IMAGE_TOKENS
    return part.text or text_of(part.content)


async def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        VendorError: 413, it is larger than any prompt.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_JSON_BYTES:
            raise VendorError(413, f"The request is larger than {MOST_JSON_BYTES} bytes.")
    return bytes(body)


def parse(kind: type[Body], body: bytes) -> Body:
    """Return the body as this kind of request.

    Raises:
        VendorError: 400, it is none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        sentence = f"{where}: {first['msg']}" if where else f"We could not parse the JSON body: {first['msg']}"
        raise VendorError(400, sentence, param=where or None) from None
