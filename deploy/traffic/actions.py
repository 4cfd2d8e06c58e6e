"""What users of a chat service do, good and bad; each action is one function, and depends on nothing but its draw.

Some messages contain a control of the simulated vendor, such as ``[[error:503:1]]``; to a real vendor it is just text.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from deploy.traffic.client import CHATS, User

POPULAR = (
    "What are the conditions of a valid contract?",
    "Explain the five principles in simple words.",
    "Which books should a beginner read first?",
)
TOPICS = ("ethics", "history", "logic", "jurisprudence", "poetry", "philosophy", "grammar", "astronomy")
OVERSIZED = 11 * 1024 * 1024
IMAGES_IN_A_HURRY = 15

Action = Callable[[User, random.Random], Awaitable[None]]


def _question(draw: random.Random) -> str:
    return f"Question {draw.randrange(10**9)} about {draw.choice(TOPICS)}?"


async def chat(user: User, draw: random.Random) -> None:
    """Ask, look around, ask on."""
    conversation = await user.start(_question(draw))
    if conversation is not None:
        await user.look_around(conversation)
        await user.proceed(conversation, f"Tell me more about {draw.choice(TOPICS)}.")


async def ask_what_all_ask(user: User, draw: random.Random) -> None:
    """Ask something popular, twice: the second reply comes from the cache."""
    question = draw.choice(POPULAR)
    await user.start(question)
    await user.start(question)


async def discuss_a_text(user: User, draw: random.Random) -> None:
    """Paste a long text and ask about it twice: vendors read the repeated beginning from their prompt cache."""
    text = " ".join(draw.choice(TOPICS) for _ in range(750))
    conversation = await user.start(f"{text}. What is this about?")
    if conversation is not None:
        await user.proceed(conversation, "And in one sentence?")


async def stream(user: User, draw: random.Random) -> None:
    """Have a reply streamed."""
    conversation = await user.start(_question(draw))
    if conversation is not None:
        await user.stream(conversation, f"Now in {draw.randrange(2, 9)} sentences, please.")


async def leave_a_stream(user: User, draw: random.Random) -> None:
    """Have a reply streamed and leave abruptly; then delete the conversation."""
    conversation = await user.start(_question(draw))
    if conversation is not None:
        await user.stream(conversation, f"Never mind {draw.randrange(10**9)}. [[tokens:400]]", leave_early=True)
        await user.forget(conversation)


async def draw_image(user: User, draw: random.Random) -> None:
    """Have an image generated."""
    await user.draw(f"a quiet library, variation {draw.randrange(10**9)}")


async def dictate(user: User, draw: random.Random) -> None:
    """Have a recording transcribed."""
    await user.dictate(round(draw.uniform(2, 20), 1))


async def keep_files(user: User, draw: random.Random) -> None:
    """Upload two files, delete one of them."""
    await user.keep_file(draw.randbytes(draw.randrange(1_000, 200_000)), remove=False)
    await user.keep_file(draw.randbytes(draw.randrange(1_000, 200_000)), remove=True)


async def meet_a_bad_moment(user: User, draw: random.Random) -> None:
    """Ask while the vendor is briefly down: the task is retried."""
    await user.start(f"{_question(draw)} [[error:503:1]]")


async def meet_a_failure(user: User, draw: random.Random) -> None:
    """Ask something that the vendor refuses: the task fails."""
    await user.start(f"{_question(draw)} [[error:400]]")


async def get_lost(user: User, draw: random.Random) -> None:
    """Ask for what is not there, in two ways."""
    await user.call("GET", f"/api/v{draw.randrange(2, 9)}/nothing/{draw.randrange(10**6)}")
    await user.call("GET", f"{CHATS}/{{conversation_id}}", path={"conversation_id": f"none-{draw.randrange(10**6)}"})


async def use_a_wrong_key(user: User, draw: random.Random) -> None:
    """Come with a key that nobody has."""
    headers = {"X-API-Key": f"wrong-{draw.randrange(10**6)}"}
    await user.call("POST", CHATS, json={"message": "hello"}, headers=headers)


async def send_nonsense(user: User, draw: random.Random) -> None:
    """Malformed JSON, an empty message, a method that is not allowed."""
    await user.call("POST", CHATS, content=b"{", headers={"Content-Type": "application/json"})
    await user.call("POST", CHATS, json={"message": ""})
    await user.call("PUT", CHATS, json={"message": draw.choice(TOPICS)})


async def upload_too_much(user: User, _draw: random.Random) -> None:
    """A file over the limit."""
    await user.call("POST", "/api/v1/files", files={"file": ("big.bin", bytes(OVERSIZED))})


async def hurry(user: User, _draw: random.Random) -> None:
    """More images at once than the free plan allows in a minute."""
    await user.hurry("the same thing again", IMAGES_IN_A_HURRY)


_COMMON: tuple[Action, ...] = (
    chat,
    ask_what_all_ask,
    discuss_a_text,
    stream,
    leave_a_stream,
    draw_image,
    dictate,
    keep_files,
)
_RARE: tuple[Action, ...] = (
    meet_a_bad_moment,
    meet_a_failure,
    get_lost,
    use_a_wrong_key,
    send_nonsense,
    upload_too_much,
)
# `hurry` is first: with the users of `run` it falls to one of the free plan.
ACTIONS: tuple[Action, ...] = (hurry, *_COMMON, *_RARE)


def sitting(draw: random.Random) -> list[Action]:
    """What a user does in one sitting: mostly the usual, now and then something goes wrong."""
    actions = draw.sample(_COMMON, k=3)
    return [*actions, draw.choice(_RARE)] if draw.random() < 0.5 else actions
