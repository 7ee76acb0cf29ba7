"""What is said in a channel beside replies: a note, a question, a file, buttons below a message of ours."""

from collections.abc import Sequence
from typing import Any

from adapters.discord.api import Api, Upload, patiently
from adapters.discord.beside import Beside
from adapters.discord.buttons import rows
from adapters.discord.growing import NOBODY, channel_of
from adapters.discord.interactions import LARGEST
from adapters.discord.text import pieces
from core.commands.answers import Answer, Choice
from core.errors import TooLong
from core.events import Kind, Message, Place
from core.files import File
from core.jobs import Done

_MESSAGES, _MESSAGE = "/channels/{channel_id}/messages", "/channels/{channel_id}/messages/{message_id}"


class Telling:
    """Of one bot account."""

    def __init__(self, api: Api, beside: Beside) -> None:
        self._api, self._beside = api, beside
        self._noting: set[Place] = set()

    async def note(self, event: Message, text: str) -> None:
        """A line of our own, as a reply. One at a time in each channel: whoever floods us gets no flood back."""
        if event.place not in self._noting:
            self._noting.add(event.place)
            await self._beside.briefly(self._noted(event, text), "say that something went wrong")

    async def _noted(self, event: Message, text: str) -> None:
        try:
            await self._say(event.place, text, event.id)
        finally:
            self._noting.discard(event.place)

    async def ask(self, done: Done, question: Answer) -> None:
        """In a channel nothing can be said to one person alone: what is asked there all can read, in small letters.

        Raises Refused or Unreachable.
        """
        answers, small = done.answers[-1] if done.answers else "", "" if done.place.kind == Kind.DM else "-# "
        text = "\n".join(f"{small}{line}" if line else "" for line in question.text.split("\n"))
        await self._say(done.place, text, answers, components=rows(question.choices))

    async def button(self, place: Place, message: str, choices: Sequence[Choice]) -> None:
        """Buttons below a message of ours."""
        ids = {"channel_id": channel_of(place), "message_id": message}
        call = self._api.call("PATCH", _MESSAGE, {"components": rows(choices)}, **ids)
        await self._beside.briefly(call, "put buttons below a reply")

    async def hand(self, place: Place, file: File, note: str, answers: str) -> str:
        """Pictures are shown, texts can be opened. The id of the message. Raises TooLong or Refused."""
        if len(file.content) > LARGEST:
            raise TooLong(f"{file.name} is too long: Discord takes {LARGEST:,} bytes")
        upload = Upload(file.name, file.content, file.media_type)
        sent = await patiently(lambda: self._say(place, note, answers, upload))
        return str(sent["id"])

    async def _say(self, place: Place, text: str, answers: str, upload: Upload | None = None, **more: Any) -> Any:
        body = {"content": pieces(text)[0], "allowed_mentions": NOBODY, **_reply_to(place, answers), **more}
        return await self._api.call("POST", _MESSAGES, body, upload, channel_id=channel_of(place))


def _reply_to(place: Place, message: str) -> dict[str, Any]:
    """In a room with others it is seen to whom we speak."""
    if place.kind == Kind.DM or not message:
        return {}
    return {"message_reference": {"message_id": message, "fail_if_not_exists": False}}
