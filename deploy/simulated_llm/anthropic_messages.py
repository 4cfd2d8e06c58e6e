"""``POST /v1/messages`` as Anthropic's API has it; how it is sent is ``paced``'s business."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from deploy.simulated_llm.chance import Chance
from deploy.simulated_llm.compose import Reply, ToolOffer, chosen_tool, compose
from deploy.simulated_llm.controls import read_controls
from deploy.simulated_llm.fate import decide
from deploy.simulated_llm.faults import VendorError
from deploy.simulated_llm.ledger import Bill
from deploy.simulated_llm.models import Model
from deploy.simulated_llm.paced import Answer, Paced, Piece, planned_error
from deploy.simulated_llm.reading import Content, Part, parse, read_body, text_of, text_of_part
from deploy.simulated_llm.tokens import CACHE_MINIMUM, tokenize
from deploy.simulated_llm.vendor import Vendor, vendor_of

router = APIRouter()


class _Turn(BaseModel):
    role: Literal["user", "assistant"]
    content: Content


class _Tool(BaseModel):
    name: str = Field(min_length=1)
    input_schema: dict[str, Any] = {}
    cache_control: dict[str, str] | None = None


class _Messages(BaseModel):
    model: str
    max_tokens: int = Field(ge=1)
    messages: list[_Turn] = Field(min_length=1)
    system: Content = None
    tools: list[_Tool] = []
    tool_choice: dict[str, Any] = {}
    stream: bool = False
    cache_control: dict[str, str] | None = None

    @property
    def last(self) -> str:
        """What a user says in the last message; results of tools are not what a user says."""
        content = self.messages[-1].content
        if self.messages[-1].role != "user" or not isinstance(content, list):
            return text_of(content) if self.messages[-1].role == "user" else ""
        return "\n".join(part.text for part in content if part.type == "text")

    def forced_tool(self) -> str | None:
        """The name of the tool the client insists on, empty for any, ``None`` where it leaves the choice open."""
        kind = self.tool_choice.get("type")
        return str(self.tool_choice.get("name", "")) if kind == "tool" else "" if kind == "any" else None


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt's tokens, and where the client wants it cached."""

    tokens: list[str]
    breakpoints: list[int]
    kept_for_an_hour: bool = False


@router.post("/v1/messages")
async def messages(request: Request) -> Response:
    """Answer a conversation, whole or as a stream."""
    vendor = vendor_of(request)
    vendor.admit(request)
    body = await read_body(request)
    ask = parse(_Messages, body)
    model = vendor.model("anthropic", "chat", ask.model)
    return Paced(_answer(vendor, model, ask, vendor.chance(b"messages", body)), vendor.ledger)


def _answer(vendor: Vendor, model: Model, ask: _Messages, chance: Chance) -> Answer:
    controls = read_controls(ask.last)
    prompt = _prompt(ask)
    if len(prompt.tokens) > model.context:
        sentence = f"prompt is too long: {len(prompt.tokens)} tokens > {model.context} maximum"
        raise VendorError(400, sentence, model=model.name)
    fate = decide(chance, controls, vendor.settings.error_rate)
    first, per_token = vendor.pace(model, chance)
    frame = Answer("anthropic", (), model.name, fate=fate, first=first, per_token=per_token)
    if fate.error is not None:
        raise planned_error(fate.error, frame)
    offers = [] if ask.tool_choice.get("type") == "none" else [ToolOffer(t.name, t.input_schema) for t in ask.tools]
    tool = chosen_tool(offers, controls, forced=ask.forced_tool(), asked=ask.last)
    reply = compose(model, chance, controls, ask.max_tokens, tool)
    bill = _bill(vendor, model, prompt, reply)
    if not ask.stream:
        whole = _message(model, chance, [_block(reply, chance)], _usage(bill, bill.completion), _stop(reply))
        return replace(frame, bill=bill, pieces=[Piece(json.dumps(whole).encode())])
    pieces = list(_events(model, chance, reply, bill))
    return replace(frame, bill=bill, pieces=pieces, streamed=True, media_type="text/event-stream")


def _prompt(ask: _Messages) -> _Prompt:
    """Tools, system and messages, in the order in which Anthropic caches them."""
    segments = [(tool.model_dump_json(), tool.cache_control) for tool in ask.tools]
    segments += _segments("system", ask.system)
    for turn in ask.messages:
        segments += _segments(turn.role, turn.content)
    tokens: list[str] = []
    breakpoints: list[int] = []
    for text, mark in segments:
        tokens += tokenize(text)
        breakpoints += [len(tokens)] if mark else []
    if ask.cache_control:
        breakpoints.append(len(tokens))
    marks = [ask.cache_control, *(mark for _, mark in segments)]
    for_an_hour = any(mark.get("ttl") == "1h" for mark in marks if mark)
    return _Prompt(tokens, [length for length in breakpoints if length >= CACHE_MINIMUM], for_an_hour)


def _segments(role: str, content: Content) -> list[tuple[str, dict[str, str] | None]]:
    parts = content if isinstance(content, list) else [Part(text=content)] if content else []
    return [(f"<{role}>{text_of_part(part)}", part.cache_control) for part in parts]


def _bill(vendor: Vendor, model: Model, prompt: _Prompt, reply: Reply) -> Bill:
    cached = vendor.prompts.longest_known(model.name, prompt.tokens, prompt.breakpoints)
    written = prompt.breakpoints[-1] - cached if prompt.breakpoints else 0
    hourly = written if prompt.kept_for_an_hour else 0
    return Bill(len(prompt.tokens) - cached, cached, reply.tokens, cache_written=written, cache_written_1h=hourly)


def _usage(bill: Bill, completion: int) -> dict[str, Any]:
    """The usage as Anthropic reports it: input excludes what was read from and written to the cache."""
    return {
        "input_tokens": bill.prompt - bill.cache_written,
        "cache_creation_input_tokens": bill.cache_written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": bill.cache_written - bill.cache_written_1h,
            "ephemeral_1h_input_tokens": bill.cache_written_1h,
        },
        "cache_read_input_tokens": bill.cached,
        "output_tokens": completion,
        "service_tier": "standard",
    }


def _message(
    model: Model, chance: Chance, content: list[dict[str, Any]], usage: dict[str, Any], stop: str | None
) -> dict[str, Any]:
    return {
        "id": f"msg_{chance.hex('id')[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model.snapshot,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _block(reply: Reply, chance: Chance, *, empty: bool = False) -> dict[str, Any]:
    if not reply.tool:
        return {"type": "text", "text": "" if empty else reply.text}
    arguments = {} if empty else json.loads(reply.text)
    return {"type": "tool_use", "id": f"toolu_{chance.hex('tool')[:24]}", "name": reply.tool, "input": arguments}


def _stop(reply: Reply) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}[reply.finish]


def _events(model: Model, chance: Chance, reply: Reply, bill: Bill) -> Iterator[Piece]:
    """The events of a stream, a token each; hidden tokens are made before the first."""
    start = _message(model, chance, [], _usage(bill, 1), None)
    yield _event("message_start", {"message": start}, reply.hidden)
    yield _event("content_block_start", {"index": 0, "content_block": _block(reply, chance, empty=True)})
    yield _event("ping", {})
    for text in reply.pieces:
        delta = {"type": "input_json_delta", "partial_json": text}
        if not reply.tool:
            delta = {"type": "text_delta", "text": text}
        yield _event("content_block_delta", {"index": 0, "delta": delta}, 1)
    yield _event("content_block_stop", {"index": 0})
    ended = {"delta": {"stop_reason": _stop(reply), "stop_sequence": None}}
    yield _event("message_delta", ended | {"usage": _usage(bill, bill.completion)}, usage=True)
    yield _event("message_stop", {})


def _event(name: str, body: dict[str, Any], tokens: int = 0, *, usage: bool = False) -> Piece:
    data = json.dumps({"type": name} | body)
    return Piece(f"event: {name}\ndata: {data}\n\n".encode(), tokens, usage)
