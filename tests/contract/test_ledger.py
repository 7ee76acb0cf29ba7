"""The ledger's contract: replies with their prompts, reactions as facts, and how long both are kept."""

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.events import Kind, Person, PersonaKey, Place
from core.feedback import Fact, standing
from core.store import keys
from core.store.client import Client
from core.store.ledger import Kept, Ledger, Record, Told, message_key

ROOM = Place("discord", "77", "room")
MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
PROMPT = (Told("system", "You are Mira."), Told("user", "Ann: hi\n\u2003🐝 „grüß“"))
KEPT = Kept(unrated=1000, rated=5000)


class Shelved:
    """A ledger, and the Redis it is on."""

    def __init__(self, client: Client) -> None:
        self.client, self.ledger = client, Ledger(client, KEPT)

    async def keep(self, name: str = "r1", prompt: tuple[Told, ...] = PROMPT, person: str = "p:ann") -> None:
        """Put a reply on record."""
        await self.ledger.keep(record(name, person), prompt)

    async def react(
        self, message: str, emoji: str = "👍", time: float = 1.0, removed: bool = False, user: str = "p:ann"
    ) -> tuple[str, str]:
        """An emoji on a platform message."""
        fact = Fact(f"x-{message}-{emoji}-{time}-{user}", user, emoji, time, removed)
        return await self.ledger.react(f"b1|{fact.id}", key(message), fact)

    async def facts(self, name: str = "r1") -> list[tuple[str, bool]]:
        """(emoji, removed) of a reply."""
        entry = await self.ledger.get(name)
        assert entry
        return [(fact.emoji, fact.removed) for fact in entry.facts]

    async def sections(self, reply: str) -> list[str]:
        """The keys of a reply's prompt."""
        entry = await self.ledger.get(reply)
        assert entry
        return [keys.SECTION(name) for name in entry.record.sections]

    async def ttl(self, name: str) -> int:
        """Seconds that a key will live."""
        return int(await self.client.do("TTL", name))


def key(message: str) -> str:
    return message_key("discord:b1", ROOM, message)


def record(name: str, person: str = "p:ann") -> Record:
    return Record(
        id=name, persona=MIRA, conversation=MIRA.conversation(ROOM), place=ROOM, author=Person(person, "Ann"),
        answers=("m1",), time=1e9, text="Ahoy 🦜", sections=(), roles=(), people=(person,),
    )  # fmt: skip


@pytest.fixture
async def on(redis_url: str) -> AsyncIterator[Shelved]:
    """A ledger on an empty Redis."""
    client = Client(redis_url)
    yield Shelved(client)
    await client.close()


async def test_a_reply_comes_back_with_the_exact_prompt(on: Shelved) -> None:
    """Character for character, with roles and record."""
    await on.keep()
    entry = await on.ledger.get("r1")

    assert entry
    assert entry.messages == PROMPT
    assert ("Ahoy 🦜", MIRA, ("system", "user")) == (entry.record.text, entry.record.persona, entry.record.roles)
    assert ["r1"] == await on.ledger.replies(MIRA)
    assert [MIRA] == await on.ledger.personas()
    assert await on.ledger.get("r2") is None


async def test_a_text_that_many_prompts_share_is_stored_once(on: Shelved) -> None:
    """A hundred replies under one system message cost one section for it."""
    for number in range(100):
        await on.keep(f"r{number}", (PROMPT[0], Told("user", f"number {number % 4}")))

    assert 5 == len(await on.client.scan(keys.SECTION("*")))


async def test_a_reaction_finds_its_reply_by_the_platform_message(on: Shelved) -> None:
    """And what is taken away again is kept as a fact, but stands no longer."""
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9")])

    assert ("recorded", "r1") == await on.react("m9")
    assert ("recorded", "r1") == await on.react("m9", time=2.0, removed=True)
    entry = await on.ledger.get("r1")
    assert entry
    assert [("👍", False), ("👍", True)] == await on.facts()
    assert [] == standing(entry.facts)


async def test_a_redelivered_reaction_changes_nothing(on: Shelved) -> None:
    """The platform's id of the event tells."""
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9")])
    await on.react("m9")

    assert "seen" == (await on.react("m9"))[0]
    assert [("👍", False)] == await on.facts()


async def test_a_reaction_that_comes_too_early_waits_for_its_reply(on: Shelved) -> None:
    """Nobody knows that message yet; once it is sent and whole, the fact lands."""
    assert ("parked", "") == await on.react("m9")
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9")])

    assert 1 == await on.ledger.whole("r1")
    assert [("👍", False)] == await on.facts()
    assert 0 == await on.ledger.whole("r1")
    assert [] == await on.client.scan("limen:*parked*")


async def test_a_reaction_to_a_draft_waits_until_the_reply_is_on_record(on: Shelved) -> None:
    """The message is known, what was said is not yet."""
    await on.ledger.sent("r1", 0, [key("m9")])

    assert "parked" == (await on.react("m9"))[0]
    await on.keep()
    assert 1 == await on.ledger.whole("r1")
    assert [("👍", False)] == await on.facts()


async def test_a_reaction_to_a_reply_no_longer_kept_is_told_so(on: Shelved) -> None:
    """It neither waits nor brings an empty reply back."""
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9")])
    await on.ledger.whole("r1")
    await on.client.do("DEL", keys.REPLY("r1"))

    assert ("gone", "r1") == await on.react("m9")
    assert [] == await on.client.scan(keys.REACTIONS("*"))
    assert "gone" == await on.ledger.rate("r1", Fact("i1", "p:ann", "👍", 1.0))


async def test_a_rating_prolongs_the_life_of_a_reply_and_its_prompt(on: Shelved) -> None:
    """Of this reply only."""
    await on.keep()
    await on.keep("r2", (PROMPT[0], Told("user", "something else")))
    await on.ledger.rate("r1", Fact("i1", "p:ann", "👍", 1.0))

    for name in (keys.REPLY("r1"), keys.REACTIONS("r1"), *await on.sections("r1")):
        assert await on.ttl(name) > KEPT.unrated
    for name in (keys.REPLY("r2"), (await on.sections("r2"))[-1]):
        assert await on.ttl(name) <= KEPT.unrated


async def listed(on: Shelved, **ages: float) -> None:
    """Replies on record, each so many seconds old."""
    now = time.time()
    for name, age in ages.items():
        await on.ledger.keep(msgspec.structs.replace(record(name), time=now - age), PROMPT)


async def test_a_clock_that_jumps_takes_no_reply_off_the_list(on: Shelved) -> None:
    """One reply from ninety days ahead, sent and rated: what was rated before it is still found by the night."""
    await listed(on, r1=300, r2=200, ahead=-90 * 86_400)
    await on.ledger.whole("ahead")
    assert "recorded" == await on.ledger.rate("ahead", Fact("i1", "p:ann", "👍", 1.0))

    assert ["r1", "r2", "ahead"] == await on.ledger.replies(MIRA)


@pytest.mark.parametrize("rated", [True, False])
async def test_old_replies_are_listed_no_more(on: Shelved, rated: bool) -> None:
    """Once a later one was sent, or rated; one that was brought in late stays until then."""
    await listed(on, old=KEPT.rated + 100, older=KEPT.rated + 200)
    await on.ledger.rate("old", Fact("i1", "p:ann", "👍", 1.0))
    assert ["older", "old"] == await on.ledger.replies(MIRA)

    await listed(on, young=KEPT.rated - 100)
    await (on.ledger.rate("young", Fact("i2", "p:ann", "👍", 1.0)) if rated else on.ledger.whole("young"))
    assert ["older", "old", "young"] == await on.ledger.replies(MIRA)
    await listed(on, new=0)
    await (on.ledger.rate("new", Fact("i3", "p:ann", "👍", 1.0)) if rated else on.ledger.whole("new"))
    assert ["young", "new"] == await on.ledger.replies(MIRA)


async def test_nothing_shortens_the_life_of_a_rated_reply(on: Shelved) -> None:
    """Not a later unrated reply on the same prompt, not the same reply kept again, and no shorter setting."""
    await on.keep()
    await on.ledger.rate("r1", Fact("i1", "p:ann", "👍", 1.0))
    await on.keep("r2")
    await on.keep()
    await Ledger(on.client, Kept(unrated=10, rated=20)).rate("r1", Fact("i2", "p:ann", "❤", 2.0))

    for name in (keys.REPLY("r1"), keys.REACTIONS("r1"), *await on.sections("r1")):
        assert await on.ttl(name) > KEPT.unrated


async def test_the_same_rating_imported_twice_counts_once(on: Shelved) -> None:
    """A file may be imported again."""
    await on.keep()
    fact = Fact("i1", "p:ann", "👍", 1.0)

    assert ["recorded", "seen"] == [await on.ledger.rate("r1", fact) for _ in range(2)]
    assert [("👍", False)] == await on.facts()


async def test_every_message_of_a_split_reply_counts(on: Shelved) -> None:
    """A long reply goes out as several messages; a reaction to any of them is one to the reply."""
    await on.react("m9b", "🎉")
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9"), key("m9a")])
    await on.ledger.sent("r1", 1, [key("m9b")])
    await on.ledger.whole("r1")

    assert [("recorded", "r1")] * 3 == [await on.react(m, str(i)) for i, m in enumerate(("m9", "m9a", "m9b"))]
    assert ["🎉", "0", "1", "2"] == [emoji for emoji, _ in await on.facts()]
    assert {0: (key("m9"), key("m9a")), 1: (key("m9b"),)} == await on.ledger.parts("r1")


@pytest.mark.parametrize("odd", ["a|b", "a:b/c", "100%", "%1%%2", "{}", "grüß 🐝", "a\nb", "*?[x]"])
async def test_ids_may_hold_separators_and_any_letter(on: Shelved, odd: str) -> None:
    """No name can forge another key, in Python or in Lua."""
    await on.keep(f"r{odd}", person=odd)
    await on.react(odd, user=odd)
    await on.ledger.sent(f"r{odd}", 0, [key(odd)])
    await on.ledger.whole(f"r{odd}")

    assert [("👍", False)] == await on.facts(f"r{odd}")
    assert ([f"r{odd}"], [f"r{odd}"]) == await on.ledger.about(odd)
    assert [] == await on.client.scan("limen:*parked*")


async def test_a_message_id_means_its_own_place_only(on: Shelved) -> None:
    """Telegram counts anew in every chat."""
    await on.keep()
    await on.ledger.sent("r1", 0, [key("5")])
    elsewhere = message_key("discord:b1", Place("discord", "77", "other"), "5")

    assert "parked" == (await on.ledger.react("s", elsewhere, Fact("f", "p:ann", "👍", 1.0)))[0]


async def test_a_reaction_need_not_name_the_thread_of_its_message(on: Shelved) -> None:
    """Slack and Telegram do not: the id means one message of the channel, whichever thread that is in."""
    await on.keep()
    place = Place("discord", "77", "room", "thread:9", kind=Kind.THREAD)
    await on.ledger.sent("r1", 0, [message_key("discord:b1", place, "5")])
    await on.ledger.whole("r1")

    assert ("recorded", "r1") == await on.react("5")


async def test_a_part_is_marked_before_it_is_sent_and_known_after(on: Shelved) -> None:
    """`mine` once; `again` for whoever comes after a carrier that died; `sent` when its ids are there."""
    assert ["mine", "again"] == [await on.ledger.begin("r1", 0, by) for by in ("one", "two")]
    await on.ledger.sent("r1", 0, [key("m9")])
    assert ["sent", "mine"] == [await on.ledger.begin("r1", part, "two") for part in (0, 1)]


async def test_forgetting_one_persons_parked_reactions_leaves_the_others(on: Shelved) -> None:
    """Two people reacted to the same unknown message."""
    await on.react("m9", "👍", user="p:ann")
    await on.react("m9", "🎉", user="p:bob")
    await on.ledger.unpark("p:ann")
    await on.keep()
    await on.ledger.sent("r1", 0, [key("m9")])
    await on.ledger.whole("r1")

    assert [("🎉", False)] == await on.facts()


async def test_outlines_are_entries_without_their_prompts(on: Shelved) -> None:
    """What it takes to look at very many."""
    await on.keep()
    (outline,) = await on.ledger.outlines(["r1", "gone"])
    entry = await on.ledger.get("r1")

    assert entry
    assert ((), entry.record, entry.facts) == (outline.messages, outline.record, outline.facts)


async def test_a_retracted_reply_is_kept_and_marked(on: Shelved) -> None:
    """It lives as long as before; one that is no longer kept does not come back."""
    await on.keep()
    await on.ledger.sent("r1", 1, [key("m7")])
    entries = await on.ledger.entries([await on.ledger.behind(key("m7"))])
    await on.ledger.retract(entries)

    entry = await on.ledger.get("r1")
    assert entry
    assert (True, PROMPT) == (entry.record.deleted, entry.messages)
    assert 0 < await on.ttl(keys.REPLY("r1")) <= KEPT.unrated
    assert "" == await on.ledger.behind(key("unknown"))
    await on.ledger.erase(entry)
    await on.ledger.retract(entries)
    assert await on.ledger.get("r1") is None
