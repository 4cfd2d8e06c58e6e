"""Makes up replies of an exact number of tokens, and calls of tools; nothing here thinks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deploy.simulated_llm.chance import Chance
from deploy.simulated_llm.fate import Controls
from deploy.simulated_llm.models import Model
from deploy.simulated_llm.tokens import pieces, tokenize

OPENING = "This reply is simulated."
_SENTENCES = (
    "The short answer is that it depends on what you start from.",
    "Most people begin with a small example and then go on to the rule behind it.",
    "There are two views on this, and both have good reasons.",
    "Write down what you know first; the rest is often easier than it looks.",
    "The first step takes a few minutes, the second one takes patience.",
    "If you tell me more about your case, I can be more precise.",
    "A good source on this is the original text, read slowly.",
    "In practice, the difference is small, but it is worth knowing.",
    "Here is a list: what it is, where it comes from, how it is used.",
    "Nobody knows for certain, and I would not rely on a guess.",
)
_SIGMA = 0.5


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that a client offers."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """A made-up reply.

    Attributes:
        pieces: Its text, a token each; for a tool call, of its arguments.
        finish: Why it ended.
        tool: The tool that is called.
        hidden: Output tokens that are billed and not in ``pieces``: reasoning, the name of a tool.
    """

    pieces: Sequence[str]
    finish: Literal["stop", "length", "tool"]
    tool: str | None = None
    hidden: int = 0

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """What is billed."""
        return len(self.pieces) + self.hidden


def compose(model: Model, chance: Chance, controls: Controls, most: int | None, tool: ToolOffer | None) -> Reply:
    """Make up a reply.

    Args:
        model: Says how long replies usually are.
        chance: Decides.
        controls: May ask for an exact length.
        most: Output tokens the client wants at most.
        tool: To be called instead of answering.
    """
    if tool is not None:
        arguments = json.dumps(_example(tool.schema, chance))
        return Reply(pieces(arguments), "tool", tool.name, hidden=len(tokenize(tool.name)))
    length = chance.stream("length")
    wanted = controls.tokens or max(12, round(model.reply * length.lognormvariate(0, _SIGMA)))
    thought = round(length.uniform(1, 4)) * 64 if model.thinks and not controls.tokens else 0
    allowed = wanted + thought if most is None else min(wanted + thought, most)
    hidden = min(thought, allowed)
    finish: Literal["stop", "length"] = "stop" if allowed == wanted + thought else "length"
    return Reply(_text(chance, allowed - hidden), finish, hidden=hidden)


def _text(chance: Chance, tokens: int) -> list[str]:
    draw = chance.stream("text")
    text = pieces(OPENING)
    while len(text) < tokens:
        text += pieces(f" {draw.choice(_SENTENCES)}")
    return text[:tokens]


def chosen_tool(tools: Sequence[ToolOffer], controls: Controls, *, forced: str | None, asked: str) -> ToolOffer | None:
    """The tool to call, if any: the one that is forced, asked for by a control, or named in the message.

    Args:
        tools: On offer.
        controls: Of the last message.
        forced: Its name, empty for any; ``None`` where the client leaves the choice open.
        asked: The last message.
    """
    wanted = forced if forced is not None else controls.tool
    if wanted is not None:
        return next((tool for tool in tools if not wanted or tool.name == wanted), None)
    return next((tool for tool in tools if tool.name in asked), None)


def _example(schema: Mapping[str, Any], chance: Chance) -> Any:
    """A value that fits a JSON schema well enough."""
    if options := schema.get("enum"):
        return chance.stream("tool").choice(options)
    match schema.get("type"):
        case "object":
            return {name: _example(each, chance) for name, each in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema.get("items", {}), chance)]
        case "integer" | "number":
            return chance.stream("tool").randrange(1, 100)
        case "boolean":
            return True
        case _:
            return "simulated"
