"""What is known around Discord's events: where a channel is, whose a message was, what things are called.

Names and places come from what discord.py keeps of servers. A thread that it does not know (archived long ago) and
the person of a DM are asked for once. Bounded: what is oldest is forgotten.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from adapters.discord.api import Api, Refused, patiently
from adapters.discord.events import Room
from adapters.discord.library import discord

ROOMS, MESSAGES, LIVELY = 20_000, 2_000, 50  # of a message some 300 bytes are kept
_THREADS = {10, 11, 12}
_DM = 1


class Known:
    """A World (see events.py), for one bot account. `account` is known once it is logged in."""

    def __init__(self, api: Api, account: str) -> None:
        self._api, self.account = api, account
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._authors: OrderedDict[str, str] = OrderedDict()
        self._last: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def room(self, channel: str) -> Room | None:
        """Where a channel or thread is."""
        return self._rooms.get(channel)

    def author(self, message: str) -> str:
        """The user id behind a recent message."""
        return self._authors.get(message, "")

    def channel_name(self, guild: str, channel: str) -> str:
        """What a channel is called."""
        found = self._api.client.get_channel(int(channel))
        return getattr(found, "name", None) or ""

    def role_name(self, guild: str, role: str) -> str:
        """What a role is called."""
        found = self._guild(guild)
        named = found.get_role(int(role)) if found else None
        return named.name if named else ""

    def own_role(self, guild: str) -> str:
        """The role that a server gave us."""
        found = self._guild(guild)
        return str(found.self_role.id) if found and found.self_role else ""

    def lately(self) -> list[tuple[str, tuple[str, str]]]:
        """Where something was said last, the newest first: the channel, the id of that message, the server."""
        return list(reversed(self._last.items()))

    def _guild(self, guild: str) -> discord.Guild | None:
        return self._api.client.get_guild(int(guild)) if guild else None

    def meet(self, kind: str, raw: Mapping[str, Any]) -> Callable[[], Awaitable[None]] | None:
        """Learn what a dispatch tells. What must be asked before its events can be made; None: nothing."""
        if kind == "MESSAGE_CREATE":
            _keep(self._authors, raw["id"], raw["author"]["id"], MESSAGES)
            _keep(self._last, raw["channel_id"], (raw["id"], raw.get("guild_id") or ""), LIVELY)
        channel = raw.get("channel_id")
        if not channel or channel in self._rooms:
            return None
        if room := self._seen(channel, raw):
            _keep(self._rooms, channel, room, ROOMS)
        return None if room else partial(self._learn, kind, channel, raw)

    async def _learn(self, kind: str, channel: str, raw: Mapping[str, Any]) -> None:
        if room := await self._asked(kind, channel, raw):
            _keep(self._rooms, channel, room, ROOMS)

    def _seen(self, channel: str, raw: Mapping[str, Any]) -> Room | None:
        """From the dispatch itself, or from what the library keeps."""
        guild, told = raw.get("guild_id"), raw.get("channel") or {}
        if not guild:
            user = (raw.get("author") or raw.get("user") or {}).get("id", "")
            return Room(channel, person=user) if user and f"discord:{user}" != self.account else None
        if told.get("type") in _THREADS and told.get("parent_id"):
            return Room(told["parent_id"], guild, channel)
        found = self._api.client.get_channel(int(channel))
        if isinstance(found, discord.Thread):
            return Room(str(found.parent_id), guild, channel)
        return Room(channel, guild) if found else None

    async def _asked(self, kind: str, channel: str, raw: Mapping[str, Any]) -> Room | None:
        guild = raw.get("guild_id") or ""
        if not guild and not kind.startswith("MESSAGE_DELETE"):
            return None  # whoever acts in a DM is named
        try:
            told = await patiently(lambda: self._api.call("GET", "/channels/{channel_id}", channel_id=channel))
        except Refused:  # it is gone, or hidden from us: then it is as good as a channel
            return Room(channel, guild)
        if told.get("type") in _THREADS:
            return Room(told.get("parent_id") or channel, guild, channel)
        people = [user["id"] for user in told.get("recipients") or ()] if told.get("type") == _DM else []
        return Room(channel, guild, person=people[0] if people else "")


def _keep(into: OrderedDict[str, Any], key: str, value: Any, most: int) -> None:
    into[key] = value
    into.move_to_end(key)
    while len(into) > most:
        into.popitem(last=False)
