"""Sends chat traffic for a while and says what it did: ``python -m deploy.traffic --base-url URL --seconds 60``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from deploy.traffic.client import Truth, User

PLANS = ("free", "free", "pro", "pro", "enterprise")
POPULAR = (
    "What are the conditions of a valid contract?",
    "Explain the five principles in simple words.",
    "Which books should a beginner read first?",
)
TOPICS = ("ethics", "history", "logic", "jurisprudence", "poetry", "philosophy", "grammar", "astronomy")
CONCURRENCY = 8
LAST_WORD_SECONDS = 30.0
PROGRESS_SECONDS = 10.0


class NotReachableError(RuntimeError):
    """The front door does not answer, or does not let us in."""


async def create_users(http: httpx.AsyncClient, truth: Truth, admin_token: str) -> list[User]:
    """A user for each plan we simulate and an anonymous one.

    Raises:
        NotReachableError: With what to do about it.
    """
    users = [User(http, truth, None, "free")]
    for plan in PLANS:
        body = {"name": f"simulated {plan} user", "plan": plan}
        answer = await users[0].call("POST", "/api/v1/users", json=body, headers={"X-Admin-Token": admin_token})
        if answer is None:
            raise NotReachableError(f"The front door at {http.base_url} does not answer: start the fleet (`make up`).")
        if answer.status_code != httpx.codes.CREATED:
            raise NotReachableError(f"The backend made no user ({answer.status_code}): set ADMIN_TOKEN to the fleet's.")
        users.append(User(http, truth, answer.json()["api_key"], plan))
    return users


async def session(user: User, draw: random.Random) -> None:
    """What a user does in one sitting."""
    popular = draw.random() < 0.4
    question = draw.choice(POPULAR) if popular else f"Question {draw.randrange(10**6)} about {draw.choice(TOPICS)}?"
    conversation = await user.start(question)
    if conversation is None:
        await asyncio.sleep(0.5)
        return
    await user.look_around(conversation)
    extras: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: user.proceed(conversation, f"Tell me more about {draw.choice(TOPICS)}."),
        lambda: user.stream(conversation, f"Now in {draw.randrange(2, 9)} sentences, please."),
        lambda: user.stream(conversation, f"Never mind {draw.randrange(10**6)}.", leave_early=True),
        lambda: user.draw(f"a quiet library, variation {draw.randrange(10**6)}"),
        lambda: user.dictate(draw.uniform(2, 20)),
        lambda: user.keep_file(draw.randbytes(draw.randrange(1_000, 200_000)), draw.random() < 0.5),
        lambda: user.misbehave(draw),
    )
    for extra in draw.sample(extras, k=3):
        await extra()
        await asyncio.sleep(draw.uniform(0.05, 0.4))


async def everything_once(user: User, draw: random.Random) -> None:
    """Each kind of action once, so that no documented metric depends on luck."""
    conversation = await user.start(POPULAR[0])
    if conversation is not None:
        await user.stream(conversation, POPULAR[1])
    for _ in range(2):
        await user.start(POPULAR[2])
    await user.draw("a lighthouse at night")
    await user.dictate(12.5)
    await user.keep_file(draw.randbytes(50_000), remove=False)
    await user.misbehave(draw)


async def run(base_url: str, seconds: float, seed: int, admin_token: str) -> Truth:
    """Send traffic for a while.

    Raises:
        NotReachableError: With what to do about it.
    """
    truth = Truth()
    limits = httpx.Limits(max_connections=2 * CONCURRENCY)
    async with httpx.AsyncClient(base_url=base_url, timeout=40, limits=limits) as http:
        users = await create_users(http, truth, admin_token)
        ends = time.monotonic() + seconds
        draws = [random.Random(f"{seed}-{number}") for number in range(CONCURRENCY)]
        async with asyncio.timeout(seconds + LAST_WORD_SECONDS + 60):
            starters = [everything_once(user, draws[0]) for user in users[2:5]]
            await asyncio.gather(*starters, users[1].hurry(15))
            progress = asyncio.create_task(_say_progress(truth))
            await asyncio.gather(*(_sit(users, draw, number, ends) for number, draw in enumerate(draws)))
            progress.cancel()
    return truth


async def _sit(users: list[User], draw: random.Random, number: int, ends: float) -> None:
    await asyncio.sleep(number * 0.1)
    while time.monotonic() < ends:
        await session(draw.choice(users), draw)


async def _say_progress(truth: Truth) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        print(f"  {sum(truth.answers.values())} requests so far", flush=True)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.traffic", description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8100")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--truth", type=Path, help="write what was done to this file, as JSON")
    options = parser.parse_args()
    token = os.environ.get("ADMIN_TOKEN", "")
    if not token:
        print("ADMIN_TOKEN is not set: run `make traffic`, or take it from the fleet's secrets.env.", file=sys.stderr)
        return 2
    try:
        truth = asyncio.run(run(options.base_url, options.seconds, options.seed, token))
    except (NotReachableError, TimeoutError) as error:
        print(str(error) or "The traffic did not end in time.", file=sys.stderr)
        return 2
    print(truth.table())
    if options.truth:
        options.truth.write_text(json.dumps(truth.as_json(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
