"""The chain itself: what was said → a summary → facts → relationships → a self-description, each checked.

Facts come by rules and are ranked by the embedder; a model that can be trusted with it adds its own, and writes the
summary. Only the self-description always needs a model: it is the character's own words. Reads and writes nothing.
"""

import zlib
from collections.abc import Sequence

import msgspec

from core.memory import Memory, slot
from core.prompt import own_names
from core.reflection import asking, facts, selfhood, steps, vetting
from core.reflection.nouns import Output, Step
from core.reflection.steps import Statement
from personas.card import Card
from personas.sampling import Sampling
from worker.embed import Vectors
from worker.reflection import sense
from worker.reflection.mind import Mind

TASK = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=200)
CANDIDATES, LONG = 4, 90  # self-descriptions that are asked for, and tokens of each
TOLD = 8  # sentences of what happened that it has before its eyes then
WEIGHS_MORE = 0.3  # of centrality in a summary, beside how much a sentence tells


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """What is reflected on: `turns`, oldest first, and what is `known` (facts). `grows`: whether relationships and the
    self-description may change. `loras`: the weights that it speaks with, the best first."""

    card: Card
    turns: tuple[Memory, ...]
    known: tuple[Memory, ...] = ()
    grows: bool = True
    loras: tuple[str, ...] = ()


async def chain(mind: Mind, matter: Matter) -> list[Output]:
    """Everything that was made, kept or dropped, in the order of the steps."""
    turns = steps.heard(matter.turns, own_names(matter.card))
    said = await _sensed(mind, await mind.work(steps.statements, turns))
    sessions = steps.sessions(turns)
    summaries = [made for session in sessions for made in await _summary(mind, session, said)]
    found = await _facts(mind, sessions, said, matter.known)
    outputs = [*summaries, *found]
    if matter.grows and turns:
        outputs += steps.bonds(turns, found, await _tones(mind, turns))
        outputs += await _oneself(mind, matter, outputs)
    return outputs


async def _sensed(mind: Mind, said: list[Statement]) -> list[Statement]:
    """With how likely each is a lasting fact."""
    ours, rows = await mind.embed(sense.LIKELY), await mind.embed([facts.bare(one.said) for one in said])
    found = None if ours is None or rows is None else sense.likely(rows, ours)
    if found is None:
        return said
    return [msgspec.structs.replace(one, likely=value) for one, value in zip(said, found, strict=True)]


async def _ours(mind: Mind) -> Vectors | None:
    """By which nearness is measured; None where there is no embedder that tells meanings apart."""
    ours = await mind.embed(sense.LIKELY)
    return ours if ours is not None and sense.sound(ours) else None


# Summaries.


async def _summary(mind: Mind, session: Sequence[Memory], said: Sequence[Statement]) -> list[Output]:
    """The summary of a session: the model's if it writes one that can be kept, else the sentences that say most."""
    made = [await _written(mind, session)] if mind.writes and len(session) > 1 else []
    if made and made[0].kept:
        return made
    here = {turn.id for turn in session}
    own = [one for one in said if one.turn.id in here]
    rows = await mind.embed([one.said for one in own])
    middle = [0.0] * len(own) if rows is None else sense.central(rows)
    scores = {at: steps.salience(one) + WEIGHS_MORE * middle[at] for at, one in enumerate(own)}
    by_rules = await mind.work(steps.summary, session, own, scores)
    return [*made, *([by_rules] if by_rules else [])]


async def _written(mind: Mind, session: Sequence[Memory]) -> Output:
    [text] = await mind.write(asking.summary(session), TASK, [0])
    shown = session[: asking.LINES]
    lines, names = [turn.text for turn in shown], [steps.shown(turn.author) for turn in shown]
    made = steps.episode(session, " ".join(text.split()), tuple(turn.id for turn in shown), "model")
    return msgspec.structs.replace(made, why=steps.against(made, lines, names))


# Facts.


async def _facts(
    mind: Mind, sessions: Sequence[Sequence[Memory]], said: Sequence[Statement], known: Sequence[Memory]
) -> list[Output]:  # fmt: skip
    made = await mind.work(lambda: [fact for one in said if (fact := steps.fact(one))])
    if mind.writes:
        for session in sessions:
            made += await _noticed(mind, session)
    return await _new(mind, steps.settled(made, known), known)


async def _noticed(mind: Mind, session: Sequence[Memory]) -> list[Output]:
    """Facts as the model notes them down: each must be said by one person, in the lines that it names."""
    [answer] = await mind.write(asking.facts(session), TASK, [0])
    return [_row(text, turns) for text, turns in asking.rows(answer, session)]


def _row(text: str, turns: Sequence[Memory]) -> Output:
    people = {turn.author.id for turn in turns}
    author = turns[-1].author if turns else None
    made = Output(
        step=Step.FACTS, text=text if text.endswith((".", "!")) else f"{text}.", by="model",
        sources=tuple(turn.id for turn in turns), person=author.id if author else "",
        name=steps.shown(author) if author else "", slot=slot(text),
        weight=0.6, time=turns[-1].time if turns else 0.0,
    )  # fmt: skip
    why = "it names no line that was said" if not turns else "it mixes several people" if len(people) > 1 else ""
    why = why or ("" if made.name in made.text else "it does not say whom it is about")
    return msgspec.structs.replace(made, why=why or steps.against(made, [turn.text for turn in turns]))


async def _new(mind: Mind, made: list[Output], known: Sequence[Memory]) -> list[Output]:
    """Of facts that mean the same, the first; none that means what is known already."""
    kept = [one for one in made if one.kept]
    people = {one.person for one in kept}
    there = [one for one in known if one.author.id in people and not one.superseded_by][-200:]
    ids = {steps.fact_id(one) for one in kept}
    before = [(one.author.id, one.text) for one in there if one.id not in ids]
    rows = await mind.embed([*(one.text for one in kept), *(text for _, text in before)])
    ours = await _ours(mind)
    if rows is None or ours is None:
        return made
    seen = [(person, text, row) for (person, text), row in zip(before, rows[len(kept) :], strict=True)]
    why: dict[str, str] = {}
    for one, row in zip(kept, rows, strict=False):
        own = [(text, other) for person, text, other in seen if person == one.person]
        if sense.alike(one.text, row, own, ours):
            why[steps.fact_id(one)] = "it means what is known already"
        else:
            seen.append((one.person, one.text, row))
    return [msgspec.structs.replace(one, why=one.why or why.get(steps.fact_id(one), "")) for one in made]


# Relationships.


async def _tones(mind: Mind, turns: Sequence[Memory]) -> dict[str, tuple[float, tuple[str, ...]]]:
    """Each person's tone, and the turns it was heard in."""
    ours, rows = await mind.embed(sense.TONES), await mind.embed([turn.text[:500] for turn in turns])
    found = None if ours is None or rows is None else sense.tones(rows, ours)
    heard: dict[str, list[tuple[float, str]]] = {}
    for turn, value in zip(turns, found or [], strict=False):
        if value:
            heard.setdefault(turn.author.id, []).append((value, turn.id))
    return {
        person: (sum(value for value, _ in one) / len(one), tuple(name for _, name in one))
        for person, one in heard.items()
    }


# Itself.


async def _oneself(mind: Mind, matter: Matter, outputs: Sequence[Output]) -> list[Output]:
    """Its words about itself. A model that can be trusted with it finds new ones; of any other, what it has said of
    itself is taken, and what of its card the talk has touched."""
    kept = [one for one in outputs if one.kept and one.step in (Step.SUMMARY, Step.FACTS)]
    told = sorted(kept, key=lambda one: -one.weight)[:TOLD]
    found = list[Output]()
    if told and mind.writes:
        found = await _worded(mind, matter, told)
    if not any(one.kept for one in found):
        own = await _own(mind, matter, told)
        found += [*(one for one in own if not one.kept), *_joined(await _completed(mind, matter, own))]
    return found


async def _worded(mind: Mind, matter: Matter, told: Sequence[Output]) -> list[Output]:
    """Of some answers, the one in which most sentences are still its own."""
    sources = tuple(dict.fromkeys(name for one in told for name in one.sources))
    sampling = msgspec.structs.replace(matter.card.sampling, max_tokens=LONG)
    seed = zlib.crc32("\n".join(sources).encode())
    seeds = [seed + at for at in range(CANDIDATES)]
    asked = asking.oneself(matter.card, [one.text for one in told])
    answers = await mind.write(asked, sampling, seeds, matter.loras)
    judge = _Judge(matter, told, "model")
    tried = await mind.work(
        lambda: [[judge(part, sources) for part in selfhood.sentences(text)] for text in answers]
    )  # fmt: skip
    best = max(tried, key=lambda parts: min(sum(one.kept for one in parts), selfhood.MOST), default=[])
    dropped = [one for parts in tried for one in parts if not one.kept]
    return [*dropped, *_joined([one for one in best if one.kept][: selfhood.MOST])]


async def _own(mind: Mind, matter: Matter, told: Sequence[Output]) -> list[Output]:
    """What it has said of itself meanwhile: the sentences that are nearest to all of them, as it said them."""
    judge = _Judge(matter, told, "rules")
    said = [
        (part, (turn.id, *turn.sources))
        for turn in matter.turns
        if turn.ours
        for part in selfhood.sentences(turn.text)
        if selfhood.of_itself(part)
    ]
    made = await mind.work(lambda: [judge(part, sources) for part, sources in said])
    good = list({one.text: one for one in made if one.kept}.values())
    rows = await mind.embed([one.text for one in good])
    near = [0.0] * len(good) if rows is None else sense.central(rows)
    best = sorted(sorted(range(len(good)), key=lambda at: -near[at])[: selfhood.MOST])
    return [*(one for one in made if not one.kept), *(good[at] for at in best)]


async def _completed(mind: Mind, matter: Matter, own: Sequence[Output]) -> list[Output]:
    """What it has said of itself, and the sides of its card that the talk has touched, as it would tell them."""
    kept = [one for one in own if one.kept]
    turns, sides = steps.heard(matter.turns), selfhood.sides(matter.card)
    sides = [side for side in sides if not any(vetting.roots(side) <= vetting.roots(one.text) for one in kept)]
    rows, theirs = await mind.embed(sides), await mind.embed([turn.text[:500] for turn in turns])
    ours = await _ours(mind)
    if rows is None or theirs is None or ours is None or len(kept) >= selfhood.MOST:
        return kept
    near = sense.share(rows, theirs, ours)
    best = sorted(range(len(sides)), key=lambda at: -float(near[at].max()))[: selfhood.MOST - len(kept)]
    for at in [at for at in sorted(best) if near[at].max() >= sense.TOUCHED]:
        touching = sorted(range(len(turns)), key=lambda to: -float(near[at, to]))[:3]
        sources = tuple(turns[to].id for to in touching if near[at, to] >= sense.TOUCHED)
        kept.append(Output(step=Step.SELF, text=sides[at], sources=sources))
    return kept


class _Judge:
    """Whether sentences are the character's own; by whom they were found."""

    def __init__(self, matter: Matter, told: Sequence[Output], by: str) -> None:
        self._own, self._told, self._by = selfhood.own(matter.card), [one.text for one in told], by
        self._people = sorted({turn.author.name for turn in steps.heard(matter.turns, own_names(matter.card))})

    def __call__(self, part: str, sources: tuple[str, ...]) -> Output:
        why = selfhood.outside(part, self._own, self._told, self._people)
        return Output(step=Step.SELF, text=part, sources=sources, why=why, by=self._by)


def _joined(parts: Sequence[Output]) -> list[Output]:
    """One description of the sentences that were found good; none if there are none."""
    if not parts:
        return []
    sources = tuple(dict.fromkeys(name for one in parts for name in one.sources))
    return [msgspec.structs.replace(parts[0], text=" ".join(one.text for one in parts), sources=sources)]
