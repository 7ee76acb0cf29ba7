"""How far reflection has come, and what is made of lines that change or go; on both servers."""

from collections.abc import AsyncIterator

import pytest

from core.events import Line, Person, PersonaKey
from core.growth.changes import Born, Reflected
from core.memory import Kind, Memory, turn_id
from core.reflection.nouns import Output, Step
from core.store import keys
from core.store.client import Client
from core.store.conversations import said
from core.store.memories import Memories, noted
from core.store.personalities import Personalities, appended
from core.store.reflections import Noted, Reached, Reflections, Report, turned
from core.store.reflections import noted as as_noted

MIRA = PersonaKey("discord:b1", "mira", "discord:77:server:77")
OTHER = PersonaKey("discord:b1", "mira", "discord:88:server:88")
ANN = Person("discord:77:ann", "Ann")
TALK = "discord:b1|mira|discord:77:room"
FIRST, SECOND = turn_id(TALK, "m1"), turn_id(TALK, "m2")


class Kept:
    """What reflection works on, and its Redis."""

    def __init__(self, client: Client) -> None:
        self.client, self.memories = client, Memories(client)
        self.reflections, self.selves = Reflections(client), Personalities(client)

    async def hear(self, name: str, text: str) -> None:
        """Something is said, and remembered."""
        line = Line(name, ANN, text, 1.0)
        await self.client.do_all([*said(TALK, line, 1.0), *noted(MIRA, TALK, name)])
        await self.memories.take_in(MIRA)

    async def seqs(self) -> dict[str, int]:
        """The number of each memory's latest change."""
        return {change.id: change.seq for change in await self.memories.since(MIRA)}

    async def texts(self) -> list[str]:
        return [memory.text for memory in await self.memories.every(MIRA)]

    async def turned(self, count: int = 1, persona: PersonaKey = MIRA) -> None:
        """So many replies."""
        for _ in range(count):
            await self.client.do_all(turned(persona, "hash", 5.0))

    async def advance(
        self, was: Reached, seq: int, sources: dict[str, int] | None = None, words: tuple[str, ...] = ()
    ) -> tuple[bool, frozenset[str] | None]:
        """(whether it advanced, what was gone)."""
        told: list[frozenset[str]] = []

        def more(gone: frozenset[str]) -> list[tuple[str | bytes | int | float, ...]]:
            told.append(gone)
            return appended(MIRA, [Reflected(id="r", time=6.0, about="I rest.")])

        report = Report(6.0, 2, (Noted(Step.FACTS, (FIRST,), "why"),))
        moved = await self.reflections.advance(
            MIRA, was, seq, report, [*(sources or {}).items()], more, words, 6.0
        )  # fmt: skip
        return moved, told[-1] if told else None


def fact(text: str, *sources: str, slot: str = "", time: float = 1.0) -> Memory:
    return Memory(
        id=f"fact:{text}", text=text, time=time, author=ANN, kind=Kind.FACT, sources=sources, slot=slot
    )  # fmt: skip


@pytest.fixture
async def on(redis_url: str) -> AsyncIterator[Kept]:
    """On an empty Redis."""
    client = Client(redis_url)
    yield Kept(client)
    await client.close()


async def test_replies_are_counted_until_it_has_reflected(on: Kept) -> None:
    """Those that came meanwhile count for the next time; the night waits for them from then on."""
    await on.turned(3)
    await on.turned(1, OTHER)
    was = await on.reflections.reached(MIRA)
    await on.turned(2)
    moved, _ = await on.advance(was, 7)

    assert Reached(0, 5.0, "hash", 3) == was
    assert moved
    assert Reached(7, 6.0, "hash", 2) == await on.reflections.reached(MIRA)
    assert [MIRA, OTHER] == await on.reflections.due(1)
    assert [MIRA] == await on.reflections.due(2)


async def test_nobody_is_due_any_more_when_all_is_reflected_on(on: Kept) -> None:
    """And no night waits."""
    await on.turned()
    await on.advance(await on.reflections.reached(MIRA), 1)

    assert [] == await on.reflections.due(1)
    assert 0.0 == (await on.reflections.reached(MIRA)).since


async def test_of_two_that_reflected_on_the_same_one_is_heard(on: Kept) -> None:
    """So nothing counts twice, whatever died in between."""
    was = await on.reflections.reached(MIRA)

    assert (True, frozenset()) == await on.advance(was, 3)
    assert (False, None) == await on.advance(was, 4)
    assert 1 == len(await on.selves.history(MIRA))
    assert 3 == (await on.reflections.reached(MIRA)).seq


async def test_what_rests_on_a_line_that_went_or_changed_meanwhile_is_told_of(on: Kept) -> None:
    """And a fact of it is not kept."""
    await on.hear("m1", "I live in Graz")
    await on.hear("m2", "I love jazz")
    seqs, was = await on.seqs(), await on.reflections.reached(MIRA)
    await on.memories.edit(MIRA, TALK, "m1", "I live in Linz")
    lost = await on.memories.derive(MIRA, [fact("Graz", FIRST), fact("jazz", SECOND)], seqs)
    _, gone = await on.advance(was, 2, seqs)

    assert ["fact:Graz"] == lost
    assert {FIRST} == gone
    assert "jazz" in await on.texts()
    assert "Graz" not in await on.texts()


@pytest.mark.parametrize("how", ["unsaid", "edited", "binned", "deleted"])
async def test_what_was_made_of_a_line_goes_with_it(on: Kept, how: str) -> None:
    """What it had superseded holds again; the rest stays."""
    await on.hear("m1", "I live in Graz")
    await on.hear("m2", "I moved to Linz")
    made = [fact("Graz", FIRST, slot="home"), fact("Linz", SECOND, slot="home", time=2.0)]
    await on.memories.derive(MIRA, made, await on.seqs())
    (before,) = await on.memories.get(MIRA, ["fact:Graz"])
    match how:
        case "unsaid":
            await on.memories.unsay(MIRA, TALK, "m2")
        case "edited":
            await on.memories.edit(MIRA, TALK, "m2", "I moved nowhere")
        case "binned":
            await on.memories.bin(MIRA, ANN.id, SECOND)
        case "deleted":
            await on.memories.delete(MIRA, [SECOND])
    (after,) = await on.memories.get(MIRA, ["fact:Graz"])

    assert "fact:Linz" == before.superseded_by
    assert "" == after.superseded_by
    assert "Linz" not in await on.texts()


async def test_its_words_about_itself_go_with_the_line_they_were_made_of(on: Kept) -> None:
    """It says nothing of itself then, until it has found new words; other lines do no harm."""
    await on.hear("m1", "hello")
    await on.hear("m2", "hello again")
    await on.selves.append(MIRA, [Born(id="b", time=1.0, day=20260501, card="c", dials={})])
    await on.advance(await on.reflections.reached(MIRA), 2, await on.seqs(), (FIRST,))
    await on.memories.unsay(MIRA, TALK, "m2")
    kept = (await on.selves.read(MIRA)).state.about
    await on.memories.unsay(MIRA, TALK, "m1")

    assert "I rest." == kept
    assert "" == (await on.selves.read(MIRA)).state.about
    assert await on.client.do("HGET", keys.REFLECTED(str(MIRA)), "words") is None


async def test_a_persona_that_moves_goes_on_from_where_it_was(on: Kept) -> None:
    """Who is due, how far it came, and which lines its words rest on, under their new names; said again, it is so."""
    await on.turned(3)
    await on.advance(await on.reflections.reached(MIRA), 7, {}, (FIRST,))
    await on.turned(2)
    await on.reflections.carry(MIRA, OTHER, 40, {FIRST: "new/m1"})
    await on.reflections.carry(MIRA, OTHER, 0, {})

    assert Reached(40, 5.0, "hash", 2) == await on.reflections.reached(OTHER)
    assert Reached() == await on.reflections.reached(MIRA)
    assert [OTHER] == await on.reflections.due(1)
    assert b"new/m1" in await on.client.do("HGET", keys.REFLECTED(str(OTHER)), "words")


async def test_a_report_holds_no_words(on: Kept) -> None:
    """Why, and from which lines; forgetting takes even that."""
    made = Output(step=Step.FACTS, text="Ann hates Bob.", sources=(FIRST,), why="nobody said 'Bob'", person="p")

    assert Noted(Step.FACTS, (FIRST,), "nobody said") == as_noted(made)
    await on.advance(await on.reflections.reached(MIRA), 1)
    assert ["why"] == [one.why for report in await on.reflections.reports(MIRA) for one in report.noted]
    await on.reflections.forget(MIRA)
    assert [] == await on.reflections.reports(MIRA)
