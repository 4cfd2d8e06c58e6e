"""Lets users act, for a while or a number of times, within a hard bound of time; what they do is in ``actions``."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx

from deploy.traffic.actions import ACTIONS, Action, sitting
from deploy.traffic.client import Truth, User

PLANS = ("free", "free", "pro", "pro", "enterprise")
CONCURRENCY = 8
PROGRESS_SECONDS = 10.0
REQUEST_SECONDS = 40.0
# Each action waits for at most two tasks of 30 s.
LAST_WORD_SECONDS = 90.0


class NotReachableError(RuntimeError):
    """The front door does not answer, or does not let us in."""


async def run(base_url: str, admin_token: str, seed: int, seconds: float, actions: int | None = None) -> Truth:
    """Send traffic, for so many seconds or, if it is given, exactly so many actions.

    Raises:
        NotReachableError: With what to do about it.
        TimeoutError: It did not end within its bound.
    """
    truth = Truth()
    limits = httpx.Limits(max_connections=2 * CONCURRENCY)
    async with httpx.AsyncClient(base_url=base_url, timeout=REQUEST_SECONDS, limits=limits) as http:
        users = await create_users(http, truth, admin_token)
        progress = asyncio.create_task(_say_progress(truth))
        bound = seconds if actions is None else 10.0 * actions
        try:
            async with asyncio.timeout(bound + LAST_WORD_SECONDS):
                await (_for_a_while(users, seed, seconds) if actions is None else _exactly(users, seed, actions))
        finally:
            progress.cancel()
            with suppress(asyncio.CancelledError):
                await progress
    return truth


async def create_users(http: httpx.AsyncClient, truth: Truth, admin_token: str) -> list[User]:
    """An anonymous user, then one for each of `PLANS`.

    Raises:
        NotReachableError: With what to do about it.
    """
    users = [User(http, truth, None, "free")]
    for plan in PLANS:
        body = {"name": f"simulated {plan} user", "plan": plan}
        answer = await users[0].call("POST", "/api/v1/users", json=body, headers={"X-Admin-Token": admin_token})
        if answer is None or answer.status_code in {502, 503, 504}:
            raise NotReachableError(f"The front door at {http.base_url} does not answer: start the fleet (`make up`).")
        if answer.status_code != httpx.codes.CREATED:
            raise NotReachableError(f"The backend made no user ({answer.status_code}): set ADMIN_TOKEN to the fleet's.")
        users.append(User(http, truth, answer.json()["api_key"], plan))
    return users


async def _exactly(users: list[User], seed: int, count: int) -> None:
    """Each action in turn by each user in turn; what an action does depends on its number, not on its moment."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await _act(ACTIONS[number % len(ACTIONS)], users[number % len(users)], random.Random(f"{seed}-{number}"))

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def _for_a_while(users: list[User], seed: int, seconds: float) -> None:
    """Everything once, so that no documented metric depends on luck; then sittings, as people have them."""
    ends = time.monotonic() + seconds
    once: Iterator[tuple[Action, User]] = zip(ACTIONS, itertools.cycle(users[1:]), strict=False)

    async def work(number: int) -> None:
        draw = random.Random(f"{seed}-{number}")
        for action, user in once:
            await _act(action, user, draw)
        while time.monotonic() < ends:
            user = draw.choice(users)
            for action in sitting(draw):
                await _act(action, user, draw)
                await asyncio.sleep(draw.uniform(0.05, 0.4))

    await asyncio.gather(*(work(number) for number in range(CONCURRENCY)))


async def _act(action: Action, user: User, draw: random.Random) -> None:
    user.truth.actions[action.__name__, user.plan] += 1
    await action(user, draw)


async def _say_progress(truth: Truth) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        print(f"  {truth.actions.total()} actions, {truth.answers.total()} requests so far", flush=True)
