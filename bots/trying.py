"""`limen persona try`: what a message would call for, rule by rule, and the very prompt that would be sent. Sends none.

Imports the worker inside its functions. Without `--scope` nobody has met the persona, and no Redis is asked.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bots import trypage, up, working
from bots.assemble import Parts, parts, settings
from bots.options import PersonaName, account_option, json_option, scope_option, show_json
from core import cards
from core.errors import InputError, LimenError
from core.events import Line, Person, PersonaKey
from core.memory import Memory
from core.prompt import Recalled, Scene, compose, own_names
from core.rules import Now, conditions, decide, phrases
from core.settings import Settings
from core.text import clean
from personas import library
from personas.card import Card

if TYPE_CHECKING:
    from worker.embed import Embedder
    from worker.judge import Judge, Judged
    from worker.openai.fitting import Fitting
    from worker.render import Renderer

CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
LONGEST = 8192  # tokens of context that an estimate is made for


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to know: `given` has the options as they were typed."""

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
@scope_option(help="As the persona that lives there, with its state and memories. Without it, as nobody has met it.")
@account_option()
@json_option
@click.pass_context
def try_(ctx: click.Context, /, card: str, text: str, as_json: bool, **given: Any) -> None:
    """Show what a message would call for, without asking the model.

    CARD is a persona's name or the file of a card. What is shown: the rule that holds (or why each does not), whether
    it knows about what is asked, what comes to mind, and the prompt that would be sent, with its tokens.
    """
    if given["clock"] and not re.fullmatch(CLOCK, given["clock"]):
        raise click.BadParameter("expected HH:MM, such as 22:30", param_hint="--time")
    if not text.strip():
        raise InputError("there is nothing in that message", 'say something: limen persona try mira "hello"')
    s = settings(ctx)
    asked = Asked(card=found(card, s.home), text=clean(text), given=given)
    result = asyncio.run(_tried(s, asked))
    if as_json:
        show_json(result)
    else:
        click.echo("\n".join(trypage.page(result)))


def found(card: str, home: Path) -> Card:
    """The card in a file, or of a name. Raises CardError or UnknownPersona."""
    return cards.read(Path(card).expanduser()) if is_path(card) else cards.load(card, library.folders(home))


def is_path(card: str) -> bool:
    """Is this a card's file, and not its name?"""
    return Path(card).suffix in (".yaml", ".yml") or "/" in card


async def _tried(settings: Settings, asked: Asked) -> dict[str, Any]:
    if not asked.given["scope"]:
        return await _judged(settings, asked, None)
    async with parts(settings, await up.ensure_redis(settings)) as p:
        return await _judged(settings, asked, p)


async def _judged(settings: Settings, asked: Asked, p: Parts | None) -> dict[str, Any]:
    """Everything about one message. `p` is there if a living persona is asked."""
    from worker.judge import reminded

    embedder = await asyncio.to_thread(working.embedder, settings)
    judge = _judge(settings, embedder, p)
    scene, dials, memories = await _self(asked, embedder, p)
    now = judge.now(asked.text, dials)
    now = msgspec.structs.replace(now, first_contact=asked.given["first"], mood=asked.given["mood"])
    now = msgspec.structs.replace(now, clock=asked.given["clock"] or now.clock)
    judged = reminded(await judge.judge(asked.card, now), memories)
    now = msgspec.structs.replace(now, near=await judge.near(asked.card, asked.text))
    return {
        "card": asked.card.name,
        "text": asked.text,
        "does": _does(asked.card, judged),
        "rule": judged.decision.name if judged.decision else None,
        "rules": _rules(asked.card, now),
        **_limits(asked.card, judged),
        "details": [asked.card.world.details[place].text for place in judged.touched],
        "facts": list(judged.facts),
        "passages": [{"from": one.name, "near": round(one.near, 3), "text": one.text} for one in judged.passages],
        "memories": [msgspec.to_builtins(one) for one in scene.memories],
        "dials": {name: round(value, 4) for name, value in dials.items()},
        **await asyncio.to_thread(_prompt, settings, scene, judged, asked.card),
    }


def _judge(settings: Settings, embedder: "Embedder | None", p: Parts | None) -> "Judge":
    """Decides as a worker does. Knowledge files are in Redis, so they are seen with `--scope` only."""
    from core.store.knowledge import Knowledge
    from worker.judge import Judge
    from worker.nearness import Nearness
    from worker.shelf import Shelf

    shelf = Shelf(Knowledge(p.client)) if p else None
    nearness = Nearness(embedder, settings.worker.cache) if embedder else None
    conversations, unknown = p.conversations if p else None, settings.knowledge.unknown
    return Judge(conversations, nearness, settings.timezone, shelf=shelf, unknown=unknown)


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
    dials |= _given_dials(card, given["dials"])
    return scene, dials, memories


async def _remembered(
    p: Parts, embedder: "Embedder | None", key: PersonaKey, scene: Scene
) -> "tuple[tuple[Memory, ...], tuple[Recalled, ...]]":
    from worker.recall import met

    recall = working.recalling(p, embedder)
    found = await recall.touched(key, "", (), scene.new)
    return found, recall.shown(found, time.time(), met(found, scene.new, own_names(scene.card)))


def _given_dials(card: Card, given: tuple[str, ...]) -> dict[str, float]:
    """`warmth=0.9` and its like. Raises InputError."""
    found = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InputError(f"--dial {one} is not NAME=VALUE", "such as --dial warmth=0.9") from error
        if name not in card.traits:
            raise InputError(f"{card.name} has no trait {name!r}", f"there is: {', '.join(card.traits) or 'none'}")
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


def _prompt(settings: Settings, scene: Scene, judged: "Judged", card: Card) -> dict[str, Any]:
    """The prompt, section by section, and as the model would be given it."""
    from worker.compose import foreseen

    prompt = compose(msgspec.structs.replace(scene, **foreseen(judged)))
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
