"""Card + personality + history → a structured prompt: sections with priorities, from stable to volatile. Pure.

Knows no tokenizer and no chat template: `worker/render.py` fits this into the model's context, for serving and
for training alike. Order matters: the key-value cache of a conversation stays valid up to the first changed token.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.events import Line
from core.speakers import NOBODY, Speakers, named, quoted, show_names
from core.text import falls
from core.tongues import names
from personas.card import Card, Exchange


class Section(msgspec.Struct, frozen=True):
    """A paragraph of the system message. When room is short, the lowest `priority` goes first."""

    name: str
    text: str
    priority: int = 0


class Said(msgspec.Struct, frozen=True):
    """One line of talk as the model sees it: `role` is `user` or `assistant`."""

    role: str
    text: str
    id: str = ""


class Prompt(msgspec.Struct, frozen=True):
    """Everything the model is told. `system` and `examples` are stable, `asides` change with every turn. For whom a
    reply must not speak are the `speakers`."""

    system: tuple[Section, ...]
    examples: tuple[Said, ...]
    history: tuple[Said, ...]
    asides: tuple[Section, ...]
    message: Said
    speakers: Speakers = NOBODY


class Recalled(msgspec.Struct, frozen=True):
    """Something remembered: when it was, in words, who said it ("You", a name, or nobody), and what."""

    when: str
    who: str
    text: str


class Cited(msgspec.Struct, frozen=True):
    """A passage of a text that it may look things up in."""

    file: str
    text: str


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt is composed from, as it stands when the job is claimed.

    `lines` is the history before the new message, `new` the lines to answer (of one person), oldest first.
    `group`: several people may speak, so everybody is named. `channel` is the platform's id of it, `room` its
    name, if that is known.
    `touched`: places of the details of its world that the message is about, whatever its words; `facts`: sentences of
    the card that it is about. `steer`: a stage direction for this one reply. `cited`: passages of its
    knowledge files that are about it. `unknown`: it knows nothing of what is asked. `declines`: the topic of the
    message, which it does not discuss. `foreign`: it is in a language that it does not speak.
    `traits`: the traits of the day by name (empty: those of the card); `mood` and `bond`: how it feels, and what the
    other is to it, in a few words (empty: nothing worth a word). `about`: what it has come to say of itself.
    """

    card: Card
    lines: tuple[Line, ...]
    new: tuple[Line, ...]
    summary: str = ""
    group: bool = False
    channel: str = ""
    room: str = ""
    touched: tuple[int, ...] = ()
    facts: tuple[str, ...] = ()
    steer: str = ""
    cited: tuple[Cited, ...] = ()
    unknown: bool = False
    declines: str = ""
    foreign: bool = False
    traits: dict[str, float] = {}
    mood: str = ""
    bond: str = ""
    about: str = ""
    memories: tuple[Recalled, ...] = ()


def compose(scene: Scene) -> Prompt:
    """The structured prompt for one reply: stable sections first, so that the cached prefix lasts."""
    names = show_names([*scene.lines, *scene.new], own_names(scene.card))
    return Prompt(
        system=tuple(section for section in _character(scene) if section.text),
        examples=tuple(said for example in scene.card.voice.examples for said in _exchange(example, scene.group)),
        history=tuple(_said(line, names, scene.group) for line in scene.lines),
        asides=tuple(section for section in _asides(scene) if section.text),
        message=Said("user", "\n".join(_said(line, names, scene.group).text for line in scene.new), scene.new[-1].id),
        speakers=Speakers(own_names(scene.card), tuple(names.values()) if scene.group else ()),
    )


def _character(scene: Scene) -> list[Section]:
    """Who it is, from what never changes to what changes by the day. Priorities say what goes when room is short."""
    card = scene.card
    return [
        Section("who", f"You are {card.title}. {card.description.strip()}", 100),
        Section("voice", _sentence("How you talk: ", [card.voice.style]), 90),
        Section("limits", _limits(card), 80),
        Section("place", _sentence("Where you are: ", [_place(scene)]), 70),
        Section("goals", _sentence("What you want: ", card.goals), 60),
        Section("knowledge", _knowledge(card), 55),
        Section("skills", _sentence("You are good at: ", card.skills), 50),
        Section("actions", _sentence("You may do one of these, between asterisks: ", card.actions), 30),
        Section("traits", _traits(scene.traits or {name: one.value for name, one in card.traits.items()}), 40),
        Section("about", _sentence("Of yourself you have said lately: ", [" ".join(scene.about.split())]), 38),
        Section("group", _GROUP if scene.group else "", 65),
        Section("summary", _sentence("Before this, you were told:\n", [scene.summary]), 45),
    ]


def _place(scene: Scene) -> str:
    """The scene of this channel, by its id or its name; the usual one otherwise."""
    channels = {name.lstrip("#").casefold(): text for name, text in scene.card.world.channels.items()}
    named = (channels.get(word.lstrip("#").casefold()) for word in (scene.channel, scene.room) if word)
    return next(filter(None, named), scene.card.world.scene)


_GROUP = (
    "Several people talk here. Each line begins with the speaker's name. Answer the last one, without a name before it."
)


def _sentence(lead: str, items: Iterable[str]) -> str:
    text = "; ".join(item.strip() for item in items if item.strip())
    return lead + text if text else ""


def _limits(card: Card) -> str:
    text = _sentence("You do not talk about: ", card.limits.topics)
    if card.limits.decline:
        text += f'. If asked, you say something like: "{card.limits.decline.strip()}"' if text else ""
    languages = _sentence("You speak only: ", [names(card.limits.languages)])
    return "\n".join(part for part in (text, languages) if part)


def _knowledge(card: Card) -> str:
    known = card.knowledge
    parts = (
        _sentence("You know about: ", known.domains),
        _sentence("Your time: ", [known.era]),
        _sentence("You know nothing of: ", known.unknowns),
    )
    return "\n".join(part for part in parts if part)


def _traits(traits: Mapping[str, float]) -> str:
    """Only what stands out: a small model takes every word it is told for important."""
    words = [f"{_degree(value)} {name.replace('_', ' ')}" for name, value in traits.items()]
    return _sentence("Your nature: ", [word for word in words if not word.startswith("average")])


def _degree(value: float) -> str:
    steps = ((0.15, "very low"), (0.35, "low"), (0.65, "average"), (0.85, "high"), (1.01, "very high"))
    return next(word for bound, word in steps if value < bound)


GUEST = "Guest"  # who speaks in a card's examples


def _exchange(example: Exchange, group: bool) -> tuple[Said, Said]:
    """As lines of this talk look: examples show a small model that its replies have no name before them."""
    user = example.user.strip()
    return Said("user", named(GUEST, user) if group else user), Said("assistant", example.reply.strip())


def _asides(scene: Scene) -> list[Section]:
    """What concerns this one reply, the weightiest last: a small model heeds what it has just read."""
    feels = Section("mood", _sentence("Just now you feel ", [scene.mood]), 25)
    steer = Section("steer", _sentence("For this one reply: ", [scene.steer]), 95)
    bond, limit = Section("bond", scene.bond, 28), Section("limit", _limit(scene), 96)
    # What it is, once more: after a long talk a small model copies what it said last rather than its card.
    facts = Section("facts", " ".join(scene.facts), 36)
    said = [feels, *_details(scene), *_cited(scene), bond, *_memories(scene), facts, steer, limit]
    return [*said, *_manner(scene.card.voice.style, said)]


MANNER_CHARACTERS = 300


def _manner(style: str, said: Sequence[Section]) -> list[Section]:
    """How it talks, once more: an aside is a message of the system, and after one a small model forgets its voice. Of
    26 replies of SmolLM2-135M as Captain Mira 11 were in her voice after a mood alone, and all with this behind it.

    What it does not know it says in words of its own, which keep its voice as well; after this it would answer.
    """
    if not any(section.text for section in said) or said[-1].text:
        return []
    kept = style.strip()[: MANNER_CHARACTERS + 1]
    whole = kept if len(kept) <= MANNER_CHARACTERS else kept[: max(kept.rfind(". "), kept.rfind("\n")) + 1]
    return [Section("manner", whole.strip(), 94)]


def _limit(scene: Scene) -> str:
    """That it does not know, or does not discuss, what this is about: in its own words, which a small model repeats."""
    card = scene.card
    if scene.declines:
        such = f' Say no, such as: "{card.limits.decline.strip()}"' if card.limits.decline else " Say no, kindly."
        return f"This is about {scene.declines}, of which you do not talk.{such}"
    if scene.foreign:
        spoken = names(card.limits.languages)
        return f"This is in a language that you do not speak. Answer in {spoken}, and say that you speak only {spoken}."
    if not scene.unknown:
        return ""
    such = f', such as: "{card.knowledge.admits[0].strip()}"' if card.knowledge.admits else ", in your own voice."
    return f"You know nothing about this. Say that you do not know{such}"


def _cited(scene: Scene) -> list[Section]:
    """What its texts say about it."""
    return [
        Section(f"passage-{at}", f"From {' '.join(one.file.split())}: {quoted(one.text)}", 37)
        for at, one in enumerate(scene.cited)
    ]


DETAILS = 3  # that come to mind at once: each takes room, and a small model confuses many


def _details(scene: Scene) -> list[Section]:
    """What of its world the new message touches: by a word that falls, or by what it means."""
    heard = " ".join(line.text for line in scene.new)
    details = scene.card.world.details
    named = [place for place, detail in enumerate(details) if falls(detail.about, heard)]
    found = list(dict.fromkeys([*named, *scene.touched]))[:DETAILS]
    return [Section(f"detail-{place}", details[place].text.strip(), 35) for place in sorted(found)]


def _memories(scene: Scene) -> list[Section]:
    """What it remembers that the new message touches: kept short, for a small model takes all of it for important."""
    rows = (
        f"- {one.when}{f', {one.who}' if one.who else ''}: {quoted(one.text, MEMORY_CHARACTERS)}"
        for one in scene.memories
    )
    return [Section("memories", "\n".join(("You remember from before:", *rows)), 38)] if scene.memories else []


def own_names(card: Card) -> tuple[str, ...]:
    """What the persona itself is called."""
    return (card.title, card.name, *card.names)


def speakers(card: Card, lines: Sequence[tuple[str, str]]) -> Speakers:
    """As those of a prompt, read from its lines (role, text) once it has been given."""
    group = any(role == "system" and _GROUP in text for role, text in lines)
    names = (text.partition(":")[0] for role, text in lines if role == "user" and ":" in text)
    return Speakers(own_names(card), tuple(dict.fromkeys(names)) if group else ())


def _said(line: Line, names: dict[str, str], group: bool) -> Said:
    if line.ours:
        return Said("assistant", line.text, line.id)
    return Said("user", named(names[line.author.id], line.text) if group else line.text, line.id)


SUMMARY_CHARACTERS = 600
MEMORY_CHARACTERS = 200


def condense(summary: str, gone: Sequence[Line], group: bool, ours: Iterable[str] = ()) -> str:
    """A summary with what people said of themselves in the lines that leave, newest kept when it grows too long.

    Extractive: sentences in the first person, word for word, so that nothing is made up. `ours`: what we are called.
    """
    names = show_names(gone, ours)
    told = [part for part in summary.split("\n") if part]
    for line in gone:
        if not line.ours:
            speaker = names[line.author.id] if group else "They"
            told += [f"{speaker} said: {quoted(said)}" for said in _OF_SELF.findall(line.text) if len(said) <= 160]
    unique = list(dict.fromkeys(told))
    while unique and sum(map(len, unique)) + len(unique) > SUMMARY_CHARACTERS:
        unique.pop(0)
    return "\n".join(unique)


_OF_SELF = re.compile(r"(?:^|(?<=[.!?\n] ))[^.!?\n]*\b(?:I|I'm|I’m|my|My|mine)\b[^.!?\n]*[.!]?", re.MULTILINE)
