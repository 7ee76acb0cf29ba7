"""Who plays where: the card chosen for a scope, and cards by hash."""

import msgspec

from core.store import keys
from core.store.client import Client
from personas.card import Card


class Personas:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cards: dict[str, Card] = {}
        self._known: set[str] = set()

    async def chosen(self, account: str, scopes: list[str]) -> list[str]:
        """The name of the card chosen for each scope; empty where none was."""
        if not scopes:
            return []
        return [name.decode() if name else "" for name in await self._client.do("HMGET", keys.CAST(account), *scopes)]

    async def choose(self, account: str, scope: str, card: str) -> None:
        """From now on this card plays in this scope."""
        plays = ("HSET", keys.CAST(account), scope, card)
        await self._client.do_all([plays, ("SADD", keys.PLAYED(f"{account}|{scope}"), card)])

    async def played(self, account: str, scope: str) -> list[str]:
        """Every card that was ever chosen there, by name: what was said was said to any of them."""
        return sorted(name.decode() for name in await self._client.do("SMEMBERS", keys.PLAYED(f"{account}|{scope}")))

    async def publish(self, card: Card) -> str:
        """Make a card known to the workers. Returns its hash."""
        if card.hash not in self._known:
            await self._client.do("SET", keys.CARD(card.hash), msgspec.msgpack.encode(card))
            self._known.add(card.hash)
        return card.hash

    async def card(self, card_hash: str) -> Card | None:
        """A published card, or None."""
        if card_hash not in self._cards:
            body = await self._client.do("GET", keys.CARD(card_hash))
            if body is None:
                return None
            self._cards[card_hash] = msgspec.msgpack.decode(body, type=Card)
        return self._cards[card_hash]
