"""The HTTP API of the simulated vendor; what it answers is decided in ``behaviour``."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Header, Request, UploadFile
from starlette.responses import JSONResponse, Response, StreamingResponse

from deploy.simulated_llm.behaviour import CONTEXT_LIMIT, MODELS, Behaviour, Plan, tokens_of
from deploy.simulated_llm.errors import SIMULATED, VendorError
from deploy.simulated_llm.ledger import Ledger
from deploy.simulated_llm.settings import Settings, load

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BYTES_PER_SECOND = 16_000


class Vendor:
    """One simulated vendor: its behaviour, its books and its rules."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.behaviour = Behaviour(settings)
        self.ledger = Ledger()

    def admit(self, key: str | None, model: str, api: str, text: str) -> Plan:
        """How an admitted request goes.

        Raises:
            VendorError: For a wrong key, an unknown model, too long a prompt, or because an error was planned.
        """
        if key not in self.settings.api_keys:
            raise VendorError(401, "Incorrect API key provided.", api=api)
        if model not in MODELS:
            self._refuse(404, f"The model {model!r} does not exist.", model, api)
        if tokens_of(text) > CONTEXT_LIMIT:
            self._refuse(400, f"This model's maximum context length is {CONTEXT_LIMIT} tokens.", model, api)
        return self.behaviour.plan(model, text)

    async def wait(self, plan: Plan, seconds: float, model: str, api: str) -> None:
        """Take the time the plan says; fail where it says so."""
        await asyncio.sleep(plan.hang_seconds + seconds)
        if plan.error:
            self._refuse(plan.error, "The simulated vendor had a simulated problem.", model, api)

    def _refuse(self, status: int, message: str, model: str, api: str) -> None:
        self.ledger.served(api, model, str(status))
        raise VendorError(status, message, api=api)

    def bill(self, api: str, model: str, plan: Plan, outcome: str = "ok", completion: int | None = None) -> None:
        """Write a served request down."""
        done = plan.completion if completion is None else completion
        self.ledger.served(api, model, outcome)
        self.ledger.billed(model, prompt=plan.prompt, cached=plan.cached, completion=done)


def create_app(settings: Settings) -> FastAPI:
    """The vendor's application."""
    app = FastAPI(title="Simulated LLM vendor", docs_url=None, redoc_url=None, openapi_url=None)
    vendor = Vendor(settings)
    app.state.vendor = vendor
    app.add_exception_handler(VendorError, _answer_error)
    _add_openai(app, vendor)
    _add_anthropic(app, vendor)
    _add_own(app, vendor)
    return app


def _answer_error(request: Request, error: Exception) -> Response:
    return error.response() if isinstance(error, VendorError) else Response(status_code=500)


def _bearer(header: str | None) -> str | None:
    return header.removeprefix("Bearer ") if header else None


def _add_own(app: FastAPI, vendor: Vendor) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "note": "simulated"}

    @app.get("/simulated/ledger")
    async def ledger() -> dict[str, Any]:
        return vendor.ledger.as_dict()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in MODELS]
        return {"object": "list", "data": data}


def _add_openai(app: FastAPI, vendor: Vendor) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        body = await _json(request, "openai")
        model, text = str(body.get("model")), _text_of(body.get("messages"))
        plan = vendor.admit(_bearer(authorization), model, "openai", text)
        if body.get("stream"):
            await vendor.wait(plan, plan.first_token_seconds, model, "openai")
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return _stream(_chat_chunks(vendor, model, plan, with_usage))
        await vendor.wait(plan, plan.seconds, model, "openai")
        vendor.bill("openai", model, plan)
        return JSONResponse(_chat_answer(model, plan, body.get("tools")), headers=SIMULATED)

    @app.post("/v1/images/generations")
    async def images(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        body = await _json(request, "openai")
        model, count = str(body.get("model")), int(body.get("n") or 1)
        plan = vendor.admit(_bearer(authorization), model, "openai", str(body.get("prompt")))
        await vendor.wait(plan, plan.first_token_seconds, model, "openai")
        vendor.bill("openai", model, plan)
        vendor.ledger.images[model] += count
        data = [{"b64_json": base64.b64encode(PIXEL).decode()} for _ in range(count)]
        return JSONResponse({"created": 0, "data": data, "usage": _image_usage(plan)}, headers=SIMULATED)

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(
        file: Annotated[UploadFile, File()],
        model: Annotated[str, Form()],
        response_format: Annotated[str, Form()] = "json",
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        data = await file.read()
        seconds = _audio_seconds(data)
        plan = vendor.admit(_bearer(authorization), model, "openai", f"audio of {len(data)} bytes")
        await vendor.wait(plan, plan.first_token_seconds, model, "openai")
        vendor.ledger.served("openai", model, "ok")
        vendor.ledger.audio_seconds[model] = vendor.ledger.audio_seconds.get(model, 0.0) + seconds
        answer: dict[str, Any] = {"text": " ".join(plan.words()), "usage": {"type": "duration", "seconds": seconds}}
        if response_format == "verbose_json":
            answer |= {"task": "transcribe", "language": "english", "duration": seconds, "segments": []}
        return JSONResponse(answer, headers=SIMULATED)


def _add_anthropic(app: FastAPI, vendor: Vendor) -> None:
    @app.post("/v1/messages")
    async def messages(
        request: Request,
        x_api_key: Annotated[str | None, Header()] = None,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        body = await _json(request, "anthropic")
        model, text = str(body.get("model")), _text_of(body.get("messages"))
        plan = vendor.admit(x_api_key or _bearer(authorization), model, "anthropic", text)
        if body.get("stream"):
            await vendor.wait(plan, plan.first_token_seconds, model, "anthropic")
            return _stream(_message_events(vendor, model, plan))
        await vendor.wait(plan, plan.seconds, model, "anthropic")
        vendor.bill("anthropic", model, plan)
        content = [{"type": "text", "text": " ".join(plan.words())}]
        usage = _anthropic_usage(plan) | {"output_tokens": plan.completion}
        return JSONResponse(_message(model, content, usage, "end_turn"), headers=SIMULATED)


async def _json(request: Request, api: str) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise VendorError(400, "We could not parse the JSON body of your request.", api=api) from None
    if not isinstance(body, dict):
        raise VendorError(400, "The body must be a JSON object.", api=api)
    return body


def _text_of(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        raise VendorError(400, "messages must be a list with at least one message.")
    return "\n".join(str(message.get("content")) for message in messages if isinstance(message, dict))


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=SIMULATED)


def _openai_usage(plan: Plan) -> dict[str, Any]:
    tokens_in = plan.prompt + plan.cached
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": plan.completion,
        "total_tokens": tokens_in + plan.completion,
        "prompt_tokens_details": {"cached_tokens": plan.cached},
    }


def _image_usage(plan: Plan) -> dict[str, Any]:
    tokens_in = plan.prompt + plan.cached
    details = {"text_tokens": tokens_in, "image_tokens": 0, "cached_tokens": plan.cached}
    return {
        "input_tokens": tokens_in,
        "output_tokens": plan.completion,
        "total_tokens": tokens_in + plan.completion,
        "input_tokens_details": details,
    }


def _chat_answer(model: str, plan: Plan, tools: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": " ".join(plan.words())}
    reason = "stop"
    if tools:
        name = tools[0].get("function", {}).get("name", "tool")
        call = {"id": "call_simulated", "type": "function", "function": {"name": name, "arguments": "{}"}}
        message, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    return _chat_head(model, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": _openai_usage(plan),
    }


def _chat_head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-simulated",
        "object": kind,
        "created": 0,
        "model": model,
        "system_fingerprint": "simulated",
    }


def _drop_connection() -> None:
    raise ConnectionResetError("the simulated vendor dropped the connection")


async def _chat_chunks(vendor: Vendor, model: str, plan: Plan, with_usage: bool) -> AsyncIterator[str]:
    head = _chat_head(model, "chat.completion.chunk")
    sent = 0
    try:
        for word in plan.words():
            if plan.drop and sent >= plan.completion // 2:
                _drop_connection()
            choice = {"index": 0, "delta": {"role": "assistant", "content": word + " "}, "finish_reason": None}
            yield _data(head | {"choices": [choice]})
            sent += 1
            await asyncio.sleep(plan.token_seconds)
        yield _data(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if with_usage:
            yield _data(head | {"choices": [], "usage": _openai_usage(plan)})
        yield "data: [DONE]\n\n"
    except BaseException:
        vendor.bill("openai", model, plan, "aborted", sent)
        raise
    vendor.bill("openai", model, plan)


async def _message_events(vendor: Vendor, model: str, plan: Plan) -> AsyncIterator[str]:
    start = _message(model, [], _anthropic_usage(plan) | {"output_tokens": 1}, None)
    sent = 0
    try:
        yield _event("message_start", {"message": start})
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        for word in plan.words():
            yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word + " "}})
            sent += 1
            await asyncio.sleep(plan.token_seconds)
        yield _event("content_block_stop", {"index": 0})
        ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}}
        yield _event("message_delta", ended | {"usage": {"output_tokens": plan.completion}})
        yield _event("message_stop", {})
    except BaseException:
        vendor.bill("anthropic", model, plan, "aborted", sent)
        raise
    vendor.bill("anthropic", model, plan)


def _anthropic_usage(plan: Plan) -> dict[str, int]:
    return {
        "input_tokens": plan.prompt,
        "cache_read_input_tokens": plan.cached,
        "cache_creation_input_tokens": 0,
    }


def _message(model: str, content: list[dict[str, str]], usage: dict[str, int], reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_simulated",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _event(name: str, body: dict[str, Any]) -> str:
    return f"event: {name}\n{_data({'type': name} | body)}"


def _audio_seconds(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as wav:
            return float(wav.getnframes() / wav.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError):
        return len(data) / BYTES_PER_SECOND


def __getattr__(name: str) -> Any:
    """``app`` is made when a server asks for it, so that importing this module needs no settings."""
    if name == "app":
        return create_app(load())
    raise AttributeError(name)
