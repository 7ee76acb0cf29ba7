"""The one place where parts are joined: settings → Redis → stores → engine. Imports no torch."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from core import cards, config
from core.commands.desk import Desk
from core.engine import Engine
from core.growth.growing import Growth
from core.privacy import Privacy
from core.settings import Settings
from core.store.client import Client
from core.store.conversations import Conversations
from core.store.ledger import Kept, Ledger
from core.store.loras import Loras
from core.store.memories import Memories
from core.store.nights import Nights
from core.store.personas import Personas
from core.store.presence import Presence
from core.store.queue import Limits, Queue
from core.store.quotas import Quotas
from core.store.reflections import Reflections
from personas import library
from personas.card import Card

DAY = 86_400


def settings(ctx: click.Context) -> Settings:
    """The settings of this run: `--home` and `--config` over the environment over the file. Raises ConfigError."""
    given = ctx.find_root().obj or {}
    return config.load(os.environ, config=given.get("config"), home=given.get("home"))


@dataclass(frozen=True)
class Parts:
    """Everything that works on one Redis."""

    settings: Settings
    client: Client
    queue: Queue = field(init=False)
    conversations: Conversations = field(init=False)
    ledger: Ledger = field(init=False)
    personas: Personas = field(init=False)
    memories: Memories = field(init=False)
    loras: Loras = field(init=False)
    nights: Nights = field(init=False)
    presence: Presence = field(init=False)
    reflections: Reflections = field(init=False)
    quotas: Quotas = field(init=False)
    growth: Growth = field(init=False)
    privacy: Privacy = field(init=False)
    _fresh: dict[str, tuple[Card, float]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        def put(name: str, part: Any) -> None:
            object.__setattr__(self, name, part)

        put("queue", Queue(self.client, limits(self.settings)))
        put("conversations", Conversations(self.client))
        put("ledger", Ledger(self.client, kept(self.settings)))
        put("personas", Personas(self.client))
        put("memories", Memories(self.client))
        put("loras", Loras(self.client))
        put("nights", Nights(self.client))
        put("presence", Presence(self.client))
        put("reflections", Reflections(self.client))
        put("quotas", Quotas(self.client))
        put("growth", Growth(self.client, self.ledger, self.settings))
        embedded = not self.settings.redis_url
        put("privacy", Privacy(self.client, self.queue, self.conversations, self.ledger, embedded))

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Where cards lie: one's own first."""
        return library.folders(self.settings.home)

    def card(self, name: str) -> Card:
        """A card by name; an edited file counts within a second. Raises UnknownPersona or CardError."""
        now = time.monotonic()
        card, until = self._fresh.get(name, (None, 0.0))
        if card is None or now > until:
            card = cards.load(name, self.folders)
            self._fresh[name] = card, now + 1.0
        return card

    def engine(self, replies: str = "", settle: bool = True) -> Engine:
        """An engine whose answers come back on the stream `replies` (empty: the bot account's)."""
        return Engine(
            self.settings, self.queue, self.conversations, self.ledger, self.personas, self.memories, self.card,
            replies, settle=settle,
        )  # fmt: skip

    def desk(self, engine: Engine) -> Desk:
        """Who answers commands."""
        return Desk(engine, self.privacy, self.folders, self.growth, self.loras)


@asynccontextmanager
async def parts(settings: Settings, url: str) -> AsyncIterator[Parts]:
    """Parts on the Redis at `url`, for as long as the block lasts."""
    client = Client(url)
    try:
        yield Parts(settings, client)
    finally:
        await client.close()


def limits(settings: Settings) -> Limits:
    """The queue's bounds, from the settings."""
    q = settings.queue
    return Limits(
        depth=q.max_depth, line=q.max_per_conversation, attempts=q.attempts, lease=q.lease_seconds,
        retry=q.retry_seconds, floor=q.background_floor, keep=settings.history.turns_kept,
    )  # fmt: skip


def kept(settings: Settings) -> Kept:
    """How long the ledger keeps what, from the settings."""
    r = settings.retention
    unrated, rated = int(r.unrated_days * DAY), int(r.rated_half_lives * r.half_life_days * DAY)
    return Kept(unrated=unrated, rated=max(unrated, rated))  # a rating shortens no life
