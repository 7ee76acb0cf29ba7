"""Slash commands and buttons: to be acknowledged within three seconds, and answered within fifteen minutes.

Answers are seen only by whoever asked. A reply that a command brings about is an ordinary message.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from adapters.discord.api import Api, Upload, patiently
from adapters.discord.beside import Beside
from adapters.discord.buttons import is_theirs, lets_be, rows
from adapters.discord.growing import NOBODY
from adapters.discord.menu import is_there, menu, offered
from adapters.discord.text import LENGTH, pieces
from core.commands.answers import Answer, handed
from core.events import Command

log = logging.getLogger("limen.discord")

LONG = 3 * LENGTH  # an answer that is longer is a file
OPEN = 2_000  # commands that wait for their answer
LARGEST = 10_000_000  # bytes of a file that Discord takes from a bot
TOO_LARGE = "That is more than Discord takes in one file. Whoever runs this bot can give it to you."
_COMMANDS = {2, 3}  # from the menu, and by a button
_TYPING = 4
_BUTTON = 3
_DEFERRED, _DEFERRED_IN_PLACE, _IN_PLACE, _CHOICES = 5, 6, 7, 8
_EPHEMERAL = 64


class _Asked(NamedTuple):
    """A command that waits for its answer, and our acknowledgement of it on its way."""

    application: str
    token: str
    acknowledged: asyncio.Task[None]


class Interactions:
    """Those of one bot account. `cards` are the names that `/switch` offers; `hides`: see `menu`."""

    def __init__(self, api: Api, beside: Beside, cards: Callable[[], Sequence[str]], hides: bool = False) -> None:
        self._api, self._beside, self._cards, self._hides = api, beside, cards, hides
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    def meet(self, raw: Mapping[str, Any]) -> None:
        """Before it waits its turn among the events: acknowledge a command, complete what is being typed."""
        if not isinstance(raw.get("id"), str) or not isinstance(raw.get("token"), str):
            return
        if raw.get("type") == _TYPING:
            choices = offered(raw.get("data") or {}, self._cards())
            call = self._call_back(raw, {"type": _CHOICES, "data": {"choices": choices}})
            self._beside.do(call, "complete what somebody types")
        elif raw.get("type") == _BUTTON and lets_be(raw):
            self._beside.do(self._call_back(raw, {"type": _IN_PLACE, "data": {"components": []}}), "take buttons away")
        elif raw.get("type") in _COMMANDS:
            self._acknowledge(raw)

    def _acknowledge(self, raw: Mapping[str, Any]) -> None:
        anew = {"type": _DEFERRED, "data": {"flags": _EPHEMERAL}}
        in_place = raw.get("type") == _BUTTON and is_theirs(raw)
        call = self._call_back(raw, {"type": _DEFERRED_IN_PLACE} if in_place else anew)
        acknowledged = self._beside.do(call, "acknowledge a command")
        self._asked[raw["id"]] = _Asked(str(raw.get("application_id")), raw["token"], acknowledged)
        while len(self._asked) > OPEN:
            self._asked.popitem(last=False)

    async def _call_back(self, raw: Mapping[str, Any], body: dict[str, Any]) -> None:
        path = "/interactions/{webhook_id}/{webhook_token}/callback"
        await self._api.call("POST", path, body, webhook_id=raw["id"], webhook_token=raw["token"])

    async def answer(self, command: Command, answer: Answer) -> None:
        """Answer whoever gave a command. What goes into a file is a file."""
        asked = self._asked.pop(command.id, None)
        if asked is None:
            log.info("there is nobody any more to answer /%s to", command.name)
            return
        file = handed(command.name, answer, LONG)
        upload = Upload(file.name, file.content, file.media_type) if file else None
        text = answer.text if file is None or answer.data is not None else "That is long: it is all in the file."
        if upload and len(upload.content) > LARGEST:
            text, upload = TOO_LARGE, None
        call = self._respond(asked, pieces(text), upload, rows(answer.choices))
        await self._beside.briefly(call, f"answer /{command.name}")

    async def _respond(
        self, asked: _Asked, texts: list[str], upload: Upload | None, below: list[dict[str, Any]]
    ) -> None:
        await asyncio.wait({asked.acknowledged})
        hook = "/webhooks/{webhook_id}/{webhook_token}"
        ids = {"webhook_id": asked.application, "webhook_token": asked.token}
        for number, text in enumerate(texts):
            body = {
                "content": text,
                "allowed_mentions": NOBODY,
                "components": below if number == len(texts) - 1 else [],
            }
            if number == 0:  # takes the place of the acknowledgement
                await self._api.call("PATCH", f"{hook}/messages/@original", body, upload, **ids)
            else:
                await self._api.call("POST", hook, {**body, "flags": _EPHEMERAL}, **ids)

    async def register(self) -> bool:
        """Have our commands in Discord's menu. True if they were not there as they are now."""
        await self._api.open()
        application = str(self._api.client.application_id)
        path, wanted = "/applications/{application_id}/commands", menu(self._hides)
        there = await patiently(lambda: self._api.call("GET", path, application_id=application))
        if is_there(wanted, there):
            return False
        await patiently(lambda: self._api.call("PUT", path, wanted, application_id=application))
        return True
