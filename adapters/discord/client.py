"""Discord as a platform: what happens there as events, and replies as messages that grow by edits.

`events.py` reads, `text.py` writes, `api.py` connects, `growing.py` streams; here they are joined. What people wait
for (an acknowledgement within three seconds, a typing sign) is sent beside the events, which nothing holds up.
"""

import asyncio
import base64
import binascii
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from adapters.base import Below, Limits, nothing
from adapters.discord import files
from adapters.discord.api import Api, Dispatch, Refused, patiently
from adapters.discord.beside import BRIEFLY, Beside
from adapters.discord.events import KINDS, manages, to_events
from adapters.discord.growing import PACE, Growing, channel_of
from adapters.discord.interactions import Interactions
from adapters.discord.telling import Telling
from adapters.discord.text import LENGTH, spelled
from adapters.discord.typing import Typing
from adapters.discord.world import Known
from adapters.reading import Asking, Reading
from core.commands.answers import Answer
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import InputError, LimenError
from core.events import AnyEvent, Attachment, Command, Deletion, Message, Person, Place
from core.files import File
from core.jobs import Done, Failed

log = logging.getLogger("limen.discord")

Heard = tuple[str, dict[str, Any], str]  # kind, payload, stamp

GRACE = 5.0  # seconds that a shutdown waits for what is being sent
REPLIES = 2_000  # that we remember while they are open
MISSED = 50  # messages of a channel that we catch up with
LOST = 50  # channels that we catch up with, of those in which there was no room for what was said


class Discord:
    """The adapter, for one bot account. `account` is sure once `login` has been awaited.

    `api_base` and `gateway_url` name another Discord, such as a test's; `shards` see `Api`; `cards` are the names that
    `/switch` offers. Whoever has one of `operator_roles` (ids) is an operator; `hides`: what only operators may do is
    shown to nobody else; `below`: the buttons under a reply. `listen` ends with `stop`; replies may still be sent
    then, until `close`.
    """

    limits = Limits(length=LENGTH, unit="utf-16", edits=True, reactions=True, rate=1 / PACE)

    def __init__(
        self,
        token: str,
        *,
        api_base: str = "",
        gateway_url: str = "",
        shards: tuple[int, int, int] | None = None,
        cards: Callable[[], Sequence[str]] = tuple,
        operator_roles: Collection[str] = (),
        hides: bool = False,
        below: Below = nothing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account_of(token)
        self._operator_roles, self._below = operator_roles, below
        self._clock = clock
        self._api = Api(token, self._take, api_base, gateway_url, shards)
        self._beside = Beside()
        self._world = Known(self._api, self.account)
        self._typing = Typing(self._api)
        self._telling = Telling(self._api, self._beside)
        self._interactions = Interactions(self._api, self._beside, cards, hides)
        self._reading: Reading[Heard] = Reading(self._events, self._lacks, _channel, self._full)
        self._session, self._shards = "", set[tuple[int, int]]()
        self._lost: dict[str, tuple[str, str]] = {}  # channel → before the first message that was lost, the server
        self._replies: OrderedDict[str, Growing] = OrderedDict()
        self._taken_back: OrderedDict[str, None] = OrderedDict()
        self._complaints: OrderedDict[tuple[Place, str], None] = OrderedDict()

    async def login(self) -> str:
        """Make sure of the token, and of who we are: the account. Raises ConfigError."""
        user = await self._api.open()
        self.account = self._world.account = f"discord:{user.id}"
        return self.account

    # What happens there.

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """Events, in order, until `stop`. Raises ConfigError where only the operator can help."""
        await self.login()
        connection = asyncio.create_task(self._connected())
        try:
            async with aclosing(self._reading.events()) as events:
                async for event in events:
                    yield event
            if connection.done():
                await connection
        finally:
            await self._api.leave()
            connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)
            await self._quiet()

    def stop(self) -> None:
        """`listen` ends once it has told what was heard until now."""
        self._reading.end()

    async def close(self) -> None:
        """Finish what is being sent, and disconnect."""
        self._typing.stop()
        for task in await self._quiet():
            task.cancel()
        await self._api.close()

    async def _connected(self) -> None:
        """For as long as the gateway is open. What ends it ends `listen`."""
        try:
            await self._api.listen()
        finally:
            self.stop()

    async def _quiet(self) -> set[asyncio.Task[None]]:
        """What is being sent is sent; but nobody waits forever for it. What is not sent then."""
        under_way = [growing.task for growing in self._replies.values()]
        tasks = {*self._beside.tasks, *(task for task in under_way if task)}
        return (await asyncio.wait(tasks, timeout=GRACE))[1] if tasks else set()

    def _take(self, dispatch: Dispatch) -> None:
        """From the gateway, at once: only what may become an event is kept."""
        if dispatch.t == "READY":
            self._ready(msgspec.json.decode(dispatch.d, type=_Ready))
        if dispatch.t not in KINDS:
            return
        if dispatch.t == "GUILD_CREATE" and not msgspec.json.decode(dispatch.d, type=_Guild).is_new:
            return
        raw = msgspec.json.decode(dispatch.d)
        if not isinstance(raw, dict):
            return
        taken = self._reading.put((dispatch.t, raw, f"{self._session}:{dispatch.s}"))
        if taken and dispatch.t == "INTERACTION_CREATE":  # else Discord says that we do not respond: so it is
            self._interactions.meet(raw)
        if not taken and dispatch.t == "MESSAGE_CREATE" and len(self._lost) < LOST:
            with suppress(KeyError, TypeError, ValueError):  # it cannot be read, either
                self._lost.setdefault(raw["channel_id"], (str(int(raw["id"]) - 1), raw.get("guild_id") or ""))

    def _full(self, lost: int) -> None:
        """More happens than we can look at, as when Redis is away for long. Discord brings nothing again; but what was
        said can be asked for."""
        if lost:
            log.warning("%s: events are heard again; %d were lost", self.account, lost)
            where, self._lost = [*self._lost.items()], {}
            self._beside.do(self._catch_up(where), "catch up with what was said")
        else:
            log.warning("%s: too many events wait to be heard, and what comes now is lost", self.account)

    def _ready(self, ready: "_Ready") -> None:
        """A session begins. If it is not the first of its shard, the one before could not be resumed: catch up."""
        if ready.shard in self._shards:
            self._beside.do(self._catch_up(self._world.lately()), "catch up with what was said")
        self._shards.add(ready.shard)
        self._session = ready.session_id

    async def _catch_up(self, where: Sequence[tuple[str, tuple[str, str]]]) -> None:
        """Hear what was said in these channels, after a message of that server. Hearing it twice changes nothing."""
        for channel, (last, guild) in where:
            for raw in await self._missed(channel, last):
                place = {"guild_id": guild} if guild else {}
                self._reading.put(("MESSAGE_CREATE", {**raw, **place}, "missed"))

    async def _missed(self, channel: str, last: str) -> list[dict[str, Any]]:
        """What was said in a channel after a message, oldest first."""
        path, query = "/channels/{channel_id}/messages", {"after": last, "limit": MISSED}
        try:
            missed = await patiently(lambda: self._api.call("GET", path, None, None, query, channel_id=channel))
        except Refused as error:
            log.info("could not catch up with %s: %s", channel, error)
            return []
        return sorted(missed, key=lambda raw: int(raw["id"]))

    def _lacks(self, heard: Heard) -> Asking | None:
        """What has to be asked first."""
        try:
            return self._world.meet(*heard[:2])
        except (KeyError, TypeError, AttributeError, ValueError):
            return None  # it cannot be read, either

    def _events(self, heard: Heard) -> list[AnyEvent]:
        kind, raw, stamp = heard
        try:
            events = to_events(kind, raw, self._world, stamp=stamp, now=self._clock())
            return [self._ranked(event, raw) for event in events if not self._is_our_doing(event)]
        except (InputError, KeyError, TypeError, AttributeError, ValueError) as error:
            log.warning("an event of Discord's was passed over: %s", error)
        return []

    def _ranked(self, event: AnyEvent, raw: dict[str, Any]) -> AnyEvent:
        """With what roles say of its author, which roles the settings name."""
        if isinstance(event, Command) and self._operator_roles and manages(raw, self._operator_roles):
            return msgspec.structs.replace(event, operator=True)
        return event

    def _is_our_doing(self, event: AnyEvent) -> bool:
        """We have shortened a reply: that says nothing about it, as it would if a person had taken it away."""
        return isinstance(event, Deletion) and event.message_id in self._taken_back

    def done(self, event: AnyEvent) -> None:
        """Discord wants to know nothing of it, and brings nothing again."""

    async def ranked(self, command: Command) -> Command:
        """Discord has said it with the command."""
        return command

    async def answered(self, command: Command, answer: Answer) -> None:
        """Show an answer to the one who asked, and only there."""
        if answer.job:
            self._typing.begin(channel_of(command.place), answer.job.job)
        text = answer.text or ("Another reply is on its way." if answer.job else "Done.")
        await self._interactions.answer(command, msgspec.structs.replace(answer, text=text))

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """A reply is due: we are seen typing. Or there is a note."""
        if outcome.act in (Act.QUEUED, Act.MERGED):
            self._typing.begin(channel_of(event.place), outcome.job)
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED) and isinstance(event, Message):
            await self._telling.note(event, outcome.note)

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """It could not be taken: say why, where somebody waits for an answer."""
        said = f"{error}\n-# {error.hint}" if error.hint else str(error)
        if isinstance(event, Command):
            await self._interactions.answer(event, Answer(text=said, error=True))
        elif isinstance(event, Message):
            await self._telling.note(event, said)
        else:
            log.warning("an event of Discord's was not taken: %s", error)

    # What limen says.

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """A reply grows: noted at once, shown in Discord's pace."""
        growing = self._growing(sending)
        growing.grow(text, sending)
        await growing.begun(BRIEFLY)

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply: shown, or not worth showing, when this returns."""
        self._typing.end(channel_of(done.place), done.job)
        text = done.shown
        if done.act == "react" and done.answers and not await self._react(done):
            text = done.emoji
        await self._growing(sending).whole(text, sending)
        self._replies.pop(sending.reply_id, None)
        if sending.ids and (choices := self._below(done)):
            await self._telling.button(done.place, sending.ids[max(sending.ids)][-1], choices)
        if done.act == "say" and done.emoji and done.answers:
            await self._beside.briefly(self._react(done), "react to what was answered")

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There is no reply, or no more of it. Who stopped it knows that."""
        self._typing.end(channel_of(failed.place), failed.job)
        growing = self._growing(sending)
        if not failed.cancelled:
            note = f"-# {'The rest is missing' if growing.text else 'There is no reply'}: {failed.reason}"
            await growing.whole(f"{growing.text}\n{note}".lstrip("\n"), sending)
        elif growing.text:
            await growing.whole(growing.text, sending)
        self._replies.pop(sending.reply_id, None)

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """Pictures are shown, texts can be opened."""
        return await self._telling.hand(place, file, note, answers)

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """In a channel all can read it."""
        await self._telling.ask(done, question)

    def _growing(self, sending: Sending) -> Growing:
        growing = self._replies.get(sending.reply_id)
        if growing is None:
            growing = self._replies[sending.reply_id] = Growing(self._api, sending, self._take_back, self._complain)
            while len(self._replies) > REPLIES:
                self._replies.popitem(last=False)
        return growing

    def _complain(self, place: Place, why: str) -> None:
        """Once for each place and reason."""
        if (place, why) not in self._complaints:
            log.warning("a reply cannot be shown in %s: %s", place, why)
        self._complaints[place, why] = None
        while len(self._complaints) > REPLIES:
            self._complaints.popitem(last=False)

    def _take_back(self, message: str) -> None:
        self._taken_back[message] = None
        while len(self._taken_back) > REPLIES:
            self._taken_back.popitem(last=False)

    async def _react(self, done: Done) -> bool:
        """An emoji on the message answered. False if Discord would not have it."""
        path = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me"
        ids = {"channel_id": channel_of(done.place), "message_id": done.answers[-1], "emoji": spelled(done.emoji)}
        try:
            await patiently(lambda: self._api.call("PUT", path, **ids))
        except Refused as error:
            log.info("no reaction in %s: %s", done.place, error)
            return False
        return True

    async def fetch(self, attachment: Attachment, most: int = files.MOST) -> bytes:
        """What is in a file that somebody attached. Raises InputError if it is longer, gone, or not Discord's."""
        return await files.fetch(self._api, attachment, most)

    async def register(self) -> bool:
        """Have our commands in Discord's menu. True if they were not there as they are now."""
        return await self._interactions.register()


class _Ready(msgspec.Struct):
    session_id: str = ""
    shard: tuple[int, int] = (0, 1)


class _Guild(msgspec.Struct):
    unavailable: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_new(self) -> bool:
        """The others were there before us: at a start there are many of them, and they are large."""
        return self.unavailable is msgspec.UNSET


def _channel(heard: Heard) -> str:
    """Where it happened, as far as it says so."""
    return str(heard[1].get("channel_id") or "")


def account_of(token: str) -> str:
    """The account that a token is for: it begins with our user id. Empty if it does not; then `login` tells."""
    head = token.strip().split(".")[0]
    with suppress(binascii.Error, ValueError):
        user = base64.b64decode(head + "=" * (-len(head) % 4), validate=True).decode("ascii")
        if user.isdigit():
            return f"discord:{user}"
    return "discord:"
