"""What one person is told beside replies: answers, notes, questions, files, and the page of our app.

Each goes to them alone where Slack can do that. Should it be busy, nobody else waits for it.
"""

from collections.abc import Sequence

from adapters.slack.buttons import blocks, is_theirs, pressed
from adapters.slack.manifest import SLASH
from adapters.slack.recent import Recent
from adapters.slack.text import Json, message, page, pieces, spelled
from adapters.slack.web import Busy, Call, Refused, Unsure, Web
from adapters.slack.work import Work
from core.commands.answers import Answer, Choice
from core.errors import LimenError, TooLong
from core.events import AnyEvent, Command, Kind, Person, Place
from core.files import File

LARGEST = 10_000_000  # bytes of a file that is given


class Telling:
    """Of one bot account. Commands are spelled as Slack wants them here: `slash`."""

    def __init__(self, web: Web, work: Work) -> None:
        self._web, self._work = web, work
        self._urls: Recent[str, tuple[str, bool]] = Recent(1_000)  # where an answer goes; in the question's place?
        self._pages: Recent[str, bool] = Recent(1_000)  # answers that go on somebody's page of us
        self.slash = SLASH

    def note(self, command: Command, body: Json) -> None:
        """Where its answer goes. A slash command may be called otherwise than ours: another app may have that name."""
        if "command" in body:
            self.slash = body["command"]
            self._urls.keep(command.id, (body.get("response_url") or "", False))
        elif pressed(body):
            self._urls.keep(command.id, (body.get("response_url") or "", is_theirs(body)))
        elif body["event"]["type"] == "app_home_opened":
            self._pages.keep(command.id, True)

    def is_page(self, command: Command) -> bool:
        """Does the answer go on somebody's page of us?"""
        return command.id in self._pages

    async def whisper(self, event: AnyEvent, text: str, choices: Sequence[Choice] = ()) -> None:
        """Something that only this person sees."""
        says = pieces(spelled(text, self.slash))
        for number, piece in enumerate(says, 1):
            body = message(piece)
            body["blocks"] += blocks(choices) if number == len(says) else []
            try:
                await self._whispered(event, body, patient=False)
            except Busy:
                self._work.beside(self._whispered_late(event, body))
            except (Refused, Unsure) as error:
                self._unheard(event, error)

    async def _whispered_late(self, event: AnyEvent, body: Json) -> None:
        try:
            await self._whispered(event, body, patient=True)
        except LimenError as error:
            self._unheard(event, error)

    async def _whispered(self, event: AnyEvent, body: Json, patient: bool) -> None:
        """To the address that came with what they did, which is good for half an hour; else as a message."""
        url, in_place = self._urls.get(event.id, ("", False))
        if url and await self._web.respond(url, {**body, "replace_original": in_place}):
            self._urls.keep(event.id, (url, False))  # what follows stands below
            return
        place = event.place
        await self._web.call(
            self._web.client.chat_postEphemeral, patient, repeatable=False, channel=place.channel,
            user=native(event.author.id), thread_ts=place.thread or None, **body,
        )  # fmt: skip

    def _unheard(self, event: AnyEvent, error: LimenError) -> None:
        self._work.complain(f"somebody there could not be told something. {error}", event.place.channel)

    async def publish(self, command: Command, text: str) -> None:
        """Somebody's page of us: who we are, and what can be asked."""
        view = {"type": "home", "blocks": page(text, self.slash)}
        try:
            await self._web.call(
                self._web.client.views_publish, patient=False, user_id=native(command.author.id), view=view
            )
        except (Busy, Refused, Unsure) as error:
            self._work.complain(f"the App Home could not be shown. {error}")

    async def ask(self, place: Place, person: Person, question: Answer) -> None:
        """In a channel only they see it. Raises Busy, Refused or Unsure."""
        body = message(pieces(spelled(question.text, self.slash))[0])
        body["blocks"] += blocks(question.choices)
        body |= {"channel": place.channel, "thread_ts": place.thread or None}
        client = self._web.client
        method: Call = client.chat_postMessage
        if place.kind != Kind.DM:
            method, body = client.chat_postEphemeral, {**body, "user": native(person.id)}
        await self._web.call(method, patient=False, repeatable=False, **body)

    async def hand(self, place: Place, file: File, note: str) -> None:
        """To everybody there; Slack shows pictures, and the beginning of texts."""
        if len(file.content) > LARGEST:
            raise TooLong(f"{file.name} is too long: {LARGEST:,} bytes are enough for a chat")
        await self._web.call(
            self._web.client.files_upload_v2, repeatable=False, channel=place.channel, filename=file.name,
            content=file.content, initial_comment=pieces(note)[0], thread_ts=place.thread or None,
        )  # fmt: skip

    def give(self, command: Command, file: File, what: str) -> None:
        """A file to whoever asked, in a DM."""
        self._work.beside(self._given(command, file, what))

    async def _given(self, command: Command, file: File, what: str) -> None:
        try:
            opened = await self._web.call(self._web.client.conversations_open, users=native(command.author.id))
            alone = Place("slack", command.place.workspace, opened["channel"]["id"], kind=Kind.DM)
            await self.hand(alone, file, f"{what}.")
        except LimenError as error:
            await self.whisper(command, f"The file could not be sent. {error} {error.hint}".rstrip())
        else:
            await self.whisper(command, f"{what} is in a file that I sent to you alone.")


def native(person: str) -> str:
    """Slack's id of somebody."""
    return person.rsplit(":", 1)[-1]
