"""The chain's pure steps: turns → sessions → statements → facts, an episode, bonds.

A statement is one sentence that somebody said of themselves, retold in the third person with the turn it is from. What
is kept and what is dropped are both outputs; a dropped one says why. What a model is asked stands in `asking.py`.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from core.events import Person
from core.memory import Kind, Memory, slot, weigh
from core.reflection import facts, telling, vetting
from core.reflection.nouns import Output, Step
from core.text import clean

GAP = 1800.0  # seconds of silence that end a session
FACT, EPISODE, WORDS = (8, 200), (8, 600), (12, 400)  # characters, least and most
NOBODY = "Somebody"
FACTS, EPISODES = "fact:", "episode:"  # how ids begin; `core/store/memories.lua` knows them by it
KNOWN_EACH, KNOWN_MOST = 1.0, 5.0  # turns that a thing told counts for, and all of one reflection
WARM_EACH, WARM_MOST = 0.05, 0.15


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`said` in the first person, `text` in the third. `likely`: how much it is like lasting facts (1) rather than
    talk of the moment (0), by meaning; None where there is no embedder."""

    said: str
    text: str
    turn: Memory
    name: str
    likely: float | None = None


def heard(turns: Iterable[Memory], own: Collection[str] = ()) -> list[Memory]:
    """What people said, oldest first, under names that are only names: not bots, nor ourselves. `own`: our names."""
    said = [turn for turn in turns if turn.kind == Kind.TURN and not turn.ours and not turn.author.is_bot]
    ours = {word.casefold() for name in own for word in (name, *name.split())}
    named = [msgspec.structs.replace(one, author=Person(one.author.id, shown(one.author, ours))) for one in said]
    return sorted(named, key=lambda turn: (turn.time, turn.id))


def sessions(turns: Sequence[Memory]) -> list[list[Memory]]:
    """Turns, oldest first, by conversation, and cut where nobody spoke for long."""
    latest: dict[str, list[Memory]] = {}
    found: list[list[Memory]] = []
    for turn in turns:
        run = latest.get(turn.talk)
        if run is None or turn.time - run[-1].time > GAP:
            found.append(run := [])
            latest[turn.talk] = run
        run.append(turn)
    return found


def shown(person: Person, own: Collection[str] = ()) -> str:
    """A name that is only a name, and none of ours: what else stands in it is not told on."""
    name = " ".join(re.sub(r"[^\w .'’-]", " ", clean(person.name)).split())[:40].strip(" .-")
    bad = vetting.order(name) or vetting.secret(name) or not re.search(r"[^\W\d_]", name) or len(name.split()) > 3
    return NOBODY if bad or name.casefold() in own else name


def statements(turns: Iterable[Memory]) -> list[Statement]:
    """Every sentence of these turns that can be retold; of one that joins lasting facts, each of them."""
    return [
        Statement(said=said, text=text, turn=turn, name=name)
        for turn in turns
        for name in [shown(turn.author)]
        for said, text in telling.told(turn.text, name, lambda clause: facts.lasting(clause) is not None)
    ]


# Facts.

VETO, SURE = 0.75, 1.15  # of `likely`: below, the rules are overruled; from there on, none is needed


def fact(statement: Statement) -> Output | None:
    """A statement as a fact, kept or dropped; None where nothing takes it for one."""
    sort, likely = facts.lasting(statement.said), statement.likely
    if sort is None and (likely is None or likely < SURE or not facts.timeless(statement.said)):
        return None
    if telling.introduces(statement.said, statement.name):
        return None
    about = facts.about(statement.said, sort, slot(statement.text))
    made = Output(
        step=Step.FACTS, text=statement.text, sources=(statement.turn.id,), person=statement.turn.author.id,
        name=statement.name, slot=about, weight=sort.weight if sort else 0.4, time=statement.turn.time,
    )  # fmt: skip
    vetoed = likely is not None and likely < VETO and not facts.certain(statement.said)
    doubt = "it is more like talk of the moment" if sort and vetoed else ""
    return _judged(made, vetting.first(against(made, [statement.turn.text], told=[statement.said]), doubt))


def against(made: Output, said: Sequence[str], known: Iterable[str] = (), told: Sequence[str] = ()) -> str:
    """Why a fact or an episode must not be kept; empty if it may. `told`: what of `said` it retells, if that is known
    more closely."""
    least, most = FACT if made.step == Step.FACTS else EPISODE
    return vetting.first(
        vetting.size(made.text, least, most),
        vetting.order(made.text),
        vetting.address(made.text),
        "it was said along with an instruction" if any(map(vetting.order, said)) else "",
        vetting.secret(made.text),
        vetting.language(made.text, said),
        vetting.support(made.text, told or said, [made.name, *known]),
    )


def _judged(made: Output, why: str) -> Output:
    return msgspec.structs.replace(made, why=why)


def settled(outputs: Iterable[Output], known: Iterable[Memory]) -> list[Output]:
    """Of facts that say the same, one: the latest of these; and none that is known with the same words from another
    line of then or later. (One of the same line was made before a kill.)"""
    latest: dict[str, Output] = {}
    dropped = list[Output]()
    for made in outputs:
        if made.kept:
            name = fact_id(made)
            if earlier := latest.pop(name, None):
                dropped.append(_judged(earlier, "it was said again later"))
            latest[name] = made
        else:
            dropped.append(made)
    there = {memory.id: memory for memory in known}
    kept = [
        _judged(made, "it is known already")
        if (old := there.get(name)) and not old.superseded_by and old.time >= made.time and old.sources != made.sources
        else made
        for name, made in latest.items()
    ]
    return sorted([*kept, *dropped], key=lambda made: (made.time, made.text))


def fact_id(made: Output) -> str:
    """The same for the same words about the same person."""
    return FACTS + _digest(made.person, " ".join(re.findall(r"\w+", made.text.lower())))


# The summary of a session: what of it is told on another day.

TOLD = 3  # sentences


def summary(session: Sequence[Memory], said: Sequence[Statement], scores: Mapping[int, float]) -> Output | None:
    """The statements that say most of a session, in their order. `scores` by place in `said`; None if none says
    anything."""
    good = [at for at, one in enumerate(said) if facts.stands_alone(one.said) and scores.get(at, 0.0) > 0]
    good = [at for at in good if not telling.introduces(said[at].said, said[at].name)]
    good = [at for at in good if not _speaks_against(session, [said[at]])]
    best = sorted(sorted(good, key=lambda at: -scores[at])[:TOLD])
    chosen = [said[at] for at in best]
    if not chosen:
        return None
    return _judged(_told(session, chosen), _speaks_against(session, chosen))


def _speaks_against(session: Sequence[Memory], chosen: Sequence[Statement]) -> str:
    said, told = [one.turn.text for one in chosen], [one.said for one in chosen]
    return against(_told(session, chosen), said, [one.name for one in chosen], told)


def _told(session: Sequence[Memory], chosen: Sequence[Statement]) -> Output:
    text = " ".join(dict.fromkeys(one.text for one in chosen))
    return episode(session, text, tuple(dict.fromkeys(one.turn.id for one in chosen)), "rules")


def episode(session: Sequence[Memory], text: str, sources: tuple[str, ...], by: str) -> Output:
    """A session's summary by whoever wrote it: about the person who said most in it."""
    authors = [turn.author for turn in session]
    main = max(authors, key=lambda one: (sum(other.id == one.id for other in authors), one.id))
    weights = sorted((weigh(turn.text) for turn in session), reverse=True)[:TOLD]
    return Output(
        step=Step.SUMMARY, text=text, sources=sources, person=main.id, name=shown(main), by=by, time=session[-1].time,
        weight=round(sum(weights) / len(weights), 3),
    )  # fmt: skip


def salience(statement: Statement) -> float:
    """How much a statement tells, by its look: above 0, and small talk least."""
    sort = facts.lasting(statement.said)
    events = 0.3 if facts.happened(statement.said) else 0.0
    lasts = sort.weight / 2 if sort and sort.name != "name" else 0.0
    return weigh(statement.said) + events + lasts - facts.idle(statement.said)


# Relationships.


def bonds(
    session_turns: Sequence[Memory], kept: Iterable[Output], tone: Mapping[str, tuple[float, tuple[str, ...]]]
) -> list[Output]:
    """What people have become to the persona: known by what they told of themselves, dear by their tone.

    `tone`: person → (-1 to 1, the turns that it was heard in).
    """
    told: dict[str, list[Output]] = {}
    for made in kept:
        if made.kept and made.step == Step.FACTS:
            told.setdefault(made.person, []).append(made)
    found = []
    for person in {turn.author.id: turn.author for turn in session_turns}.values():
        theirs, (how, where) = told.get(person.id, []), tone.get(person.id, (0.0, ()))
        known = min(KNOWN_EACH * len(theirs), KNOWN_MOST)
        warmth = round(max(-WARM_MOST, min(WARM_MOST, WARM_EACH * how * max(len(where), 1))), 4)
        if known or warmth:
            sources = dict.fromkeys([*(name for made in theirs for name in made.sources), *where])
            name = shown(person)
            found.append(Output(
                step=Step.BONDS, text=f"{name}: {known:+g} turns known, {warmth:+g} warmth", sources=tuple(sources),
                person=person.id, name=name, known=known, warmth=warmth, time=session_turns[-1].time,
            ))  # fmt: skip
    return found


# Into memories.


def memory(made: Output, turns: Mapping[str, Memory]) -> Memory:
    """A fact or an episode as it is kept. `turns`: by id, those that it was made of."""
    people = dict.fromkeys(turns[name].author.id for name in made.sources if name in turns)
    kind = Kind.FACT if made.step == Step.FACTS else Kind.EPISODE
    return Memory(
        id=fact_id(made) if kind == Kind.FACT else EPISODES + _digest(*made.sources), kind=kind, text=made.text,
        time=made.time, author=Person(made.person, made.name), sources=made.sources, slot=made.slot,
        people=tuple(person for person in people if person != made.person), importance=made.weight,
    )  # fmt: skip


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
