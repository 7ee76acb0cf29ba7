"""worker/feeling.py: what is felt beside a reply, by likelihoods of the tiny model, and by nearness without them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.events import PersonaKey, Place
from core.jobs import Done
from core.personality import State
from core.store.conversations import Talk
from core.votes.taste import Floats
from personas.card import Card, Emotion, Exchange, Voice
from tests.fakes.engines import ask as request
from tests.fakes.engines import engine, run
from tests.fakes.jobs import job
from worker.compose import Ask
from worker.echo import Echo
from worker.embed import HashEmbedder
from worker.feeling import LONGEST, Feelings, shortened
from worker.generator import Rendered, Request
from worker.inner import Inner

CARD = Card(
    name="mira", title="Captain Mira", description="A pirate.",
    voice=Voice(examples=tuple(Exchange(user="hi", reply=text) for text in ("Aye.", "So it is.", "Well, well."))),
    emotions=(Emotion(name="happy", emoji="😄"), Emotion(name="sad", emoji="😢"), Emotion(name="angry", emoji="😠")),
    actions=("waves a flag", "sings a song"),
)  # fmt: skip
DONE = Done(
    job="j", reply_id="r", conversation="c", place=Place("a", "b", "c"), persona=PersonaKey("a", "mira", "s"),
    text="Arr, what a day this is!",
)  # fmt: skip


def ask(card: Card = CARD, state: State | None = None) -> Ask:
    """A job whose reply is there; only what feelings look at is filled in."""
    claim: Any = type("Claim", (), {"job": job("j"), "fence": 1})()
    return Ask(
        claim=claim, card=card, request=request(0, name="j:1"), rendered=Rendered(messages=(), tokens=(1,)),
        talk=Talk(()), new=(), older=(), group=False, inner=Inner(state or State(), {}),
    )  # fmt: skip


class Scores:
    """Likelihoods that a test makes up: `felt` by the word, after replies that hold `mark`; -5 elsewhere."""

    def __init__(self, mark: str, **felt: float) -> None:
        self.mark, self.felt, self.asked = mark, felt, list[str]()

    def weighing(self, name: str, lead: str, choices: Sequence[str], asked: Request) -> Request:
        self.asked.append(lead)
        words = [choice.split()[0] for choice in choices]
        scores = [self.felt.get(word, -5.0) if self.mark in lead else -5.0 for word in words]
        return msgspec.structs.replace(asked, id=name, choices=tuple((round(-100 * score),) for score in scores))


async def told(asked: Request) -> tuple[float, ...]:
    """What `Scores` has written down."""
    return tuple(-choice[0] / 100 for choice in asked.choices)


async def near(texts: Sequence[str]) -> Floats | None:
    """By spelling; and who speaks of a day is near to a song."""
    return HashEmbedder().embed([f"{text} sings a song" if "day" in text else text for text in texts])


def feelings(show: Any, generator: Any) -> Feelings:
    """With an embedder that none of these should need."""
    return Feelings(show, generator, near)


async def test_a_clear_feeling_is_shown_and_one_that_is_not_is_only_known() -> None:
    """By its emoji; and what is known of it goes on record."""
    clear = await feelings("reaction", Scores("day", happy=-1.0)).beside(ask(), DONE, told)
    faint = await feelings("reaction", Scores("day", happy=-4.9)).beside(ask(), DONE, told)

    assert ("happy", "😄", "") == (clear.emotion, clear.emoji, clear.action)
    assert ("happy", "", "") == (faint.emotion, faint.emoji, faint.action)


async def test_an_action_is_shown_where_the_reply_calls_for_it() -> None:
    """As the card words it; never beside one that does something already, or ends in code."""
    it = feelings("both", Scores("day", sings=-1.0))
    calm, acts = (msgspec.structs.replace(DONE, text=text) for text in ("Well.", "*bows* what a day"))

    assert ["", ""] == [(await it.beside(ask(), done, told)).action for done in (calm, acts)]
    assert "sings a song" == (await it.beside(ask(), DONE, told)).action


async def test_not_every_reply_comes_with_an_action() -> None:
    """After one, the next two have none; another conversation has its own."""
    it = feelings("action", Scores("day", sings=-1.0))
    elsewhere = msgspec.structs.replace(DONE, conversation="other")

    found = [bool((await it.beside(ask(), done, told)).action) for done in (DONE, DONE, elsewhere, DONE, DONE)]
    assert [True, False, True, False, True] == found


@pytest.mark.parametrize(("show", "wanted"), [("off", 0), ("reaction", 1), ("action", 1), ("both", 2)])
async def test_only_what_is_shown_is_weighed(show: str, wanted: int) -> None:
    """What is usual for a card is weighed once."""
    scores = Scores("day")
    it = feelings(show, scores)
    for _ in range(2):
        await it.beside(ask(), DONE, told)

    assert wanted * (2 + 3) == len(scores.asked)
    assert bool(wanted) == it.wanted(CARD)


async def test_a_mood_tips_what_is_in_doubt() -> None:
    """It moved, and the reply could be either."""
    scores = Scores("day", happy=-2.9, angry=-3.0, sad=-9.0)
    cross = ask(state=State(mood=(-0.9, 0.4, 0.2), last=5.0))

    assert "angry" == (await Feelings("reaction", scores, near, lambda: 5.0).beside(cross, DONE, told)).emotion
    assert "happy" == (await Feelings("reaction", scores, near, lambda: 5e5).beside(cross, DONE, told)).emotion


@pytest.mark.parametrize("done", [
    msgspec.structs.replace(DONE, text=""), msgspec.structs.replace(DONE, act="silent"),
    msgspec.structs.replace(DONE, cancelled=True), msgspec.structs.replace(DONE, act="react", emoji="👍"),
])  # fmt: skip
async def test_beside_no_words_nothing_is_felt(done: Done) -> None:
    """Nor beside a reply that somebody stopped."""
    assert done == await feelings("both", Scores("")).beside(ask(), done, told)


async def test_a_card_without_feelings_has_none() -> None:
    """One alone is no choice, either."""
    one = msgspec.structs.replace(CARD, emotions=CARD.emotions[:1], actions=())

    assert not feelings("both", Scores("")).wanted(one)
    assert DONE == await feelings("both", Scores("")).beside(ask(one), DONE, told)


async def test_without_likelihoods_nearness_chooses() -> None:
    """As behind an OpenAI-compatible server; without an embedder, nothing is felt."""

    async def nothing(texts: Sequence[str]) -> Floats | None:
        return None

    happy = msgspec.structs.replace(DONE, text="I am so happy, happy, happy!")

    assert "happy" == (await feelings("reaction", Echo()).beside(ask(), happy, told)).emotion
    assert happy == await Feelings("reaction", Echo(), nothing).beside(ask(), happy, told)


async def test_the_engine_weighs_it() -> None:
    """The tiny model, its own tokens, a batch of all that is asked at once."""
    batch = engine()

    async def weigh(asked: Request) -> tuple[float, ...]:
        return run(batch, asked)[0][asked.id].scores

    felt = await feelings("both", batch).beside(ask(), DONE, weigh)

    assert felt.emotion in {emotion.name for emotion in CARD.emotions}


def test_of_a_long_reply_its_end_is_looked_at() -> None:
    """From the beginning of a word."""
    short = shortened("word " * 200 + "the end.")

    assert short.startswith("word word")
    assert short.endswith("the end.")
    assert len(short) <= LONGEST
    assert LONGEST == len(shortened("x" * 1000))
