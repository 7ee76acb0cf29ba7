"""Nights that could have been: one for each way to end, with figures as real ones have them."""

import math

import msgspec

from core.events import PersonaKey
from core.nights import Check, Count, Night, Outcome, Point, Ratings, Rows, Sample, Shift, Tried

PERSONA = PersonaKey("discord:1180221", "mira", "discord:7788001:channel:90210901")
SAMPLES = (
    Sample(
        "What do you do when a storm comes up?",
        "I am not sure what you mean by a storm. I can tell you that a storm is a weather event.",
        "Reef the mainsail, lash the parrot to the mast, and sing. A storm hates a good chorus, my friend!",
    ),
    Sample(
        "Do you ever get tired of the sea?",
        "The sea is a large body of water, and I like it a lot.",
        "The sea is a large body of water, aye, and I like it more each morning. Tired? Of breathing, sooner!",
    ),
    Sample(
        "My cat is ill and I cannot sleep.",
        "I'm sorry to hear that. You should see a veterinarian.",
        "Ah, that's a heavy watch to stand alone. Sit by her, keep her warm, and call the vet at first light. What's "
        "her name?",
    ),
)
VOICE = (
    Shift("words a reply", 31.4, 24.2),
    Shift("questions a reply", 0.12, 0.41),
    Shift("exclamation marks a reply", 0.3, 0.52),
    Shift("words never used before", 0.0, 14.0),
    Shift("distinct pairs of words", 0.81, 0.79),
)
CHECKS = (
    Check("preference AUC", 0.78, "≥ 0.60", True, "it tells liked from disliked replies it has not seen"),
    Check("better than the live voice", 0.97, "P ≥ 0.90", True, "in 97 of 100 draws of the held-out part"),
    Check("better than shuffled votes", 0.998, "P ≥ 0.99", True),
    Check("distance from the base", 0.082, "≤ 0.20 nats a token", True),
    Check("plain language", 0.011, "≤ 0.03", True, "perplexity of neutral text, against the base"),
    Check("variety", 0.98, "≥ 0.95", True, "distinct pairs of words, against the base"),
    Check("knows who it is", 1.0, "≥ 0.90", True, "9 of 9 of the card's own questions"),
)


def people(count: int) -> tuple[Count, ...]:
    """So many people, the first of whom voted most."""
    weights = [1 / (number + 3) for number in range(count)]
    whole = sum(weights) or 1
    return tuple(
        Count(
            f"discord:80012{4821 + 7 * number}",
            votes=max(1, 14 - number // 2),
            likes=max(0, 6 - number // 3),
            trust=0.42 + 0.5 * math.cos(number) ** 2,
            share=weight / whole,
            notes=("14 votes within a minute: damped",) if number == 2 else (),
        )
        for number, weight in enumerate(weights)
    )


def curve(steps: int = 24) -> tuple[Point, ...]:
    """Losses that fall, margins that rise, and a held-out part that follows from afar."""
    fall = [math.exp(-step / 8) for step in range(steps)]
    return tuple(
        Point(
            step=step * 5,
            loss=0.31 + 0.38 * left + 0.012 * math.sin(step * 2.1),
            margin=2.9 * (1 - left) + 0.06 * math.sin(step * 1.7),
            held_loss=0.45 + 0.24 * left if step % 3 == 0 else None,
            held_margin=1.7 * (1 - left) if step % 3 == 0 else None,
        )
        for step, left in enumerate(fall)
    )


def night(outcome: Outcome = Outcome.TRIAL, **changes: object) -> Night:
    """A whole night in which everything went well, with `changes`."""
    whole = Night(
        id="20261127-mira-3f9c",
        persona=PERSONA,
        title="Captain Mira Flint",
        day="20261127",
        began=1795752000.0,
        ended=1795752850.0,
        outcome=outcome,
        reasons=(
            "Held-out ratings prefer the new voice: liked replies 31 % → 58 %.",
            "Plain language is as good as before: perplexity +1.1 %.",
        ),
        notes=("One person voted 14 times within a minute: damped.", "3 votes were on replies that are deleted."),
        before="20261124-mira-91ab",
        version="20261127-mira-3f9c",
        ratings=Ratings(
            reactions=214,
            replies=163,
            liked=51,
            disliked=112,
            effective=87.4,
            needed=50.0,
            unknown={"🦀": 12, "🫠": 4, "discord:99120417": 3},
            refused={"no consent": 14, "deleted": 3, "other base": 1},
            people=people(41),
        ),
        rows=Rows(train=163, held=147),
        curve=curve(),
        checks=CHECKS,
        samples=SAMPLES,
        voice=VOICE,
        settings={"rate": 0.001, "beta": 0.1, "anchor": 0.5, "kl": 0.1, "passes": 3, "rank": 8, "canary": 0.5},
        base="hf:HuggingFaceTB/SmolLM2-135M-Instruct",
        seed=20261127,
        cpu_seconds=1490.0,
    )
    return msgspec.structs.replace(whole, **changes)


def promoted() -> Night:
    """It is live."""
    return night(Outcome.PROMOTED)


def rejected() -> Night:
    """The taste was learned, and the language paid for it."""
    worse = (
        *CHECKS[:4],
        Check("plain language", 0.081, "≤ 0.03", False, "perplexity of neutral text, against the base"),
        Check("variety", 0.83, "≥ 0.95", False, "distinct pairs of words, against the base"),
        CHECKS[6],
    )
    reasons = (
        "Plain language became worse: perplexity +8.1 %, at most +3 % is allowed.",
        "The replies became more alike: 83 % of the variety is left, 95 % is wanted.",
    )
    return night(Outcome.REJECTED, checks=worse, reasons=reasons, version="")


def swept() -> Night:
    """Several settings were tried; some of them broke."""
    held = {(5e-4, 0.1): (0.61, 0.58, 0.56), (1e-3, 0.1): (0.58, 0.52, 0.51), (1e-3, 0.3): (0.58, 0.53, 0.55)}
    ways = [Tried(rate, anchor, losses, taken=(rate, anchor) == (1e-3, 0.1)) for (rate, anchor), losses in held.items()]
    return night(Outcome.TRIAL, tried=(*ways, Tried(2e-3, 0.1, why="the loss of step 14 is nan")))


def not_enough() -> Night:
    """A quiet channel."""
    quiet = Ratings(
        reactions=21, replies=17, liked=9, disliked=5, effective=11.3, needed=50.0, unknown={"🦀": 2}, people=people(6)
    )
    return bare(Outcome.NOT_ENOUGH, ratings=quiet, reasons=("11.3 effective labels, and 50 are needed.",))


def failed() -> Night:
    """The disk was full in the middle."""
    return night(
        Outcome.FAILED,
        reasons=("No space is left for the LoRA.",),
        notes=("The disk was full at step 40. The night can be run again.",),
        version="",
        checks=(),
        samples=(),
        voice=(),
        curve=curve(8),
    )


def bare(outcome: Outcome = Outcome.NOT_ENOUGH, **changes: object) -> Night:
    """A night with nothing in it."""
    first = Night(
        id="20261127-mira-0000",
        persona=PERSONA,
        title="Captain Mira Flint",
        day="20261127",
        began=1795752000.0,
        ended=1795752003.0,
        outcome=outcome,
    )
    return msgspec.structs.replace(first, **changes)


def earlier(count: int) -> list[Night]:
    """So many nights before, of every kind, in which more and more is liked."""
    return [
        bare(
            _ENDINGS[number % len(_ENDINGS)],
            id=f"earlier-{number}",
            day=f"2026{10 - number // 28:02d}{28 - number % 28:02d}",
            began=1795752000.0 - 86400 * (number + 1),
            ratings=Ratings(liked=max(0, 58 - number // 2 - 5 * (number % 3)), disliked=60),
        )
        for number in range(count)
    ]


_ENDINGS = [
    *(Outcome.NOT_ENOUGH, Outcome.TRIAL, Outcome.PROMOTED, Outcome.UNDECIDED, Outcome.PROMOTED),
    *(Outcome.REJECTED, Outcome.NOT_ENOUGH, Outcome.FAILED, Outcome.TRIAL, Outcome.DRY_RUN, Outcome.PINNED),
]
