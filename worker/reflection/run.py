"""One persona's reflection: read what it has lived through since, think, and put away what came of it, all at once.

What is read is numbered, and what was made of something that has changed or gone meanwhile is not kept. Done again
behind a kill it makes the same, under the same ids; only whoever gets to the end moves on how far it has come.
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from core.events import PersonaKey
from core.growth.changes import AnyChange, Reflected
from core.growth.growing import Growth
from core.memory import Kind, Memory
from core.reflection import steps
from core.reflection.nouns import Output, Step
from core.store.client import Effect
from core.store.loras import Loras, preferred
from core.store.memories import Change, Memories
from core.store.personalities import appended
from core.store.personas import Personas
from core.store.reflections import Reached, Reflections, Report, noted
from personas.card import Card
from worker.reflection.chain import Matter, chain
from worker.reflection.mind import Mind

MOST = 200  # changes of a memory that are reflected on at a time


class Stores(msgspec.Struct, frozen=True):
    """Where a persona's life is read from, and written to."""

    reflections: Reflections
    memories: Memories
    personas: Personas
    growth: Growth
    loras: Loras


class Slice(msgspec.Struct, frozen=True):
    """Some of what was lived through: `turns`, oldest first, with the numbers of their changes, as far as `seq`.

    `more`: there may be more behind it.
    """

    turns: tuple[Memory, ...]
    seqs: dict[str, int]
    seq: int
    known: tuple[Memory, ...]
    more: bool

    @property
    def heard(self) -> bool:
        """Did somebody else than we say any of it?"""
        return any(not turn.ours for turn in self.turns)


class Done(msgspec.Struct, frozen=True):
    """What came of it. `kept`: ids of the memories that were made; `more`: there may be more to reflect on."""

    outputs: tuple[Output, ...] = ()
    turns: int = 0
    kept: tuple[str, ...] = ()
    more: bool = False


async def reflect(stores: Stores, persona: PersonaKey, card: Card, mind: Mind, dry: bool = False) -> Done:
    """Reflect on the next turns of a persona, at most `MOST`. `dry`: nothing is kept. Raises StoreError."""
    await stores.memories.take_in(persona)
    was = await stores.reflections.reached(persona)
    part = sliced(await stores.memories.since(persona, was.seq, MOST), await _facts(stores, persona), was.seq)
    state = await (stores.growth.state if dry else stores.growth.living)(persona, card)
    grows = card.evolves and not state.paused
    loras = (
        await stores.loras.clean(preferred(await stores.loras.serving(persona), 1.0)) if grows and mind.writes else ()
    )
    matter = Matter(card=card, turns=part.turns, known=part.known, grows=grows, loras=tuple(loras))
    outputs = tuple(await chain(mind, matter)) if part.heard else ()
    if dry or part.seq == was.seq:
        return Done(outputs, len(part.turns), more=part.more)
    return await _put_away(stores, persona, was, part, outputs)


def sliced(changes: Sequence[Change], known: Sequence[Memory], seq: int) -> Slice:
    """The turns among what has changed since `seq`."""
    some = [change for change in changes if change.memory.kind == Kind.TURN]
    end = max([seq, *(change.seq for change in changes)])
    ordered = sorted((change.memory for change in some), key=lambda turn: (turn.time, turn.id))
    return Slice(
        tuple(ordered), {change.id: change.seq for change in some}, end, tuple(known), len(changes) >= MOST
    )  # fmt: skip


async def _facts(stores: Stores, persona: PersonaKey) -> list[Memory]:
    names = [name for name in await stores.memories.ids(persona) if name.startswith(steps.FACTS)]
    return await stores.memories.get(persona, names)


async def _put_away(
    stores: Stores, persona: PersonaKey, was: Reached, part: Slice, outputs: tuple[Output, ...]
) -> Done:  # fmt: skip
    turns = {turn.id: turn for turn in part.turns}
    made = {at: steps.memory(one, turns) for at, one in enumerate(outputs) if one.kept and one.step in _KEPT}
    stale = set(await stores.memories.derive(persona, made.values(), part.seqs))
    ids = {at: memory.id for at, memory in made.items() if memory.id not in stale}
    report = Report(time.time(), len(part.turns), tuple(noted(one, ids.get(at, "")) for at, one in enumerate(outputs)))
    sources = [(name, part.seqs[name]) for name in _rests_on(outputs) if name in part.seqs]
    now = stores.growth.now()

    def grown(gone: frozenset[str]) -> list[Effect]:
        change = reflected(outputs, gone, part.seq, now.time, now.day)
        return appended(persona, [change]) if change else []

    words = next((one.sources for one in outputs if one.kept and one.step == Step.SELF), ())
    moved = await stores.reflections.advance(
        persona, was, part.seq, report if outputs else None, sources, grown, words, now.time
    )
    return Done(outputs if moved else (), len(part.turns), tuple(ids.values()), part.more)


_KEPT = (Step.SUMMARY, Step.FACTS)


def _rests_on(outputs: Sequence[Output]) -> list[str]:
    """Turns on which the personality's change rests."""
    ours = [one for one in outputs if one.kept and one.step not in _KEPT]
    return list(dict.fromkeys(name for one in ours for name in one.sources))


def reflected(
    outputs: Sequence[Output], gone: frozenset[str], seq: int, now: float, day: int
) -> AnyChange | None:  # fmt: skip
    """The change of the personality; None if there is none. What rests on a turn that has gone is left out."""
    good = [one for one in outputs if one.kept and not gone & set(one.sources)]
    bonds: Mapping[str, tuple[float, float]] = {
        one.person: (one.known, one.warmth) for one in good if one.step == Step.BONDS
    }
    about = next((one.text for one in good if one.step == Step.SELF), "")
    if not bonds and not about:
        return None
    causes = dict.fromkeys(name for one in good if one.step not in _KEPT for name in one.sources)
    return Reflected(id=f"reflection:{seq}", time=now, day=day, causes=tuple(causes), about=about, bonds=dict(bonds))
