"""What people may ask of us: to see everything that is kept of them, and that nothing of it is left."""

import json
import re
import time
import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.commands.desk import Desk
from core.engine import new_id
from core.events import Addressed, Command, Line, Person, PersonaKey
from core.jobs import Chunk
from core.memory import Kind, Memory
from core.nights import Count, Night, Outcome, Ratings, Sample
from core.privacy import WORDING
from core.store import keys
from core.store.client import Client
from core.store.consents import Purpose
from core.store.loras import CARD
from core.store.nights import Nights
from tests.fakes.house import ANN, BOB, BOT, DM, OTHER_SERVER, ROOM, House, Short, house_at, react, say
from worker.echo import Echo

SECRET, HERS = "xylophone-7431", ANN.id
TALK = f"{BOT}|mira|{ROOM}"


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house in which nobody is at work yet."""
    async with house_at(redis_url) as house:
        yield house


async def everything(client: Client) -> str:
    """All keys and values of Redis as text; what is compressed is read."""
    found = []
    for name in await client.scan("*"):
        kind = (await client.do("TYPE", name)).decode()
        read = {
            "string": ("GET", name), "hash": ("HGETALL", name), "list": ("LRANGE", name, 0, -1),
            "set": ("SMEMBERS", name), "zset": ("ZRANGE", name, 0, -1), "stream": ("XRANGE", name, "-", "+"),
        }[kind]  # fmt: skip
        found.append(name + "\t" + " ".join(_flat(await client.do(*read))))
    return "\n".join(found)


def _flat(value: object) -> list[str]:
    if isinstance(value, bytes):
        try:
            return [zlib.decompress(value).decode()]
        except zlib.error:
            return [value.decode(errors="replace")]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in _flat(item)]
    return [text for item in value for text in _flat(item)] if isinstance(value, list | set | tuple) else [str(value)]


async def live(house: House) -> None:
    """Ann and Bob talk in a channel, Ann in her DM; both rate; reactions wait, jobs wait, and one is dead."""
    async with house.at_work():
        await house.talk(say(f"I am Ann, and I hide {SECRET}.", 1))
        (to_bob,) = await house.talk(say("I am Bob, and I keep bees.", 2, BOB))
        (to_ann,) = await house.talk(say(f"{SECRET} again", 3))
        await house.talk(say(f"{SECRET} in private", 4, where=DM))
    await house.engine.on_message(say(f"overheard {SECRET}", 9, to=Addressed.NO))
    for reply, emoji, who in ((to_bob, "🎻", ANN), (to_bob, "🐝", BOB), (to_ann, "🎻", ANN)):
        await house.engine.on_reaction(react(reply.reply_id, emoji, who))
    for who, emoji in ((ANN, "🪕"), (BOB, "🪘")):
        await house.engine.on_reaction(react("unknown", emoji, who))
    await house.p.privacy.consent(HERS, "asked", f"{SECRET}: may it train?")
    await house.p.privacy.consent(BOB.id, "asked", "may it train?")
    await sleep_over(house)
    await wait_and_die(house)


async def sleep_over(house: House) -> None:
    """A night that counted Ann, and one that did not, with samples that quote her; and the card's, of all scopes."""
    scopes = (("discord:77:channel:room", (HERS, BOB.id)), ("discord:77:user:ann", ()), (CARD, ()))
    for scope, people in scopes:
        counts = tuple(Count(user, votes=2, likes=1, trust=0.5, share=0.1) for user in people)
        await Nights(house.p.client).keep(
            Night(
                id=scope, persona=PersonaKey(BOT, "mira", scope), title="Mira", day="20261127",
                began=time.time(), ended=time.time(), outcome=Outcome.REJECTED, ratings=Ratings(people=counts),
                samples=(Sample(f"I hide {SECRET}", "Aye", "No"),), notes=(f"{HERS} likes everything",),
            )
        )  # fmt: skip


async def wait_and_die(house: House) -> None:
    """A dead job of Ann's whose lines are in it, a reply to her that nobody has fetched, and jobs of both that wait."""
    asked = await house.engine.on_message(say(f"undelivered {SECRET}", 5))
    ((claim,), _) = await house.p.queue.claim("w", 1)
    file = msgspec.structs.replace(
        claim.job, id="dead", reply_id="r-dead", conversation="file", events=("l",),
        ephemeral=(Line("l", ANN, SECRET, 1.0),),
    )  # fmt: skip
    await house.p.queue.release([claim])
    async with house.at_work():
        done = await house.answer(asked)
    stream = keys.REPLIES(BOT)
    await house.p.client.do("XADD", stream, "*", "b", msgspec.msgpack.encode(done))
    chunk = Chunk(job="dead", reply_id="r-dead", fence=1, offset=0, text=f"partial {SECRET}")
    await house.p.client.do("XADD", stream, "*", "b", msgspec.msgpack.encode(chunk))
    await house.p.queue.submit(file)
    ((dead,), _) = await house.p.queue.claim("w", 1)
    await house.p.queue.fail(dead, "no", final=True)
    await house.engine.on_messages([say(f"waiting {SECRET}", 6), say("Bob waits", 7, BOB)])


async def remember(house: House) -> None:
    """All that was said so far, with vectors, a fact about Ann, and one that it was made of."""
    for scope in ("channel:room", "user:ann"):
        persona = PersonaKey(BOT, "mira", f"discord:77:{scope}")
        fact = Memory(id="f", text=f"Ann hides {SECRET}", time=1.0, author=ANN, kind=Kind.FACT, slot=f"hides {SECRET}")
        made = Memory(id="e", text=f"Of {SECRET}", time=2.0, author=Person(""), kind=Kind.EPISODE, sources=("f",))
        await house.p.memories.take_in(persona)
        await house.p.memories.add(persona, [fact, made, msgspec.structs.replace(fact, id="g", time=3.0)])
        every = await house.p.memories.since(persona)
        rows = {(one.id, one.seq): SECRET.encode() for one in every if SECRET in one.memory.text}
        await house.p.memories.keep_vectors(persona, rows)


async def test_export_holds_everything_as_json(house: House) -> None:
    """Lines, replies with their prompts, ratings, reactions that wait, jobs and consent; not what others are told."""
    await live(house)
    data = json.loads(json.dumps(await house.p.privacy.export(HERS)))

    dm = f"{BOT}|mira|{DM}"
    assert {TALK, dm} == set(data["conversations"])
    said = [line["text"] for line in data["conversations"][TALK]["lines"] if not line.get("ours")]
    assert [f"I am Ann, and I hide {SECRET}.", f"{SECRET} again", f"overheard {SECRET}", f"undelivered {SECRET}",
            f"waiting {SECRET}"] == said  # fmt: skip
    assert {f"I heard 1 lines. You said: {SECRET} in private"} == {
        line["text"] for line in data["conversations"][dm]["lines"] if line.get("ours")
    }
    assert 5 == len(data["replies"])  # four to her, and one to Bob with her words in its prompt
    assert all(SECRET in json.dumps(row["messages"]) for row in data["replies"])
    assert {"🎻"} == {rating["emoji"] for rating in data["ratings"]}
    assert 2 == len(data["ratings"])
    assert 1 == len(data["reactions_waiting_for_their_reply"])
    assert [("l",), ("m-6",)] == sorted(tuple(job["events"]) for job in data["jobs"])
    assert [("discord:77:channel:room", 2)] == [
        (night["night"], night["counted"][0]["votes"]) for night in data["nights"]
    ]
    assert "asked" == data["consent"]["basis"]
    assert data["consent"]["wording"].startswith(SECRET)


async def test_after_forgetting_nothing_of_somebody_is_left_anywhere(house: House) -> None:
    """Every key and value is searched: lines, answers, prompts, memories, ratings, streams, jobs, dead letters."""
    await live(house)
    await remember(house)
    before = await everything(house.p.client)
    went = await house.p.privacy.forget(HERS)
    after = await everything(house.p.client)

    for trace in (SECRET, HERS, "🎻", "🪕"):
        assert trace in before
        assert trace not in after
    assert {"jobs": 2, "messages": 6, "replies": 5, "rated": 2, "memories": 16, "LoRAs": 0} == went
    assert [] == (await house.p.privacy.export(HERS))["replies"]


async def test_what_others_said_stays_when_one_is_forgotten(house: House) -> None:
    """Bob's lines, our answer to him, his rating, his parked reaction, his consent and his waiting job."""
    await live(house)
    await house.p.privacy.forget(HERS)
    lines = await house.p.conversations.last(TALK, 99)
    data = await house.p.privacy.export(BOB.id)

    assert ["m-2", "m-7"] == [line.id for line in lines if not line.ours]
    assert [("m-2",)] == [line.answers for line in lines if line.ours]
    assert ["🐝"] == [rating["emoji"] for rating in data["ratings"]]
    assert "🪘" in await everything(house.p.client)
    assert ["m-7"] == [event for job in data["jobs"] for event in job["events"]]
    assert "asked" == data["consent"]["basis"]
    async with house.at_work():
        await house.shelf.wait(lambda: [done for done in house.shelf.finals if done.answers == ("m-7",)])


async def test_a_summary_that_quotes_somebody_is_forgotten_too(house: House) -> None:
    """It stands in the system message of later prompts, even of those to others."""
    async with house.at_work(Short()):
        await house.talk(say(f"I hide {SECRET}.", 0))
        await house.talk(*(say(f"I am number {n}.", n, BOB) for n in range(1, 9)))
    before = await everything(house.p.client)
    assert f'Ann said: "I hide {SECRET}."' in before
    await house.p.privacy.forget(HERS)

    assert SECRET not in await everything(house.p.client)
    assert 8 == len((await house.p.privacy.export(BOB.id))["replies"])


async def test_a_reply_that_is_being_written_is_forgotten_too(house: House) -> None:
    """Its worker may finish it, but nobody hears of it; somebody else's is begun anew without the words."""
    async with house.at_work(Echo(delay=0.01, words=60)):
        await house.engine.on_message(say(f"I hide {SECRET} in a DM", 1, where=DM))
        await house.engine.on_message(say(f"I hide {SECRET}", 2, to=Addressed.NO))
        asked = await house.engine.on_message(say("what does Ann hide?", 3, BOB))
        await house.shelf.wait(lambda: 2 <= len({text[:20] for text, _ in house.shelf.drafts}))
        went = await house.p.privacy.forget(HERS)
        done = await house.answer(asked)
        prompt = await house.prompt(done.reply_id)

    assert 1 == went["jobs"]
    assert SECRET not in prompt
    assert "what does Ann hide?" in prompt
    assert SECRET not in await everything(house.p.client)
    assert [done.reply_id] == [final.reply_id for final in house.shelf.finals]


async def test_forgotten_by_one_persona_somebody_is_still_known_to_the_others(house: House) -> None:
    """Of the same card in the DM, in a channel and on another server, the channel's forgets."""
    async with house.at_work():
        for number, place in enumerate((DM, ROOM, OTHER_SERVER)):
            await house.talk(say(f"I hide {SECRET}-{number}", number, where=place))
    await house.p.privacy.consent(HERS, "asked", "may it train?")
    went = await house.p.privacy.forget(HERS, PersonaKey(BOT, "mira", "discord:77:channel:room"))
    after = await everything(house.p.client)

    assert [True, False, True] == [f"{SECRET}-{number}" in after for number in range(3)]
    assert [2, 0, 2] == [await house.p.conversations.count(f"{BOT}|mira|{p}") for p in (DM, ROOM, OTHER_SERVER)]
    assert (1, 1, 0) == (went["messages"], went["replies"], went["rated"])
    assert "asked" == await house.p.privacy.basis(HERS)


async def test_consent_is_recorded_once_with_its_wording(house: House) -> None:
    """The wording must be shown the first time; forgetting takes the consent back."""
    assert [True, False] == [await house.p.privacy.consent(HERS, "asked", words) for words in ("one", "two")]
    assert "one" == (await house.p.privacy.export(HERS))["consent"]["wording"]
    await house.p.privacy.forget(HERS)
    assert "" == await house.p.privacy.basis(HERS)


async def ask(house: House, args: str = "", who: Person = ANN, name: str = "privacy") -> str:
    """`/privacy ARGS`, or another command, and what it answers."""
    desk: Desk = house.p.desk(house.engine)
    command = Command(id=new_id(), account=BOT, place=ROOM, author=who, time=1.0, name=name, args=args)
    return (await desk.answer(command)).text


async def test_people_say_yes_and_no_to_training_and_to_pooling(house: House) -> None:
    """Two questions, both no at first; each answer is kept with its wording, shown, exported and forgotten."""
    assert 2 == (await ask(house)).count("not allowed")
    for args in ("train yes", "POOL yes"):
        assert (await ask(house, args)).startswith("Noted")
    consent = (await house.p.privacy.export(HERS))["consent"]
    assert 2 == (await ask(house)).count(": allowed (asked)")
    assert ("asked", "asked") == (consent["basis"], consent["pool"])
    assert (WORDING[Purpose.TRAIN], WORDING[Purpose.POOL]) == (consent["wording"], consent["pool_wording"])

    await ask(house, "pool no")
    assert ("asked", "") == (await house.p.privacy.basis(HERS), await house.p.privacy.basis(HERS, Purpose.POOL))
    await ask(house, "pool yes")
    await house.p.privacy.forget(HERS)
    assert {} == (await house.p.privacy.export(HERS))["consent"]


async def test_what_privacy_does_not_understand_changes_nothing(house: House) -> None:
    """It says what can be said."""
    for args in ("train", "train maybe", "pool yes no", "everything yes"):
        assert "/privacy train yes or no" in await ask(house, args)
    assert {} == (await house.p.privacy.export(HERS))["consent"]


async def test_a_no_outlasts_the_statement_of_an_operator(house: House) -> None:
    """Who said no to training is not let in again by the next start of a terminal or the next file."""
    await house.p.privacy.consent(HERS, "operator", "a file")
    await ask(house, "train no")

    assert not await house.p.privacy.consent(HERS, "operator", "another file")
    assert "" == await house.p.privacy.basis(HERS)


async def test_training_here_is_not_training_elsewhere(house: House) -> None:
    """One basis never stands in for the other, and pooling wants both."""
    people, consents = [HERS, BOB.id, "cy", "dan"], house.p.privacy.consents
    await house.p.privacy.consent(HERS, "operator", "here")
    await ask(house, "pool yes", BOB)
    for purpose in Purpose:
        await house.p.privacy.consent("cy", "operator", "both", purpose)

    assert {HERS, "cy"} == await consents.allowing(people)
    assert {"cy"} == await consents.allowing(people, pool=True)
    assert "" == await house.p.privacy.basis(HERS, Purpose.POOL)


async def test_forgetting_understands_what_help_says_of_it(house: House) -> None:
    """Every word that it names is one that is accepted."""
    (row,) = [row for row in (await ask(house, name="help")).splitlines() if row.startswith("/forget")]
    offered = re.findall(r"/forget\b ?([a-z]*)", row.removeprefix("/forget"))

    said = [await ask(house, word, name="forget") for word in offered]

    assert ["everything", "that"] == offered
    assert [] == [text for text in said if "I can forget you alone" in text]
