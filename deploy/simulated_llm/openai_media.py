"""Images and transcriptions as OpenAI's API has them; how they are sent is ``paced``'s business."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from deploy.simulated_llm.chance import Chance
from deploy.simulated_llm.compose import OPENING
from deploy.simulated_llm.controls import read_controls
from deploy.simulated_llm.fate import Controls, decide
from deploy.simulated_llm.faults import VendorError
from deploy.simulated_llm.ledger import Bill
from deploy.simulated_llm.media import LANGUAGES, audio_seconds, image_tokens, png_base64
from deploy.simulated_llm.models import Model
from deploy.simulated_llm.paced import Answer, Paced, Piece, planned_error
from deploy.simulated_llm.reading import MIB, MOST_AUDIO_BYTES, parse, read_body
from deploy.simulated_llm.tokens import tokenize
from deploy.simulated_llm.vendor import Vendor, vendor_of

router = APIRouter()
_SHORTEST_AUDIO = 0.1
_AUDIO_TOKENS_PER_SECOND = 10


class _Images(BaseModel):
    model: str = "gpt-image-1"
    prompt: str = Field(min_length=1)
    n: int | None = Field(1, ge=1, le=10)
    size: str | None = "auto"
    quality: str | None = "auto"


@router.post("/v1/images/generations")
async def images(request: Request) -> Response:
    """Make images: tiny ones, billed like large ones."""
    vendor = vendor_of(request)
    vendor.admit(request)
    body = await read_body(request)
    ask = parse(_Images, body)
    model = vendor.model("openai", "image", ask.model)
    chance = vendor.chance(b"images", body)
    frame = _frame(vendor, model, chance, read_controls(ask.prompt))
    count = ask.n or 1
    bill = Bill(len(tokenize(ask.prompt)), completion=count * image_tokens(ask.size, ask.quality), images=count)
    whole = {
        "created": int(time.time()),
        "data": [{"b64_json": png_base64(chance, number)} for number in range(count)],
        "usage": _image_usage(bill),
    }
    return Paced(replace(frame, bill=bill, pieces=[_json(whole)]), vendor.ledger)


def _image_usage(bill: Bill) -> dict[str, Any]:
    return {
        "input_tokens": bill.prompt,
        "output_tokens": bill.completion,
        "total_tokens": bill.prompt + bill.completion,
        "input_tokens_details": {"text_tokens": bill.prompt, "image_tokens": 0},
    }


@router.post("/v1/audio/transcriptions")
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording: its length is real, its words are not."""
    vendor = vendor_of(request)
    vendor.admit(request)
    # The form's own bytes are few; a body that hides its length is cut off by the bound on the file below.
    if int(request.headers.get("content-length", "0")) > MOST_AUDIO_BYTES + MIB:
        raise VendorError(413, f"Maximum content size limit ({MOST_AUDIO_BYTES}) exceeded.")
    async with request.form(max_files=1, max_fields=20) as form:
        model = vendor.model("openai", "transcription", str(form.get("model", "")))
        audio, name = await _recording(form)
        fields = {key: value for key, value in sorted(form.multi_items()) if isinstance(value, str)}
    seconds = audio_seconds(audio)
    if seconds < _SHORTEST_AUDIO:
        raise VendorError(400, "Audio file is too short. Minimum audio length is 0.1 seconds.", model=model.name)
    chance = vendor.chance(b"audio", audio, name.encode(errors="replace"), json.dumps(fields).encode())
    controls = read_controls(name, fields.get("prompt", ""))
    frame = _frame(vendor, model, chance, controls)
    language = _language(chance, controls, fields.get("language", ""))
    return Paced(_transcript(frame, model, seconds, language, fields.get("response_format", "json")), vendor.ledger)


async def _recording(form: FormData) -> tuple[bytes, str]:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise VendorError(400, "file: send the recording as a multipart file.", param="file")
    audio = await file.read(MOST_AUDIO_BYTES + 1)
    if len(audio) > MOST_AUDIO_BYTES:
        raise VendorError(413, f"Maximum content size limit ({MOST_AUDIO_BYTES}) exceeded.")
    return audio, file.filename or ""


def _transcript(frame: Answer, model: Model, seconds: float, language: str, kind: str) -> Answer:
    bill = Bill(audio_seconds=seconds, language=language)
    usage: dict[str, Any] = {"type": "duration", "seconds": seconds}
    if model.name != "whisper-1":
        bill = replace(bill, prompt=round(seconds * _AUDIO_TOKENS_PER_SECOND), completion=len(tokenize(OPENING)))
        tokens = {"input_tokens": bill.prompt, "output_tokens": bill.completion}
        usage = {"type": "tokens", **tokens, "total_tokens": bill.prompt + bill.completion}
    if kind == "text":
        return replace(frame, bill=bill, pieces=[Piece(OPENING.encode())], media_type="text/plain")
    whole: dict[str, Any] = {"text": OPENING, "usage": usage}
    if kind == "verbose_json" and model.name == "whisper-1":
        whole |= {"task": "transcribe", "language": language, "duration": seconds, "segments": [], "words": []}
    elif kind != "json":
        raise VendorError(400, f"response_format {kind!r} is not simulated for {model.name}.", param="response_format")
    return replace(frame, bill=bill, pieces=[_json(whole)])


def _language(chance: Chance, controls: Controls, given: str) -> str:
    """The language a client names or a control asks for, otherwise mostly English."""
    named = LANGUAGES.get((controls.language or given).lower())
    return named or chance.stream("language").choices(list(LANGUAGES.values()), [12, 3, 2, 2, 2])[0]


def _frame(vendor: Vendor, model: Model, chance: Chance, controls: Controls) -> Answer:
    fate = decide(chance, controls, vendor.settings.error_rate)
    first, _ = vendor.pace(model, chance)
    frame = Answer("openai", (), model.name, fate=fate, first=first)
    if fate.error is not None:
        raise planned_error(fate.error, frame)
    return frame


def _json(whole: dict[str, Any]) -> Piece:
    return Piece(json.dumps(whole).encode())
