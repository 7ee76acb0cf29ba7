"""What people can ask of the bot itself, the same on every platform: words in, an answer out. Knows no platform.

Each command is a function with a one-line docstring, which is its help; adapters register and show them natively.
A platform may tell of a command twice, the second time long after a crash of ours. What only looks is then looked up
again, for the first answer may have been lost; what changed something is done once.
"""

import difflib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from core import cards
from core.commands import remembering, tuning
from core.commands.answers import Answer as Answer
from core.commands.answers import Choice
from core.commands.sources import sources
from core.consent import NO, STOP, YES
from core.engine import Act, Engine, tidy
from core.errors import StoreError, UserError
from core.events import Command, Line, PersonaKey
from core.feedback import Fact, standing
from core.group import roles
from core.group.manners import hears
from core.growth.growing import Growth
from core.growth.reasons import Reasons
from core.privacy import WORDING, Privacy
from core.store import keys
from core.store.client import patiently
from core.store.consents import Purpose
from core.store.ledger import message_key
from core.store.loras import Loras
from core.store.queue import Offer
from core.text import clean, shorten
from personas.card import Card

log = logging.getLogger("limen.commands")
_REPLY = re.compile(r"[0-9a-f]{16,40}")  # the id of one

EVERYWHERE = ("export", "forget", "help", "privacy", "stop", "unreact")  # also for those whom the settings deny
RESTING = "I must rest a little. Please ask me again later."
MOST_CHOICES = 24
NOTED = 15.0  # seconds that we try to note that a command was carried out


class Desk:
    """Answers commands. `folders` are where cards lie."""

    def __init__(
        self, engine: Engine, privacy: Privacy, folders: Sequence[Path], growth: Growth, loras: Loras
    ) -> None:  # fmt: skip
        self.engine, self.privacy, self.folders, self.growth, self.loras = engine, privacy, folders, growth, loras
        self.reasons = Reasons(growth, engine.ledger, engine.conversations)

    async def answer(self, command: Command) -> Answer:
        """Carry a command out. A person's mistake comes back as an answer, never as an exception.

        Bots that may not talk to us are told nothing, not even that: two bots could go on about it for ever. And no bot
        ends what people talk about.
        """
        if command.author.is_bot and (command.name == "stop" or not self.engine.rules.bots):
            return Answer()
        act = COMMANDS.get(command.name)
        command = replace(command, args=clean(command.args), author=tidy(command.author))
        if act is None:
            hint = near(command.name)
            return Answer(text=f"There is no /{command.name}{hint}. /help lists what there is.", error=True)
        if command.name not in EVERYWHERE and not hears(command.place, command.author, self.engine.rules):
            return Answer(text="I am not meant to speak here, or with you. My operator decides that.", error=True)
        if await self.engine.queue.seen(_seen(command)):
            return Answer(text="That is done already.")
        if roles.asks_for_role(command) and (why := await self._refusal(command)):
            return Answer(text=why, error=True)
        try:
            answer = await act(self, command)
        except UserError as error:
            return Answer(text=f"{error}. {error.hint}".rstrip(". ") + ".", error=True)
        if answer.changed:
            await self._note(command)
        return answer

    async def _refusal(self, command: Command) -> str:
        persona, _ = await self._here(command)
        return roles.refusal(command, persona.scope, self.engine.settings.operators)

    async def _note(self, command: Command) -> None:
        """It is done: not again. It is also done if that cannot be noted; then a second telling would do it again."""
        try:
            await patiently(lambda: self.engine.queue.accept([Offer(seen=_seen(command))]), NOTED)
        except StoreError as error:
            log.warning("/%s was done, which could not be noted: %s", command.name, error)

    async def who(self, command: Command) -> tuple[PersonaKey, Card]:
        """Whom somebody is talking to."""
        persona, _ = await self._here(command)
        return persona, self.engine.cards(persona.card)

    async def _here(self, command: Command) -> tuple[PersonaKey, str]:
        persona = await self.engine.persona(command)
        return persona, persona.conversation(command.place)


def _seen(command: Command, part: str = "") -> str:
    """What a command is known by: its id, where that counts. (A message that is no command has a card there.)"""
    return keys.SEEN(f"{message_key(command.account, command.place, command.id)}|/{part}")


def near(name: str) -> str:
    """` (did you mean /x?)`, if something is near."""
    found = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
    return f" (did you mean /{found[0]}?)" if found else ""


async def personas(desk: Desk, command: Command) -> Answer:
    """the characters there are"""
    key, _ = await desk._here(command)
    return Answer(text="\n".join(listing(desk.folders, key.card)))


async def switch(desk: Desk, command: Command) -> Answer:
    """talk to another character; each keeps its own memory of you"""
    name = command.args.strip()
    if not name:
        return Answer(text="Say whom: /switch NAME. /personas lists them.", error=True, choices=cast(desk.folders))
    card = cards.load(name, desk.folders)
    key, _ = await desk._here(command)
    if key.scope in desk.engine.pinned:
        desk.engine.pinned[key.scope] = card.name
    await desk.engine.personas.choose(key.account, key.scope, card.name)
    return Answer(text=f"You are talking to {card.title} now.", switched=card.name, changed=True)


async def regenerate(desk: Desk, command: Command) -> Answer:
    """another reply to what you said last"""
    key, _ = await desk._here(command)
    instead = command.args if _REPLY.fullmatch(command.args) else ""  # a button below that reply
    outcome = await desk.engine.regenerate(key, command.place, command.author, _seen(command, "reply"), instead)
    if outcome.act == Act.SEEN:  # asked for already: it is on its way, or has come
        return Answer(job=outcome) if outcome.place >= 0 else Answer()
    if outcome.act in (Act.QUEUED, Act.MERGED):
        return Answer(job=outcome)
    return Answer(text=outcome.note or RESTING, error=True)  # who gives a command is always told


async def stop(desk: Desk, command: Command) -> Answer:
    """stop the reply that is being written"""
    _, conversation = await desk._here(command)
    stopped = await desk.engine.stop(conversation)
    return Answer(text="" if stopped else "Nothing is being written.", changed=stopped > 0, error=not stopped)


async def history(desk: Desk, command: Command) -> Answer:
    """the last lines of this conversation: /history, or /history 50"""
    count = int(command.args) if command.args.strip().isdigit() else 20
    key, conversation = await desk._here(command)
    lines = await desk.engine.conversations.last(conversation, min(max(count, 1), 2000))
    title = desk.engine.cards(key.card).title
    return Answer(text="\n".join(shown(line, title) for line in lines) or "Nothing has been said yet.")


async def react(desk: Desk, command: Command) -> Answer:
    """react to a reply: /react 👍, or /react 👎 2 for the one before the last"""
    return await _react(desk, command, removed=False)


async def unreact(desk: Desk, command: Command) -> Answer:
    """take your reaction back: /unreact, /unreact 👍, /unreact 👍 2"""
    return await _react(desk, command, removed=True)


async def _react(desk: Desk, command: Command, removed: bool) -> Answer:
    words = command.args.split()
    back = int(words.pop()) if words and words[-1].isascii() and words[-1].isdigit() else 1
    emoji = words[0] if words else ""
    reply = await _reply(desk, command, back)
    if reply is None:
        return Answer(
            text="There is no reply to react to." if back == 1 else f"There is no reply {back} back.", error=True
        )
    if removed and not emoji:
        emoji = await _latest(desk, reply.reply_id, command.author.id)
    if not emoji:
        return Answer(text="You have no reaction there." if removed else "Say which emoji: /react 👍", error=True)
    return await _record(desk, command, reply, emoji, removed)


async def _record(desk: Desk, command: Command, reply: Line, emoji: str, removed: bool) -> Answer:
    if removed and emoji not in await _standing(desk, reply.reply_id, command.author.id):
        return Answer(text=f"You have no {emoji} there.", error=True)
    author = command.author
    fact = Fact(command.id, author.id, emoji, command.time, removed, author.is_bot)
    if await desk.engine.ledger.rate(reply.reply_id, fact) == "gone":
        return Answer(text="That reply is no longer kept, so it cannot be rated.", error=True)
    verb = "taken back from" if removed else "on"
    return Answer(text=f"{emoji} {verb} “{shorten(reply.text, 48)}”", changed=True)


async def _reply(desk: Desk, command: Command, back: int) -> Line | None:
    _, conversation = await desk._here(command)
    ours = [line for line in await desk.engine.conversations.last(conversation, 500) if line.ours]
    return ours[-back] if 0 < back <= len(ours) else None


async def _standing(desk: Desk, reply_id: str, user: str) -> list[str]:
    entry = await desk.engine.ledger.get(reply_id)
    return [fact.emoji for fact in standing(entry.facts) if fact.user == user] if entry else []


async def _latest(desk: Desk, reply_id: str, user: str) -> str:
    return (await _standing(desk, reply_id, user) or [""])[-1]


async def forget(desk: Desk, command: Command) -> Answer:
    """erase what this character keeps of you, or all: /forget everything, or the last thing: /forget that"""
    words = command.args.lower().split()
    if words in (["that"], ["undo"]):
        act = remembering.forget_that if words == ["that"] else remembering.unforget
        return await act(desk, command)
    if odd := [word for word in words if word not in ("everything", "me", "yes")]:
        return Answer(text=f"I can forget you alone, and not “{shorten(' '.join(odd), 40)}”. Say /forget.", error=True)
    everything = "everything" in words
    key, _ = await desk._here(command)
    if "yes" not in words:
        what = "everything that is kept of you" if everything else "all that this character keeps of you"
        again = "/forget everything yes" if everything else "/forget yes"
        return Answer(
            text=f"This erases {what}: messages, replies, ratings. It cannot be undone. To do it, say {again}",
            choices=(Choice("Erase it", "forget", again.removeprefix("/forget "), "danger"), Choice("Keep it")),
        )
    went = await desk.privacy.forget(command.author.id, None if everything else key)
    learned = f" {went['LoRAs']} LoRAs that had learned from you speak no more." if went["LoRAs"] else ""
    told = f"Forgotten: {went['messages']} messages, {went['replies']} replies, {went['rated']} ratings."
    return Answer(text=told + learned, changed=True)


async def export(desk: Desk, command: Command) -> Answer:
    """everything that is kept of you, as a JSON file: /export [FILE]"""
    return Answer(data=await desk.privacy.export(command.author.id), text=command.args.strip())


async def privacy(desk: Desk, command: Command) -> Answer:
    """what is kept of you, and may it train: /privacy, /privacy train no, /privacy pool yes"""
    words = command.args.lower().split()
    if words:
        return await _allow(desk, command.author.id, words)
    kept, told = desk.engine.settings.retention, await desk.privacy.consents.told(command.author.id)
    rated = kept.rated_half_lives * kept.half_life_days
    rows = [
        "Kept: what you say and what is answered, for the conversation. /export shows it all, /forget erases it.",
        f"A reply's prompt is kept {kept.unrated_days:g} days, a rated one's {rated:g}.",
        f"Training this character here on it: {_told(told, 'basis', 'time')}. /privacy train yes or no",
        f"Training it elsewhere, too: {_told(told, 'pool', 'pool_time')}. /privacy pool yes or no",
        f"Yes to training means: “{WORDING[Purpose.TRAIN]}”",
    ]
    if asked := told.get("asked"):
        rows.append(f"You were asked on {_day(asked)}.")
    return Answer(text="\n".join(rows), choices=(STOP,) if told.get("basis") else (YES, NO))


def _day(seconds: str) -> str:
    return time.strftime("%d %B %Y", time.gmtime(int(seconds))).lstrip("0")


def _told(consent: Mapping[str, str], basis: str, time_: str) -> str:
    """Allowed or not, and since when that is said."""
    said = f"allowed ({consent[basis]})" if consent.get(basis) else "not allowed"
    return f"{said} since {_day(consent[time_])}" if consent.get(time_) else said


async def _allow(desk: Desk, person: str, words: list[str]) -> Answer:
    """Record a yes or a no."""
    match words:
        case [("train" | "pool") as what, ("yes" | "no") as said]:
            purpose, yes = Purpose(what), said == "yes"
        case _:
            return Answer(text="Say /privacy train yes or no, or /privacy pool yes or no.", error=True)
    await desk.privacy.say(person, yes, purpose)
    return Answer(text=_ALLOWED[purpose, yes], changed=True)


_ALLOWED = {
    (Purpose.TRAIN, True): f"Noted: “{WORDING[Purpose.TRAIN]}” /privacy train no takes it back.",
    (Purpose.TRAIN, False): "Noted: nothing that you say or think of replies trains anything from the next night on.",
    (Purpose.POOL, True): f"Noted: “{WORDING[Purpose.POOL]}” It counts together with /privacy train yes, and where the "
    "operator pools at all.",
    (Purpose.POOL, False): "Noted: nothing of yours trains this character elsewhere from the next night on.",
}


async def help_(desk: Desk, command: Command) -> Answer:
    """this list"""
    rows = [f"/{name:<11} {act.__doc__ or ''}" for name, act in sorted(COMMANDS.items())]
    return Answer(text="\n".join(rows))


def cast(folders: Sequence[Path]) -> tuple[Choice, ...]:
    """The characters that can be switched to, as many as a platform shows below one message."""
    entries = [entry.card for entry in cards.available(folders) if entry.card]
    return tuple(Choice(card.title[:40], "switch", card.name) for card in entries[:MOST_CHOICES])


def listing(folders: Sequence[Path], current: str = "") -> list[str]:
    """One line a card, name first; a broken one says why."""
    entries = cards.available(folders)
    width = max((len(entry.name) for entry in entries), default=0)
    rows = []
    for entry in entries:
        text = f"{entry.card.title} · {entry.card.tagline}" if entry.card else f"(broken) {entry.faults[0]}"
        rows.append(f"{entry.name:<{width}}  {text}{'  ← now' if entry.name == current else ''}")
    return rows


def shown(line: Line, title: str) -> str:
    """A line of history as people read it."""
    return f"{title if line.ours else line.author.name or 'you'}: {line.text}"


Command_ = Callable[[Desk, Command], Awaitable[Answer]]
COMMANDS: dict[str, Command_] = {
    "persona": tuning.persona, "why": tuning.why, "tune": tuning.tune, "pause": tuning.pause, "resume": tuning.resume,
    "reset": tuning.reset, "sources": sources, "memory": remembering.memory, "remember": remembering.remember,
    "personas": personas, "switch": switch, "regenerate": regenerate, "stop": stop,
    "history": history, "react": react, "unreact": unreact, "forget": forget, "export": export,
    "privacy": privacy, "help": help_,
}  # fmt: skip
