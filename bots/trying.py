"""`limen persona try`: what a message would call for, rule by rule, and the very prompt that would be sent. Sends none.

Imports the worker inside its functions. Without `--scope` nobody has met the persona, and Redis is asked for nothing
but the texts that a first talk could look things up in.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bots import shelving, trypage, up, working
from bots.assemble import Parts, parts, settings
from bots.options import PersonaName, account_option, json_option, scope_option, show_json
from core import cards
from core.errors import InputError, LimenError
from core.events import Line, Person, PersonaKey
from core.memory import Memory
from core.prompt import Prompt, Recalled, Scene, compose, own_names
from core.rules import Now, conditions, decide, phrases
from core.settings import Settings
from core.text import clean
from personas import library, shape
from personas.card import Card
from personas.library import Entry

if TYPE_CHECKING:
    from worker.embed import Embedder
    from worker.judge import Judge, Judged
    from worker.openai.fitting import Fitting
    from worker.render import Renderer

CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
LONGEST = 8192  # tokens of context that an estimate is made for
PATIENCE = 3.0  # seconds after which somebody who waits is told why


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to know: `given` has the options as they were typed."""

    entry: Entry
    card: Card
    text: str
    given: Mapping[str, Any]


@click.command("try", epilog='Example: limen persona try mira "What is a smartphone?" --time 23:00')
@click.argument("card", metavar="CARD", type=PersonaName())
@click.argument("text")
@click.option("--first", is_flag=True, help="As if this person had never spoken to it.")
@click.option("--time", "clock", metavar="HH:MM", help="As if it were so late. Without it, it is now.")
@click.option("--mood", metavar="NAME", default="", help="As if it felt this one of its emotions.")
@click.option(
    "--dial", "dials", metavar="NAME=VALUE", multiple=True, help="As if a trait stood there, such as warmth=0.9."
)
@click.option("--channel", metavar="NAME", default="", help="In this channel of its world.")
@click.option("--prompt", "whole", is_flag=True, help="Show the prompt even if the model is not asked.")
@scope_option(help="As the persona that lives there, with its state and memories. Without it, as nobody has met it.")
@account_option()
@json_option
@click.pass_context
def try_(ctx: click.Context, /, card: str, text: str, whole: bool, as_json: bool, **given: Any) -> None:
    """Show what a message would call for, without asking the model.

    CARD is a persona's name or the file of a card. What is shown: the rule that holds (or why each does not), whether
    it knows about what is asked, what comes to mind, and the prompt that would be sent, with its tokens. Most of
    the time that it takes goes into loading torch.
    """
    if given["clock"] and not re.fullmatch(CLOCK, given["clock"]):
        raise click.BadParameter("expected HH:MM, such as 22:30", param_hint="--time")
    if not text.strip():
        raise InputError("there is nothing in that message", 'say something: limen persona try mira "hello"')
    s = settings(ctx)
    entry = found(card, s.home)
    assert entry.card
    asked = Asked(entry=entry, card=entry.card, text=clean(text), given=given)
    _check(asked)
    result = asyncio.run(_tried(s, asked))
    if as_json:
        show_json(result)
    else:
        click.echo("\n".join(trypage.page(result, whole)))


def found(card: str, home: Path) -> Entry:
    """The card in a file, or of a name, and where it lies. Raises CardError or UnknownPersona."""
    if is_path(card):
        path = Path(card).expanduser()
        read = cards.read(path)
        return Entry(read.name, path, read)
    sound = cards.load(card, library.folders(home))
    return library.find(sound.name, library.folders(home))


def is_path(card: str) -> bool:
    """Is this a card's file, and not its name?"""
    return Path(card).suffix in (".yaml", ".yml") or "/" in card


def _check(asked: Asked) -> None:
    """What is given must be there in the card. Raises InputError."""
    card, mood, channel = asked.card, asked.given["mood"], asked.given["channel"]
    for dial in _given_dials(asked.given["dials"]):
        _must_be(card, "trait", dial, card.traits)
    if mood:
        _must_be(card, "emotion", mood, [emotion.name for emotion in card.emotions])
    channels = {name.lstrip("#").casefold(): name for name in card.world.channels}
    if channel and channel.lstrip("#").casefold() not in channels:
        _must_be(card, "channel", channel, channels.values())


def _must_be(card: Card, what: str, given: str, known: Collection[str]) -> None:
    if given not in known:
        there = f"there is: {', '.join(known)}" if known else "there are none"
        raise InputError(f"{card.name} has no {what} {given!r}{shape.near(given, known)}", there)


async def _tried(settings: Settings, asked: Asked) -> dict[str, Any]:
    async with _patience():
        if not asked.given["scope"]:
            return await _judged(settings, asked, None)
        async with parts(settings, await up.ensure_redis(settings)) as p:
            return await _judged(settings, asked, p)


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    """Tell whoever waits for long that it goes on."""

    async def tell() -> None:
        await asyncio.sleep(PATIENCE)
        click.echo(
            "loading what compares meanings, and comparing the message with all that the card says ...", err=True
        )

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _judged(settings: Settings, asked: Asked, p: Parts | None) -> dict[str, Any]:
    """Everything about one message. `p` is there if a living persona is asked."""
    from worker.compose import foreseen
    from worker.judge import reminded

    embedder = await asyncio.to_thread(working.embedder, settings)
    judge = await _judge(settings, asked, embedder, p)
    scene, dials, memories = await _self(asked, embedder, p)
    now = judge.now(asked.text, dials)
    now = msgspec.structs.replace(now, first_contact=asked.given["first"], mood=asked.given["mood"])
    now = msgspec.structs.replace(now, clock=asked.given["clock"] or now.clock)
    first = await judge.judge(asked.card, now)
    judged = reminded(first, memories)
    now = msgspec.structs.replace(now, near=await judge.near(asked.card, asked.text))
    prompt = compose(msgspec.structs.replace(scene, **foreseen(judged)))
    return {
        "card": asked.card.name,
        "text": asked.text,
        "does": _does(asked.card, judged),
        "rule": judged.decision.name if judged.decision else None,
        "rules": _rules(asked.card, now),
        **_limits(asked.card, judged),
        "untold": _untold(settings, embedder, first, judged),
        "details": [part.text for part in prompt.asides if part.name.startswith("detail-")],
        "facts": list(judged.facts),
        "passages": [{"from": one.name, "near": round(one.near, 3), "text": one.text} for one in judged.passages],
        "memories": [msgspec.to_builtins(one) for one in scene.memories],
        "dials": {name: round(value, 4) for name, value in dials.items()},
        **await asyncio.to_thread(_prompt, settings, prompt, asked.card),
    }


async def _judge(settings: Settings, asked: Asked, embedder: "Embedder | None", p: Parts | None) -> "Judge":
    """Decides as a worker does, with the texts of the living persona, or of one that begins now."""
    from core.store.knowledge import Knowledge
    from worker.judge import Judge
    from worker.nearness import Nearness
    from worker.shelf import Shelf

    new = None if p or not embedder else await shelving.foresee(settings, asked.entry, embedder.id)
    shelf = Shelf(Knowledge(p.client)) if p else Shelf(new) if new else None
    nearness = Nearness(embedder, settings.worker.cache) if embedder else None
    conversations, unknown = p.conversations if p else None, settings.knowledge.unknown
    return Judge(conversations, nearness, settings.timezone, shelf=shelf, unknown=unknown, patient=True)


async def _self(
    asked: Asked, embedder: "Embedder | None", p: Parts | None
) -> "tuple[Scene, dict[str, float], tuple[Memory, ...]]":
    """The scene without what is judged, where the dials stand, and what is remembered."""
    card, given = asked.card, asked.given
    line = Line("try", Person("console:local:me", "You"), asked.text, time.time())
    scene = Scene(card=card, lines=(), new=(line,), channel=given["channel"])
    dials = {name: trait.value for name, trait in card.traits.items()}
    memories: tuple[Memory, ...] = ()
    if p:
        key = PersonaKey(given["account"], card.name, given["scope"])
        state = await p.growth.state(key, card)
        dials = dict(state.traits)
        memories, shown = await _remembered(p, embedder, key, scene)
        scene = msgspec.structs.replace(scene, traits=dials, memories=shown)
    dials |= _given_dials(given["dials"])
    return scene, dials, memories


async def _remembered(
    p: Parts, embedder: "Embedder | None", key: PersonaKey, scene: Scene
) -> "tuple[tuple[Memory, ...], tuple[Recalled, ...]]":
    from worker.recall import met

    recall = working.recalling(p, embedder)
    found = await recall.touched(key, "", (), scene.new)
    return found, recall.shown(found, time.time(), met(found, scene.new, own_names(scene.card)))


def _given_dials(given: tuple[str, ...]) -> dict[str, float]:
    """`warmth=0.9` and its like. Raises InputError."""
    found = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InputError(f"--dial {one} is not NAME=VALUE", "such as --dial warmth=0.9") from error
    return found


def _does(card: Card, judged: "Judged") -> dict[str, str]:
    """What would come of it."""
    from worker.judge import given

    if found := given(card, judged, 0):
        return {"act": found.act, "text": found.text, "emoji": found.emoji, "by": found.by}
    return {"act": "say", "text": "", "emoji": "", "by": "the model"}


def _rules(card: Card, now: Now) -> list[dict[str, Any]]:
    decision = decide(card.rules, now)
    return [
        {
            "name": f"rules[{number}]",
            "act": rule.act,
            "what": rule.say or rule.steer or rule.react,
            "fires": decision is not None and decision.number == number,
            "conditions": [msgspec.to_builtins(one) for one in conditions(rule.when, now)],
        }
        for number, rule in enumerate(card.rules)
    ]


def _limits(card: Card, judged: "Judged") -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "knowledge": msgspec.to_builtins(verdict) if verdict else None,
        "admits": judged.unknown,
        "declines": judged.declines or None,
        "foreign": judged.foreign,
        "phrases": len(phrases(card.rules)),
    }


def _untold(settings: Settings, embedder: "Embedder | None", first: "Judged", judged: "Judged") -> str:
    """Why nothing is said of what it knows; empty if something is. `first`: before it was reminded of anything."""
    if judged.verdict:
        return ""
    if embedder is None:
        return "no embedder, so nothing can be said of what it knows"
    if settings.knowledge.unknown == "off":
        return "the setting knowledge.unknown is off, so the card's limits do not count"
    return "it remembers what somebody said of this" if first.verdict else "a fault, so nothing can be said"


def _prompt(settings: Settings, prompt: Prompt, card: Card) -> dict[str, Any]:
    """Section by section, and as the model would be given it."""
    renderer, trouble = _renderer(settings)
    rendered = renderer.render(prompt, card.sampling.max_tokens)
    parts = [(part.name, part.text) for part in (*prompt.system, *prompt.asides)]
    parts += [(f"example, {said.role}", said.text) for said in prompt.examples]
    return {
        "sections": [{"name": name, "tokens": renderer.count(text), "text": text} for name, text in parts],
        "messages": list(rendered.messages),
        "tokens": len(rendered.tokens),
        "tokens_by": trouble or settings.model.ref,
        "dropped": list(rendered.dropped),
    }


def _renderer(settings: Settings) -> "tuple[Renderer | Fitting, str]":
    """Of the model, or an estimate with the reason why it is only that."""
    from worker.openai.fitting import Fitting

    if settings.model.engine != "openai" and not settings.model.ref.startswith("echo:"):
        try:
            from worker.counting import renderer

            return renderer(settings), ""
        except (LimenError, ImportError, OSError, ValueError) as error:
            return Fitting(settings.model.context or LONGEST), f"an estimate, for {error}"
    return Fitting(settings.model.context or settings.openai.context), "an estimate, for only the server can count"
