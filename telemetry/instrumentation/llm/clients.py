"""Which methods of vendors' clients make one call each, and which vendor and model a call of them is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

OPENAI = {
    "openai.resources.chat.completions": (
        *("Completions.create", "Completions.parse", "Completions.stream"),
        *("AsyncCompletions.create", "AsyncCompletions.parse", "AsyncCompletions.stream"),
    ),
    "openai.resources.beta.chat.completions": (  # until version 2
        *("Completions.parse", "Completions.stream", "AsyncCompletions.parse", "AsyncCompletions.stream"),
    ),
    "openai.resources.responses.responses": (
        *("Responses.create", "Responses.parse", "Responses.stream"),
        *("AsyncResponses.create", "AsyncResponses.parse", "AsyncResponses.stream"),
    ),
    "openai.resources.completions": ("Completions.create", "AsyncCompletions.create"),
    "openai.resources.embeddings": ("Embeddings.create", "AsyncEmbeddings.create"),
}
_MESSAGES = (
    *("Messages.create", "Messages.parse", "Messages.stream"),
    *("AsyncMessages.create", "AsyncMessages.parse", "AsyncMessages.stream"),
)
ANTHROPIC = {
    "anthropic.resources.messages": _MESSAGES,
    "anthropic.resources.beta.messages": _MESSAGES,
}
_COMPLETIONS = ("completion", "acompletion", "text_completion", "atext_completion", "embedding", "aembedding")
LITELLM = {
    "litellm.main": _COMPLETIONS,
    "litellm": (*_COMPLETIONS, "responses", "aresponses"),  # some versions have functions of their own here
}

# Clients of one vendor speak to others that answer in its way; the names are those under which models have prices.
_OF_KINDS = {"Azure": "azure", "Bedrock": "aws", "Vertex": "google", "Foundry": "azure"}
_OF_HOSTS = {
    "azure.com": "azure",
    "cerebras.ai": "cerebras",
    "deepseek.com": "deepseek",
    "fireworks.ai": "fireworks",
    "googleapis.com": "google",
    "groq.com": "groq",
    "mistral.ai": "mistral",
    "moonshot.ai": "moonshotai",
    "openrouter.ai": "openrouter",
    "perplexity.ai": "perplexity",
    "together.xyz": "together",
    "x.ai": "x-ai",
}
_OF_LITELLM = {
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
UNKNOWN = "unknown"


class Target(NamedTuple):
    """Whom a call is for.

    Attributes:
        provider: The vendor.
        model: As sent to it.
    """

    provider: str
    model: str


def of_client(resource: Any, named: Mapping[str, Any], vendor: str) -> Target:
    """Of a method of a client.

    Args:
        resource: Has the method, and the client.
        named: The arguments.
        vendor: Whose client it is.
    """
    client = getattr(resource, "_client", None)
    address = str(getattr(client, "base_url", ""))
    return Target(_provider(type(client).__name__, address, vendor), str(named.get("model") or UNKNOWN))


@lru_cache(256)
def _provider(kind: str, address: str, vendor: str) -> str:
    by_kind = (provider for name, provider in _OF_KINDS.items() if name in kind)
    return next(by_kind, None) or _of_host(urlsplit(address).hostname or "", vendor)


def _of_host(host: str, vendor: str) -> str:
    known = (provider for suffix, provider in _OF_HOSTS.items() if f".{host}".endswith(f".{suffix}"))
    return next(known, vendor)


def of_litellm(arguments: Iterable[Any], named: Mapping[str, Any]) -> Target:
    """Of a function of LiteLLM, which finds the vendor by the name of the model (``anthropic/claude-…``)."""
    model = str(named.get("model") or next(iter(arguments), UNKNOWN))
    try:
        from litellm import get_llm_provider

        name, provider, *_ = get_llm_provider(
            model, custom_llm_provider=named.get("custom_llm_provider"), api_base=named.get("api_base")
        )
    except Exception:  # it raises for what it does not know, and so will the call
        provider, _, name = model.rpartition("/")
    return Target(_OF_LITELLM.get(str(provider), str(provider) or UNKNOWN), str(name))
