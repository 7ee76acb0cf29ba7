"""Whom and what we know in a workspace: names by user id, the threads that we take part in, where each talked last.

Kept in memory, the least used forgotten first; what is missing after a start is asked of Slack once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from adapters.slack.events import strangers
from adapters.slack.recent import Recent
from adapters.slack.view import Json, Us, View, person_id
from adapters.slack.web import Busy, Call, Refused, Unsure, Web
from core.events import Command, Person

AT_ONCE = 20  # names that are asked for, for one message
HOLDS = 60.0  # seconds; who is no admin any more is still one for so long, should Slack not tell us of it
_MANAGES = ("is_admin", "is_owner", "is_primary_owner")


class Acquaintances:
    """What one bot account knows. `view` is what `to_event` needs of it."""

    def __init__(self, us: Us, web: Web) -> None:
        self._us, self._web = us, web
        self.people: Recent[str, Person] = Recent()
        self._managers: Recent[str, tuple[bool, float]] = Recent()  # by user id: is it one, and until when we know
        self.threads: Recent[tuple[str, str], bool] = Recent()  # do we take part?
        self.last: Recent[tuple[str, str], str] = Recent()
        self.view = View(
            us,
            self.people,
            takes_part=lambda channel, thread: self.threads.get((channel, thread), False),
            last=lambda channel, user: self.last.get((channel, user), ""),
        )

    def lacks(self, body: Json) -> Callable[[], Awaitable[None]] | None:
        """What a payload takes for granted, to be asked; None: nothing. What Slack does not tell now is asked again
        another time."""
        event = body.get("event")
        if not isinstance(event, Mapping):
            return None
        if event.get("type") == "user_change" and isinstance(user := event.get("user"), Mapping):
            self.people.forget(str(user.get("id")))
            self._managers.forget(str(user.get("id")))
            return None
        people, thread = strangers(body, self.people)[:AT_ONCE], self._unknown_thread(event)
        return partial(self._meet, people, thread) if people or thread else None

    async def _meet(self, people: Sequence[str], thread: tuple[str, str] | None) -> None:
        await self._learn(people)
        if thread:
            await self._recall(*thread)

    async def _learn(self, users: Iterable[str]) -> None:
        await asyncio.gather(*(self._ask(user) for user in users))

    async def _ask(self, user: str) -> None:
        told = await self._quickly(self._web.client.users_info, user=user)
        if told and isinstance(found := told.get("user"), dict):
            profile = found.get("profile") or {}
            name = profile.get("display_name") or profile.get("real_name") or found.get("name") or ""
            self.people.keep(user, Person(person_id(self._us.team, user), name, bool(found.get("is_bot"))))

    async def ranked(self, command: Command) -> Command:
        """With whether its author is an operator of the workspace."""
        is_manager = await self._manages(command.author.id.rpartition(":")[2])
        return msgspec.structs.replace(command, operator=True) if is_manager else command

    async def _manages(self, user: str) -> bool:
        """What Slack does not tell now counts as a no, and is asked again."""
        known, until = self._managers.get(user, (False, 0.0))
        if time.monotonic() < until:
            return known
        told = await self._quickly(self._web.client.users_info, user=user)
        found = (told or {}).get("user")
        if not isinstance(found, dict):
            return False
        known = self._is_of_us(found) and any(found.get(field) is True for field in _MANAGES)
        self._managers.keep(user, (known, time.monotonic() + HOLDS))
        return known

    def _is_of_us(self, user: Json) -> bool:
        """In a channel that is shared with another workspace, its admins are none of ours."""
        teams = (user.get("enterprise_user") or {}).get("teams") or ()
        return not user.get("deleted") and (user.get("team_id") in (None, "", self._us.team) or self._us.team in teams)

    def _unknown_thread(self, event: Json) -> tuple[str, str] | None:
        """The one that this was said in, if we do not know whether we are in it."""
        channel, thread = event.get("channel"), event.get("thread_ts")
        if event.get("type") != "message" or not isinstance(channel, str) or not isinstance(thread, str):
            return None
        if (channel, thread) in self.threads or thread == event.get("ts") or channel.startswith("D"):
            return None
        return channel, thread

    async def _recall(self, channel: str, thread: str) -> None:
        """Are we in that thread? After a start, what was said there tells."""
        told = await self._quickly(self._web.client.conversations_replies, channel=channel, ts=thread, limit=100)
        if told is not None:
            said = [one for one in told.get("messages") or () if isinstance(one, dict)]
            takes_part = any(self._is_ours(one) for one in said)
            self.threads.keep((channel, thread), takes_part)

    def _is_ours(self, message: Json) -> bool:
        return message.get("user") == self._us.user or f"<@{self._us.user}" in str(message.get("text"))

    async def _quickly(self, method: Call, **arguments: Any) -> dict[str, Any] | None:
        """An answer, if there is one now: nobody's message waits for a name."""
        try:
            async with asyncio.timeout(3.0):
                return await self._web.call(method, patient=False, **arguments)
        except Refused:
            return {}
        except (Busy, Unsure, TimeoutError):
            return None
