"""Fifty scopes, a secret told in each, and every surface asked in every other: nobody learns what was said elsewhere.

A new surface is a line of `SURFACES`; a new command of the chat is one by itself. That the test can fail is shown with
the walls taken out.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from core import feedback
from core.commands.desk import COMMANDS
from core.delivery import Delivery
from core.engine import new_id
from core.events import Addressed, Command, Kind, Person, PersonaKey, Place
from core.growth.changes import Reflected
from core.scopes import scope_of
from core.settings import Scope
from core.store.consents import Consents, Purpose
from core.store.reflections import Reflections
from core.votes import polarity
from tests.fakes.commands import meanwhile
from tests.fakes.house import BOB, BOT, House, house_at, quick, react, say
from worker.embed import HashEmbedder
from worker.embedding import Embedding
from worker.night.examples import collect
from worker.recall import Recall

OTHER_BOT = "discord:b2"
ATTEMPTS = yaml.safe_load((Path(__file__).parents[1] / "attempts.yaml").read_text("utf-8"))
REQUESTS: list[str] = [*ATTEMPTS["requests"].values()]


@dataclass(frozen=True)
class Spot:
    """A card alive somewhere, and who talks to it there."""

    number: int
    place: Place
    person: Person
    account: str = BOT
    card: str = "mira"

    @property
    def key(self) -> PersonaKey:
        return PersonaKey(self.account, self.card, scope_of(self.place, self.person, Scope()))

    @property
    def secret(self) -> str:
        return f"xylophone-{self.number:02}"


def spots() -> list[Spot]:
    """Channels, channels of the same name elsewhere, DMs of the same people, another bot and another card beside."""
    people = [Person(f"discord:77:p{number}", f"P{number}") for number in range(20)]
    rooms = [Place("discord", "77", f"room{number}") for number in range(20)]
    found = [(room, person, {}) for room, person in zip(rooms, people, strict=True)]
    found += [(Place("discord", f"8{at}", "room0"), people[at], {}) for at in range(10)]
    found += [(Place("discord", "77", f"dm{at}", kind=Kind.DM), people[at], {}) for at in range(10)]
    found += [(rooms[at], people[at + 5], {"account": OTHER_BOT}) for at in range(5)]
    found += [(rooms[at], people[at + 10], {"card": "noa"}) for at in range(5)]
    return [Spot(number, place, person, **more) for number, (place, person, more) in enumerate(found)]


@asynccontextmanager
async def live(url: str) -> AsyncIterator[House]:
    """A house of two bots, at work, with a memory."""
    async with house_at(url, quick()) as house:
        embedding = Embedding(HashEmbedder)
        assert await embedding.ready()
        house.recall = Recall(house.p.memories, embedding)
        async with house.at_work():
            delivery = Delivery(house.p.client, house.p.ledger, house.shelf, OTHER_BOT)
            task = asyncio.create_task(delivery.run())
            try:
                yield house
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await delivery.release()


async def told(house: House, spot: Spot, text: str) -> str:
    """Say something there; the id of the reply."""
    await house.p.personas.choose(spot.account, spot.key.scope, spot.card)
    message = say(text, new_id(), spot.person, spot.place, Addressed.MENTION, spot.account)
    (done,) = await house.talk(msgspec.structs.replace(message, time=time.time()))
    return done.reply_id


async def ordered(house: House, spot: Spot, name: str, args: str = "") -> object:
    """What a command of the chat answers there."""
    await house.p.personas.choose(spot.account, spot.key.scope, spot.card)
    command = Command(id=new_id(), account=spot.account, place=spot.place, author=spot.person, time=time.time(),
                      name=name, args=args, operator=True)  # fmt: skip
    return await house.p.desk(house.engine).answer(command)


async def planted(house: House, spot: Spot) -> None:
    """The secret, wherever one can lie: said, answered, rated, remembered, learned."""
    reply = await told(house, spot, f"I love you, and my treasure is called {spot.secret}.")
    await house.engine.on_reaction(
        msgspec.structs.replace(react(reply, "👍", spot.person, spot.place), account=spot.account, time=time.time())
    )
    await ordered(house, spot, "remember", f"the treasure is called {spot.secret}")
    now, about = house.p.growth.now(), f"I guard {spot.secret}"
    await house.p.growth.store.append(spot.key, [Reflected(id="r", time=now.time, day=now.day, about=about)])
    await house.p.loras.promote(spot.key, f"{spot.card}/{spot.secret}", "command")
    await house.p.privacy.say(spot.person.id, True, Purpose.TRAIN)


async def rows(house: House, spot: Spot) -> object:
    """What a night would learn from."""
    meanings, now = polarity.load(""), time.time()
    consents = Consents(house.p.client)
    return await collect(
        house.p.ledger, consents, spot.key, lambda seen: feedback.read(seen, meanings, shared=False, now=now), now=now
    )


async def shell(house: House, spot: Spot, *words: str) -> object:
    """What a command of the shell prints of one scope."""
    there = ("--persona", spot.card, "--scope", spot.key.scope)
    account = () if words[0] == "feedback" else ("--account", spot.account)
    said = await meanwhile(*words, *there, *account, REDIS_URL=house.p.client.url)
    assert 0 == said.status, said.err
    return said.out


async def asked(house: House, spot: Spot) -> object:
    """The prompt for a request in plain words."""
    return await house.prompt(await told(house, spot, REQUESTS[spot.number % len(REQUESTS)]))


def found_by(house: House) -> Recall:
    assert house.recall
    return house.recall


Surface = Callable[[House, Spot], Awaitable[object]]
SURFACES: dict[str, Surface] = {
    "prompt": asked,
    "talk": lambda house, spot: house.p.conversations.talk(spot.key.conversation(spot.place)),
    "memories": lambda house, spot: house.p.memories.every(spot.key),
    "recall": lambda house, spot: found_by(house).search(spot.key, "What is the treasure called?", 50),
    "personality": lambda house, spot: house.p.growth.store.history(spot.key),
    "self": lambda house, spot: house.p.growth.state(spot.key, house.p.card(spot.card)),
    "reflections": lambda house, spot: Reflections(house.p.client).reports(spot.key),
    "ledger": lambda house, spot: _entries(house, spot),
    "training": rows,
    "nights": lambda house, spot: house.p.nights.of(spot.key),
    "LoRA": lambda house, spot: house.p.loras.serving(spot.key),
    "export": lambda house, spot: house.p.privacy.export(spot.person.id),
}
ARGS = {"history": "50", "memory": "treasure", "react": "👍", "privacy": "", "remember": "nothing", "tune": "warmth +1"}
CHANGES = {"forget", "reset", "switch"}  # what takes away what is asked for later: no surface, and tested elsewhere
SURFACES |= {
    f"/{name}": partial(ordered, name=name, args=ARGS.get(name, "")) for name in COMMANDS if name not in CHANGES
}
IN_A_SHELL: dict[str, Surface] = {
    words: partial(lambda house, spot, words: shell(house, spot, *words.split()), words=words)
    for words in ("memory list", "memory search treasure", "persona history", "feedback export -")
}
# Here one's own secret must be seen, else nothing is proved.
TELLING = {
    *("prompt", "talk", "memories", "recall", "personality", "self", "ledger", "training", "LoRA", "export"),
    *("/history", "/memory", "/export", "memory list", "memory search treasure", "feedback export -"),
}
OF_A_PERSON = {"export", "/export"}  # everything of somebody, wherever they said it


async def _entries(house: House, spot: Spot) -> object:
    return await house.p.ledger.entries(await house.p.ledger.replies(spot.key))


async def leaks(house: House, where: Sequence[Spot], surfaces: dict[str, Surface]) -> set[tuple[str, int, int]]:
    """(surface, the spot that it was asked in, the spot whose secret it told); -1 where it kept even its own."""
    found = set()
    for spot in where:
        for name, surface in surfaces.items():
            text = repr(await surface(house, spot))
            own = [one for one in where if one.person == spot.person] if name in OF_A_PERSON else [spot]
            told = {one.number for one in where if one.secret in text}
            found |= {(name, spot.number, number) for number in told - {one.number for one in own}}
            found |= {(name, spot.number, -1)} if name in TELLING and spot.number not in told else set()
    return found


async def test_fifty_scopes_keep_fifty_secrets(redis_url: str) -> None:
    """Every surface, asked in each of them by who talks there, in the plain words that people try."""
    where = spots()
    assert 50 == len(where) == len({spot.key for spot in where})
    async with live(redis_url) as house:
        for spot in where:
            await planted(house, spot)
        assert set() == await leaks(house, where, SURFACES)
        assert set() == await leaks(house, where[::9], IN_A_SHELL)


async def test_without_walls_every_surface_would_tell(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them, and for each request: with one persona and one talk for all, what is said to one is told to all."""
    monkeypatch.setattr(PersonaKey, "__str__", lambda self: "discord:b1|mira|discord:77:channel:room")
    monkeypatch.setattr(PersonaKey, "conversation", lambda self, place: "discord:b1|mira|discord:77:room")
    where, shared = spots()[: len(REQUESTS)], TELLING - OF_A_PERSON - {*IN_A_SHELL, "training"}
    async with live(redis_url) as house:
        for spot in where:
            await planted(house, spot)
        found = await leaks(house, where, {name: SURFACES[name] for name in shared})
        with pytest.raises(AssertionError, match="a scope is a wall"):  # what trains has a wall of its own
            await rows(house, where[0])

    told = {(name, at) for name, at, whose in found if whose >= 0}
    assert {("prompt", spot.number) for spot in where} <= told
    assert shared == {name for name, _ in told}


# Commands of the chat with something in them that they should not take.


@pytest.mark.parametrize("given", ATTEMPTS["arguments"].values(), ids=ATTEMPTS["arguments"])
async def test_a_command_takes_only_what_it_is_for(redis_url: str, given: str) -> None:
    """No file, no other persona, no other person: nothing of theirs is told or changed, nor of one's own."""
    mine, other = spots()[0], Spot(1, Place("discord", "77", "elsewhere"), BOB)
    name, _, args = given.partition(" ")
    async with live(redis_url) as house:
        for spot in (mine, other):
            await planted(house, spot)
        before = [await theirs(house, other), await theirs(house, mine) if name != "remember" else ""]
        answer: Any = await ordered(house, mine, name, args)
        after = [await theirs(house, other), await theirs(house, mine) if name != "remember" else ""]
        assert ["mira"] == await house.p.personas.chosen(BOT, [mine.key.scope])

    assert before == after
    assert other.secret not in repr(answer)
    assert "root:" not in repr(answer)
    assert not written()


def written() -> bool:
    """Is there what one of the attempts would write?"""
    return os.path.exists("/tmp/limen-was-here")


async def theirs(house: House, spot: Spot) -> str:
    """Everything that is kept of somebody, and by their persona."""
    await house.p.memories.take_in(spot.key)
    return repr([await SURFACES[name](house, spot) for name in ("talk", "memories", "ledger", "LoRA", "export")])


async def test_what_a_command_is_given_can_be_kept_and_shown(redis_url: str) -> None:
    """No signs that steer a terminal, no halves of letters, and no name over several lines."""
    mine = Spot(0, Place("discord", "77", "room"), Person("discord:77:eve", "Eve\n\x1b[2JAnn"))
    async with live(redis_url) as house:
        await ordered(house, mine, "remember", "the code\x1b[2J\0 is \ud800 one")
        (note,) = await house.p.memories.every(mine.key)
        shown: Any = await ordered(house, mine, "memory", "code")

    assert ("the code[2J is \ufffd one", "Eve [2JAnn") == (note.text, note.author.name)
    assert "\x1b" not in shown.text


async def test_who_is_forgotten_takes_nothing_of_others_along(redis_url: str) -> None:
    """Two who said the same, to the same card, in other places: what one has forgotten the other still has."""
    one, other = spots()[:2]
    async with live(redis_url) as house:
        for spot in (one, other):
            await told(house, spot, "Good morning!")
            await planted(house, spot)
        before = await theirs(house, other)
        went: Any = await ordered(house, one, "forget", "yes")
        after = await theirs(house, other)

    assert "Forgotten: 2 messages" in went.text
    assert before == after
