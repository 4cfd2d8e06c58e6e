"""``POST /v1/responses`` as OpenAI's API has it; how it is sent is ``paced``'s business."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from deploy.simulated_llm.openai_chat import served_tier
from deploy.simulated_llm.paced import Answer, Paced, Piece, planned_error
from deploy.simulated_llm.reading import Content, parse, read_body, text_of
from deploy.simulated_llm.tokens import automatic_lengths, tokenize
from deploy.simulated_llm.vendor import Vendor, vendor_of

router = APIRouter()


class _Item(BaseModel):
    role: str = ""
    content: Content = None
    output: str | None = None
    arguments: str | None = None


class _Tool(BaseModel):
    type: str = "function"
    name: str = ""
    parameters: dict[str, Any] | None = None


class _Ask(BaseModel):
    model: str
    input: str | list[_Item] = Field(min_length=1)
    instructions: str | None = None
    stream: bool | None = False
    max_output_tokens: int | None = Field(None, ge=1)
    tools: list[_Tool] = []
    tool_choice: str | dict[str, Any] | None = None
    service_tier: str | None = None

    @property
    def items(self) -> list[_Item]:
        """The input as items; a text is what a user says."""
        return [_Item(role="user", content=self.input)] if isinstance(self.input, str) else self.input

    @property
    def last(self) -> str:
        """The last item, if a user wrote it."""
        return text_of(self.items[-1].content) if self.items[-1].role == "user" else ""

    def tokens(self) -> list[str]:
        """The prompt, cut into tokens: tools first, then the instructions and the items."""
        tools = [tool.model_dump_json() for tool in self.tools]
        written = [f"<{i.role}>{text_of(i.content)}{i.output or ''}{i.arguments or ''}" for i in self.items]
        return tokenize("\n".join([*tools, self.instructions or "", *written]))

    def forced_tool(self) -> str | None:
        """The name of the tool the client insists on, empty for any, ``None`` where it leaves the choice open."""
        if isinstance(self.tool_choice, dict):
            return str(self.tool_choice.get("name", ""))
        return "" if self.tool_choice == "required" else None


@router.post("/v1/responses")
async def responses(request: Request) -> Response:
    """Answer, whole or as a stream of events."""
    vendor = vendor_of(request)
    vendor.admit(request)
    body = await read_body(request)
    ask = parse(_Ask, body)
    model = vendor.model("openai", "chat", ask.model)
    return Paced(_answer(vendor, model, ask, vendor.chance(b"responses", body)), vendor.ledger)


def _answer(vendor: Vendor, model: Model, ask: _Ask, chance: Chance) -> Answer:
    controls = read_controls(ask.last)
    prompt = ask.tokens()
    if len(prompt) > model.context:
        sentence = "Your input exceeds the context window of this model. Please adjust your input and try again."
        raise VendorError(400, sentence, code="context_length_exceeded", param="input", model=model.name)
    fate = decide(chance, controls, vendor.settings.error_rate)
    first, per_token = vendor.pace(model, chance)
    frame = Answer("openai", (), model.name, fate=fate, first=first, per_token=per_token)
    if fate.error is not None:
        raise planned_error(fate.error, frame)
    offers = [ToolOffer(tool.name, tool.parameters or {}) for tool in ask.tools if tool.type == "function"]
    offers = [] if ask.tool_choice == "none" else offers
    tool = chosen_tool(offers, controls, forced=ask.forced_tool(), asked=ask.last)
    reply = compose(model, chance, controls, ask.max_output_tokens, tool)
    cached = vendor.prompts.longest_known(model.name, prompt, automatic_lengths(len(prompt)))
    bill = Bill(prompt=len(prompt) - cached, cached=cached, completion=reply.tokens)
    made = _Made(model, ask, chance, reply, bill)
    if not ask.stream:
        return replace(frame, bill=bill, pieces=[Piece(json.dumps(made.response("end")).encode())])
    return replace(frame, bill=bill, pieces=list(made.events()), streamed=True, media_type="text/event-stream")


@dataclass(frozen=True, slots=True)
class _Made:
    """A response that is decided, and how it looks at each moment."""

    model: Model
    ask: _Ask
    chance: Chance
    reply: Reply
    bill: Bill

    def response(self, moment: str) -> dict[str, Any]:
        """The response object; output and usage are there at the end only."""
        is_over = moment == "end"
        is_cut = self.reply.finish == "length"
        return {
            "id": f"resp_{self.chance.hex('id')[:32]}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress" if not is_over else "incomplete" if is_cut else "completed",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if is_over and is_cut else None,
            "instructions": self.ask.instructions,
            "metadata": {},
            "model": self.model.snapshot,
            "output": [self.item(self.reply.text)] if is_over else [],
            "parallel_tool_calls": True,
            "service_tier": served_tier(self.ask.service_tier) if is_over else self.ask.service_tier or "auto",
            "temperature": 1.0,
            "tool_choice": self.ask.tool_choice or "auto",
            "tools": [tool.model_dump() | {"strict": False} for tool in self.ask.tools],
            "top_p": 1.0,
            "usage": _usage(self.bill, self.reply) if is_over else None,
        }

    def item(self, text: str | None) -> dict[str, Any]:
        """The one output item: a message or a call of a tool; without a text as it begins."""
        status = "in_progress" if text is None else "completed"
        if self.reply.tool:
            names = {
                "type": "function_call",
                "name": self.reply.tool,
                "call_id": f"call_{self.chance.hex('tool')[:24]}",
            }
            return {"id": f"fc_{self.chance.hex('item')[:32]}", "status": status, "arguments": text or "", **names}
        content = [] if text is None else [_part(text)]
        return {
            "id": f"msg_{self.chance.hex('item')[:32]}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def events(self) -> Iterator[Piece]:
        """The events of a stream, a token each; hidden tokens are made before the first."""
        for number, (name, body, tokens) in enumerate(self._events()):
            data = json.dumps({"type": name, "sequence_number": number} | body)
            is_last = name in {"response.completed", "response.incomplete"}
            yield Piece(f"event: {name}\ndata: {data}\n\n".encode(), tokens, usage=is_last)

    def _events(self) -> Iterator[tuple[str, dict[str, Any], int]]:
        item = {"output_index": 0}
        yield "response.created", {"response": self.response("start")}, 0
        yield "response.in_progress", {"response": self.response("start")}, self.reply.hidden
        yield "response.output_item.added", item | {"item": self.item(None)}, 0
        yield from self._call_events() if self.reply.tool else self._text_events()
        yield "response.output_item.done", item | {"item": self.item(self.reply.text)}, 0
        end = self.response("end")
        yield f"response.{end['status']}", {"response": end}, 0

    def _text_events(self) -> Iterator[tuple[str, dict[str, Any], int]]:
        where = {"item_id": self.item(None)["id"], "output_index": 0, "content_index": 0}
        yield "response.content_part.added", where | {"part": _part("")}, 0
        for piece in self.reply.pieces:
            yield "response.output_text.delta", where | {"delta": piece, "logprobs": []}, 1
        yield "response.output_text.done", where | {"text": self.reply.text, "logprobs": []}, 0
        yield "response.content_part.done", where | {"part": _part(self.reply.text)}, 0

    def _call_events(self) -> Iterator[tuple[str, dict[str, Any], int]]:
        where = {"item_id": self.item(None)["id"], "output_index": 0}
        for piece in self.reply.pieces:
            yield "response.function_call_arguments.delta", where | {"delta": piece}, 1
        done = {"name": self.reply.tool, "arguments": self.reply.text}
        yield "response.function_call_arguments.done", where | done, 0


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(bill: Bill, reply: Reply) -> dict[str, Any]:
    """The usage as this API reports it: input includes what was cached, output includes reasoning."""
    given = bill.prompt + bill.cached
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": bill.cached, "cache_write_tokens": 0},
        "output_tokens": bill.completion,
        "output_tokens_details": {"reasoning_tokens": 0 if reply.tool else reply.hidden},
        "total_tokens": given + bill.completion,
    }
