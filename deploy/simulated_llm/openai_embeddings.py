"""``POST /v1/embeddings`` as OpenAI's API has it; how it is sent is ``paced``'s business."""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from deploy.simulated_llm.chance import Chance
from deploy.simulated_llm.controls import read_controls
from deploy.simulated_llm.fate import decide
from deploy.simulated_llm.ledger import Bill
from deploy.simulated_llm.paced import Answer, Paced, Piece, planned_error
from deploy.simulated_llm.reading import parse, read_body
from deploy.simulated_llm.tokens import tokenize
from deploy.simulated_llm.vendor import vendor_of

router = APIRouter()
_MOST_TEXTS = 2048
_USUAL_DIMENSIONS = 16  # real ones have 1536: nobody reads these


class _Ask(BaseModel):
    model: str
    input: str | list[str] = Field(min_length=1, max_length=16_000_000)
    dimensions: int | None = Field(None, ge=1, le=3072)
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """What is to be embedded."""
        return [self.input] if isinstance(self.input, str) else self.input[:_MOST_TEXTS]


@router.post("/v1/embeddings")
async def embeddings(request: Request) -> Response:
    """Answer with vectors that mean nothing, and bill the input."""
    vendor = vendor_of(request)
    vendor.admit(request)
    body = await read_body(request)
    ask = parse(_Ask, body)
    model = vendor.model("openai", "embedding", ask.model)
    chance = vendor.chance(b"embeddings", body)
    fate = decide(chance, read_controls(*ask.texts), vendor.settings.error_rate)
    frame = Answer("openai", (), model.name, fate=fate, first=vendor.pace(model, chance)[0])
    if fate.error is not None:
        raise planned_error(fate.error, frame)
    bill = Bill(prompt=sum(len(tokenize(text)) for text in ask.texts))
    whole = {
        "object": "list",
        "data": [_embedding(ask, chance, number) for number in range(len(ask.texts))],
        "model": model.snapshot,
        "usage": {"prompt_tokens": bill.prompt, "total_tokens": bill.prompt},
    }
    return Paced(replace(frame, bill=bill, pieces=[Piece(json.dumps(whole).encode())]), vendor.ledger)


def _embedding(ask: _Ask, chance: Chance, number: int) -> dict[str, Any]:
    draw = chance.stream(f"embedding {number}")
    vector = array("f", (draw.uniform(-1, 1) for _ in range(ask.dimensions or _USUAL_DIMENSIONS)))
    encoded = base64.b64encode(vector.tobytes()).decode() if ask.encoding_format == "base64" else vector.tolist()
    return {"object": "embedding", "index": number, "embedding": encoded}
