"""Users of the fleet who can be held: nobody waits for an answer then, and what was answered is known."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from deploy.traffic.actions import hurry, sitting
from deploy.traffic.client import CHATS, Truth, User
from deploy.traffic.run import NotReachableError, create_users
from support.waiting import eventually
from tests.support.beside import beside

_AT_ONCE = 5
_CROWD = 30  # conversations begun, and as many lists asked for, at one moment
_LOOKS = 0.05
_PAUSE = (0.1, 0.5)  # seconds between two actions of one user
_REQUEST_SECONDS = 40.0
_LONGEST_ACTION = 150.0


class Users:
    """They act as `make traffic` lets them; each generation has its own conversations, so no list of them grows.

    Args:
        url: The front door.
        admin_token: For making users.
        seed: The same one acts the same.
    """

    def __init__(self, url: str, admin_token: str, seed: int) -> None:
        self._url = url
        self._token = admin_token
        self._seed = seed
        self._truth = Truth()
        self._hold = threading.Event()
        self._busy = self._generation = 0

    @property
    def answers(self) -> Counter[tuple[str, str, str]]:
        """What they were answered, by method, route and status."""
        return self._truth.answers

    @property
    def actions(self) -> int:
        """What they began."""
        return self._truth.actions.total()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """They act for the length of a block."""
        with beside(lambda over: asyncio.run(self._act(over))):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody acts for the length of a block; afterwards others do.

        Raises:
            TimeoutError: If an action does not end.
        """
        self._hold.set()
        try:
            if not eventually(lambda: self._busy == 0, _LONGEST_ACTION):
                raise TimeoutError(f"{self._busy} users still wait for an answer after {_LONGEST_ACTION:.0f} s")
            yield
        finally:
            self._generation += 1
            self._hold.clear()

    async def _act(self, over: threading.Event) -> None:
        limits = httpx.Limits(max_connections=2 * _AT_ONCE + 2 * _CROWD)
        async with httpx.AsyncClient(base_url=self._url, timeout=_REQUEST_SECONDS, limits=limits) as http:
            await asyncio.gather(*(self._one(number, http, over) for number in range(_AT_ONCE)))

    async def _one(self, number: int, http: httpx.AsyncClient, over: threading.Event) -> None:
        draw = random.Random(f"{self._seed}-{number}")
        users: list[User] = []
        generation = -1
        while not over.is_set():
            if self._hold.is_set():
                await asyncio.sleep(_LOOKS)
                continue
            self._busy += 1
            try:
                if generation != self._generation:
                    generation, users = self._generation, await self._new_users(http)
                    await self._burst(users, draw)
                    if number == 0:
                        await self._crowd(users)
                if users:
                    await self._sit(draw.choice(users), draw, over)
            finally:
                self._busy -= 1
            await asyncio.sleep(_LOOKS)

    async def _new_users(self, http: httpx.AsyncClient) -> list[User]:
        """None where the front door does not let anybody in at the moment."""
        try:
            return await create_users(http, self._truth, self._token)
        except NotReachableError:
            return []

    async def _burst(self, users: list[User], draw: random.Random) -> None:
        for user in users[1:2]:
            self._truth.actions[hurry.__name__, user.plan] += 1
            await hurry(user, draw)

    async def _crowd(self, users: list[User]) -> None:
        """Pools of connections grow to the most that was ever wanted at once: that has to be soon, or it looks like a leak."""
        for user in users[-1:]:
            await asyncio.gather(
                *(user.call("POST", CHATS, json={"message": "what all ask"}) for _ in range(_CROWD)),
                *(user.call("GET", CHATS) for _ in range(_CROWD)),
            )

    async def _sit(self, user: User, draw: random.Random, over: threading.Event) -> None:
        for action in sitting(draw):
            if self._hold.is_set() or over.is_set():
                return
            self._truth.actions[action.__name__, user.plan] += 1
            await action(user, draw)
            await asyncio.sleep(draw.uniform(*_PAUSE))
