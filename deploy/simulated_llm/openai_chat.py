"""``POST /v1/chat/completions`` as OpenAI's API has it; how it is sent is ``paced``'s business."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

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
from deploy.simulated_llm.reading import Content, parse, read_body, text_of
from deploy.simulated_llm.tokens import automatic_lengths, tokenize
from deploy.simulated_llm.vendor import Vendor, vendor_of

router = APIRouter()


class _Message(BaseModel):
    role: str
    content: Content = None
    tool_calls: list[dict[str, Any]] = []


class _Function(BaseModel):
    name: str = Field(min_length=1)
    parameters: dict[str, Any] = {}


class _Tool(BaseModel):
    function: _Function


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Chat(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    n: int | None = Field(1, ge=1, le=1)
    service_tier: str | None = None

    @property
    def last(self) -> str:
        """The last message, if a user wrote it."""
        return text_of(self.messages[-1].content) if self.messages[-1].role == "user" else ""

    def tokens(self) -> list[str]:
        """The prompt, cut into tokens: tools first, then the messages with who wrote them."""
        tools = [tool.model_dump_json() for tool in self.tools or []]
        written = [f"<{m.role}>{text_of(m.content)}{json.dumps(m.tool_calls or '')}" for m in self.messages]
        return tokenize("\n".join([*tools, *written]))

    def forced_tool(self) -> str | None:
        """The name of the tool the client insists on, empty for any, ``None`` where it leaves the choice open."""
        if isinstance(self.tool_choice, dict):
            return str(self.tool_choice.get("function", {}).get("name", ""))
        return "" if self.tool_choice == "required" else None


@router.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    """Answer a chat, whole or as a stream."""
    vendor = vendor_of(request)
    vendor.admit(request)
    body = await read_body(request)
    ask = parse(_Chat, body)
    model = vendor.model("openai", "chat", ask.model)
    return Paced(_answer(vendor, model, ask, vendor.chance(b"chat", body)), vendor.ledger)


def _answer(vendor: Vendor, model: Model, ask: _Chat, chance: Chance) -> Answer:
    controls = read_controls(ask.last)
    prompt = ask.tokens()
    if len(prompt) > model.context:
        raise VendorError(
            400,
            f"This model's maximum context length is {model.context} tokens. However, your messages resulted in "
            f"{len(prompt)} tokens. Please reduce the length of the messages.",
            code="context_length_exceeded",
            param="messages",
            model=model.name,
        )
    fate = decide(chance, controls, vendor.settings.error_rate)
    first, per_token = vendor.pace(model, chance)
    frame = Answer("openai", (), model.name, fate=fate, first=first, per_token=per_token)
    if fate.error is not None:
        raise planned_error(fate.error, frame)
    offers = [ToolOffer(tool.function.name, tool.function.parameters) for tool in ask.tools or []]
    offers = [] if ask.tool_choice == "none" else offers
    tool = chosen_tool(offers, controls, forced=ask.forced_tool(), asked=ask.last)
    reply = compose(model, chance, controls, ask.max_completion_tokens or ask.max_tokens, tool)
    cached = vendor.prompts.longest_known(model.name, prompt, automatic_lengths(len(prompt)))
    bill = Bill(prompt=len(prompt) - cached, cached=cached, completion=reply.tokens)
    head = _head(chance, model, ask.service_tier)
    if not ask.stream:
        return replace(frame, bill=bill, pieces=[Piece(json.dumps(head | _completion(reply, bill, chance)).encode())])
    with_usage = ask.stream_options is not None and ask.stream_options.include_usage
    pieces = list(_chunks(head, reply, bill if with_usage else None, bill, chance))
    return replace(frame, bill=bill, pieces=pieces, streamed=True, media_type="text/event-stream")


def _head(chance: Chance, model: Model, tier: str | None) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{chance.hex('id')[:29]}",
        "created": int(time.time()),
        "model": model.snapshot,
        "service_tier": served_tier(tier),
        "system_fingerprint": "fp_simulated",
    }


def served_tier(asked: str | None) -> str:
    """The tier a request is served in: the one it asks for, where it asks for a certain one."""
    return asked if asked in {"flex", "priority"} else "default"


def _completion(reply: Reply, bill: Bill, chance: Chance) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
    if reply.tool:
        message |= {"content": None, "tool_calls": [_tool_call(reply.tool, reply.text, chance)]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {"object": "chat.completion", "choices": [choice], "usage": usage_of(bill, reply.hidden, reply.tool)}


def _chunks(head: dict[str, Any], reply: Reply, told: Bill | None, bill: Bill, chance: Chance) -> Iterator[Piece]:
    """The chunks of a stream, a token each; hidden tokens are made before the first."""

    def chunk(choices: list[dict[str, Any]], usage: Any = None) -> bytes:
        body = head | {"object": "chat.completion.chunk", "choices": choices}
        return f"data: {json.dumps(body | ({'usage': usage} if told else {}))}\n\n".encode()

    def delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    start: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if reply.tool:
        start = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0} | _tool_call(reply.tool, "", chance)],
        }
    yield Piece(delta(start), reply.hidden)
    for text in reply.pieces:
        part = {"tool_calls": [{"index": 0, "function": {"arguments": text}}]} if reply.tool else {"content": text}
        yield Piece(delta(part), 1)
    yield Piece(delta({}, _finish(reply)))
    if told:
        yield Piece(chunk([], usage_of(bill, reply.hidden, reply.tool)), usage=True)
    yield Piece(b"data: [DONE]\n\n")


def _tool_call(name: str, arguments: str, chance: Chance) -> dict[str, Any]:
    return {
        "id": f"call_{chance.hex('tool')[:24]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.finish == "tool" else reply.finish


def usage_of(bill: Bill, hidden: int, tool: str | None) -> dict[str, Any]:
    """The usage as OpenAI reports it: input includes what was cached, output includes reasoning."""
    given = bill.prompt + bill.cached
    return {
        "prompt_tokens": given,
        "completion_tokens": bill.completion,
        "total_tokens": given + bill.completion,
        "prompt_tokens_details": {"cached_tokens": bill.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0 if tool else hidden,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
