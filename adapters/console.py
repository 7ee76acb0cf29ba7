"""The terminal as a platform: the smallest complete adapter, and the one to copy. One person, one place, no network.

`to_event` is pure; `Console` is the adapter. What it looks like is the business of a `Screen` in `adapters/terminal/`:
`plain.py` for pipes, `live.py` for people. A reply's message id is its reply id: showing it twice changes nothing.
"""

import asyncio
import difflib
import re
import time
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec

from adapters.base import Limits
from adapters.emoji import canonical
from adapters.terminal.due import Due
from adapters.terminal.files import export, kept, typed
from adapters.terminal.screen import Screen, Status, Who
from adapters.terminal.wrap import one_line
from core.commands.desk import COMMANDS, Answer
from core.delivery import Sending
from core.engine import Act, Outcome, new_id
from core.errors import InputError, LimenError
from core.events import Addressed, AnyEvent, Attachment, Command, Kind, Message, Person, Place, Reaction, quote
from core.files import File
from core.jobs import Done, Failed
from core.scopes import CONSOLE, OWNER
from core.speakers import LONGEST
from personas.card import Card

ACCOUNT = "console:local"
PERSON = OWNER
PLACE = Place(CONSOLE, "local", "me", kind=Kind.DM)
QUIT = ("quit", "exit", "q", "bye")
HERE = """
+👍          react to the last reply (+:thumbsup: does it too); -👍 takes it back
//text       say a line that begins with /
/quit        leave; what was said is kept"""

_COMMAND = re.compile(r"/([a-z][a-z_-]*)(?:[^\S\n]+(.*))?", re.IGNORECASE)
_REACTION = re.compile(r"([+-])(\S+)(?:\s+(\d+))?")


def somebody(name: str = "", login: str = "you") -> Person:
    """Who sits at the terminal: its owner, or somebody else by that name, whom the persona gets to know apart. Raises
    InputError for what is no name."""
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    if len(shown) > LONGEST or any(unicodedata.category(letter).startswith("C") for letter in shown):
        raise InputError(f"nobody is called {shown[:LONGEST]!r}", f"a name has at most {LONGEST} letters")
    who = "-".join(shown.casefold().split())
    if who in ("", "me", "-".join(login.casefold().split())):
        return Person(PERSON, login)
    return Person(f"{ACCOUNT}:{quote(who)}", shown)


def to_event(line: str, *, event_id: str, now: float, person: Person) -> Message | Command | None:
    """A typed line as an event; None if there is nothing in it. Raises InputError for an emoji that is none."""
    if not line.strip():
        return None
    if found := _COMMAND.fullmatch(line.rstrip()):
        return _command(found[1].lower(), (found[2] or "").strip(), event_id, now, person)
    if (found := _REACTION.fullmatch(line.rstrip())) and (emoji := _emoji(found[1], found[2])):
        name = "react" if found[1] == "+" else "unreact"
        return _command(name, f"{emoji} {found[3] or ''}".strip(), event_id, now, person)
    text = line.strip("\n")
    text = text[1:] if text.startswith(("//", " /", " +", " -")) else text
    return Message(
        id=event_id, account=ACCOUNT, place=PLACE, author=person, time=now, text=text, addressed=Addressed.DM
    )


def _command(name: str, args: str, event_id: str, now: float, person: Person) -> Command:
    if name in ("react", "unreact") and args and not args.split()[0].isdecimal():
        emoji, *rest = args.split()
        args = " ".join([canonical(emoji), *rest])
    return Command(id=event_id, account=ACCOUNT, place=PLACE, author=person, time=now, name=name, args=args)


def _emoji(sign: str, spelling: str) -> str:
    """What `+👍`, `+:thumbsup:` or `+1` puts on a reply; empty where it is talk after all, such as `+5 points`."""
    if spelling.startswith(":") and spelling.endswith(":") and len(spelling) > 2:
        return canonical(spelling)
    if sign + spelling == "+1":
        return canonical("+1")
    try:
        return "" if spelling.isascii() else canonical(spelling)
    except InputError:
        return ""


class Console:
    """The adapter. `one_by_one`: the next line waits until every reply has come (pipes).

    `cards` gives a card by name, `kept` the number of lines that a card remembers of this person.
    """

    account = ACCOUNT
    limits = Limits(edits=True, reactions=True)

    def __init__(
        self,
        screen: Screen,
        person: Person,
        playing: str,
        cards: Callable[[str], Card],
        kept: Callable[[str], Awaitable[int]],
        home: Path,
        one_by_one: bool = False,
    ) -> None:
        self.screen, self.person, self.home = screen, person, home
        self._cards, self._kept, self._one_by_one = cards, kept, one_by_one
        self._known: dict[str, Who] = {}
        self.status = Status(who=self.who(playing))
        self.due = Due()
        self._shown: set[str] = set()
        self._growing = ""  # the reply that is being shown
        self._away = False
        self._taken = asyncio.Event()

    def who(self, card: str) -> Who:
        """A card as it is shown; one that played once stays known, whatever becomes of its file."""
        if card not in self._known:
            self._known[card] = Who(card, one_line(self._cards(card).title))
        return self._known[card]

    # What the person does.

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """Lines as events, until the input ends or the person leaves."""
        async with aclosing(self.screen.lines()) as lines:
            async for line in lines:
                event = await self._event(line)
                if isinstance(event, Command) and event.name in QUIT:
                    return
                if event:
                    self._taken.clear()
                    yield event
                if event and self._one_by_one:
                    await self._taken.wait()  # only now is it known whether a reply is due
                    await self.due.none()

    def done(self, event: AnyEvent) -> None:
        """Nobody else waits for that."""
        self._taken.set()

    async def _event(self, line: str) -> AnyEvent | None:
        try:
            event = to_event(line, event_id=new_id(), now=time.time(), person=self.person)
            return self._on_the_growing(event) if isinstance(event, Command) else event
        except InputError as error:
            await self.screen.complain(explained(error))
            return None

    def _on_the_growing(self, command: Command) -> Command | Reaction:
        """An emoji that comes while a reply grows is for that one: it has its id, and lands when it is whole."""
        if command.name not in ("react", "unreact") or not self._growing or len(command.args.split()) != 1:
            return command
        return Reaction(
            id=command.id, account=ACCOUNT, place=PLACE, author=self.person, time=command.time,
            message_id=self._growing, emoji=command.args, removed=command.name == "unreact",
        )  # fmt: skip

    async def fetch(self, attachment: Attachment, most: int) -> bytes:
        """Nobody attaches anything to a line."""
        raise InputError(f"{attachment.name} is not here")

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """A reply is due now, or there is a note."""
        if isinstance(event, Reaction):
            verb = "taken back from" if event.removed else "on"
            await self.screen.answer(f"{event.emoji} {verb} what {self.status.who.title} is saying")
        elif outcome.act in (Act.QUEUED, Act.MERGED, Act.SEEN):
            self._expect(outcome)
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED):
            await self.screen.complain(outcome.note)
            self._give_back(event)

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """It was not sent: say why, and give it back."""
        await self.screen.complain(explained(error))
        self._give_back(event)

    async def ranked(self, command: Command) -> Command:
        """Whoever sits here is alone with it."""
        return command

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """It lies in the home from then on."""
        path = await asyncio.to_thread(kept, file, self.home)
        await self.screen.aside(f"{note} It is in {path}")
        return ""

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """Words alone: what can be chosen is in them."""
        await self.screen.answer(question.text)

    async def answered(self, command: Command, answer: Answer) -> None:
        """Show an answer; what goes into a file is written."""
        if answer.job:
            self._expect(answer.job)
        elif answer.data is not None:
            path = await asyncio.to_thread(export, answer.data, answer.text, self.home)
            await self.screen.answer(f"All that is kept of you is in {path}")
        elif answer.error:
            await self.screen.complain(answer.text + self._or(command.name))
        elif answer.text:
            await self.screen.answer(answer.text + (HERE if command.name == "help" else ""))
        if command.name == "forget" and "yes" in command.args.lower().split() and not answer.error:
            typed(self.home).unlink(missing_ok=True)
            self.screen.forget()
        if answer.switched:
            await self.welcome(answer.switched)

    def _or(self, name: str) -> str:
        """What an unknown command may have been meant as."""
        if name in COMMANDS:
            return ""
        leave = "Did you mean /quit? " if difflib.get_close_matches(name, QUIT[:2], 1, 0.7) else ""
        return f"\n{leave}To say it to {self.status.who.title}, type //{name}"

    def _give_back(self, event: AnyEvent) -> None:
        if isinstance(event, Message):
            self.screen.give_back(event.text)

    # What limen does.

    async def welcome(self, card: str) -> None:
        """The first words of a conversation: the card's greeting to a newcomer, a line to a friend."""
        who = self.who(card)
        self.status = msgspec.structs.replace(self.status, who=who, lora="base")
        count, greeting = await self._kept(card), self._cards(card).greeting
        if count:
            await self.screen.aside(f"{who.title} remembers {count} message{'s' if count > 1 else ''}. Welcome back.")
        elif greeting:
            await self.screen.reply(who, "", greeting)
        self._show()

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """A reply grows. From its first words on, it can be reacted to."""
        await _mark(sending)
        if sending.reply_id not in self._shown:
            self._growing = sending.reply_id
            await self.screen.grow(self._whose(sending.reply_id), sending.reply_id, text, attempt)

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply."""
        await _mark(sending)
        if done.reply_id not in self._shown:
            self._ended(done.reply_id)
            await self._say(done, self.who(done.persona.card))
        self._settled(done.job)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be no reply."""
        if failed.reply_id not in self._shown:
            self._ended(failed.reply_id)
            await self._say_no(failed, self._whose(failed.reply_id))
        self._settled(failed.job)

    async def withdrawn(self, job: str) -> None:
        """A reply that was due will never come: what it was to answer has been taken back."""
        if due := self.due.of(job):
            reply_id = self._growing or due[0]
            self._ended(reply_id)
            await self.screen.reply(due[1], reply_id, "", "withdrawn")
            self._settled(job)

    async def connected(self, is_up: bool) -> None:
        """Redis is there, or not: said once each time it changes."""
        if self._away == is_up:
            self._away = not is_up
            await self.screen.aside("Redis is back." if is_up else "Redis is coming back… what you said is not lost.")

    def show(self, status: Status) -> None:
        """This is how it stands now."""
        self.status = status
        self._show()

    async def _say(self, done: Done, who: Who) -> None:
        if done.act == "react":
            await self.screen.answer(f"{who.title} reacts {done.emoji}")
        elif done.act == "silent" or not done.text.strip():
            await self.screen.reply(who, done.reply_id, "", "stopped" if done.cancelled else "says nothing")
        else:
            await self.screen.reply(who, done.reply_id, done.shown, "stopped" if done.cancelled else "")
            if done.emoji:
                await self.screen.aside(f"{who.title} reacts {done.emoji}")

    async def _say_no(self, failed: Failed, who: Who) -> None:
        if failed.cancelled:
            await self.screen.reply(who, failed.reply_id, "", "stopped")
            return
        await self.screen.reply(who, failed.reply_id, "", "could not answer")
        again = "\n`limen deadletters` lists it, and can try it again." if failed.dead else ""
        await self.screen.complain(f"There is no reply: {failed.reason}{again}")

    def _expect(self, outcome: Outcome) -> None:
        gone = outcome.act == Act.SEEN and outcome.place < 0
        if outcome.job and outcome.persona and not gone:
            self.due.expect(outcome.job, outcome.reply_id, self.who(outcome.persona.card))
            if self.due.first == outcome.job:
                self.status = msgspec.structs.replace(self.status, place=outcome.place)
            self._show()

    def _ended(self, reply_id: str) -> None:
        self._shown.add(reply_id)
        self._growing = "" if self._growing == reply_id else self._growing

    def _settled(self, job: str) -> None:
        self.due.settle(job)
        self._show()

    def _show(self) -> None:
        self.screen.due(len(self.due), self.status)

    def _whose(self, reply_id: str) -> Who:
        return self.due.whose(reply_id) or self.status.who


async def _mark(sending: Sending) -> None:
    if 0 not in sending.ids:
        await sending.begin(0)
        await sending.sent(0, (sending.reply_id,))


def explained(error: LimenError) -> str:
    """An error in two lines at most: what happened, what to do."""
    return f"{error}\n{error.hint}" if error.hint else str(error)
