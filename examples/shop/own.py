"""A shop: orders go into a database (SQLAlchemy, async), a worker bills them, a model describes what was ordered."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from billing import bill
from fastapi import FastAPI
from openai import AsyncOpenAI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["SHOP_DATABASE"])
sessions = async_sessionmaker(engine, expire_on_commit=False)
model = AsyncOpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY


class Base(DeclarativeBase):
    """Tables of the shop."""


class Order(Base):
    """What somebody wants."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]


@asynccontextmanager
async def tables(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=tables)


@app.post("/orders/{product}", status_code=201)
async def order(product: str) -> dict[str, int]:
    """Store an order and have it billed."""
    made = Order(product=product)
    async with sessions() as session:
        session.add(made)
        await session.commit()
    bill.delay(product)
    return {"order": made.id}


@app.get("/orders")
async def orders() -> dict[str, int]:
    """How many there are."""
    async with sessions() as session:
        return {"orders": await session.scalar(select(func.count()).select_from(Order)) or 0}


@app.get("/products/{product}/description")
async def description(product: str) -> dict[str, str | None]:
    """What a model says of a product."""
    reply = await model.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"Describe {product} in a sentence."}]
    )
    return {"description": reply.choices[0].message.content}
