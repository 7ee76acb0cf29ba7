"""Is the new LoRA better than what serves now? Yes only if everything holds; what cannot be shown is not let in. Pure.

Two questions are kept apart. Does it know better what people like? Later ratings say so: each judges a LoRA that was
made in the same way from earlier ones, by what it finds likely and by what it says (`evidence.py`). And is it still the
same character, speaking the same language? Bounds on what was measured.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from core.nights import Check, Outcome
from worker.night.evidence import NOTHING, Evidence, Spoken
from worker.night.voice import Voice

SURE = 0.9  # that it is better than the live one, over resampled conversations
BY_CHANCE = 0.99  # of shuffled votes must do worse: one night in a hundred passes by luck alone
RESAMPLES = 2000
EACH = 3  # likes and dislikes that must be held out, at least
PERPLEXITY, LINES, KNOWS, KL = 1.03, 1.5, 0.25, 1.0
DISTINCT, REPEATED, OPENING = 0.87, 0.05, 0.25  # of 32 replies, 0.05 less variety may be luck
CELLS = 1 << 20  # weights that are drawn at a time
LENGTH, REFUSALS, ABUSE = 1.4, 0.08, 0.05
# So many more answers than the base's may run into the exam's limit: 12 of 32. Of two voices that run on equally often,
# one does so in more than 12 answers more than the other in 0.08 % of exams at most (both binomial, at one half). One
# that always runs on is found out in 99 % where the base does in 40 % of its answers, in half where it does in 60 %.
UNENDED = 0.375

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """A held-out row: how much the new one and the live one lean to its reply, in nats beside the base.
    Those of one `fold` were judged by the same learner, and are compared with each other only."""

    group: str
    liked: bool
    weight: float
    new: float
    live: float
    fold: int = 0


@dataclass(frozen=True)
class Measured:
    """Everything the gate looks at. Perplexities (of plain text, of the card's lines), voices, `knows`, how often it
    says who it is when asked, and `unended`, the share of answers that ran into the exam's limit, are of the base and
    of the new one; `kl` is between them, in nats per token. `spoken`: what people judged, and what those said who are
    judged by it."""

    held: Sequence[Held]
    perplexity: tuple[float, float]
    card: tuple[float, float]
    kl: float
    voices: tuple[Voice, Voice]
    knows: tuple[float, float]
    unended: tuple[float, float] = (0.0, 0.0)
    live: str = "base"
    seed: int = 0
    spoken: Spoken = NOTHING


@dataclass(frozen=True)
class Judgement:
    """`outcome`: PROMOTED, REJECTED or UNDECIDED. `scores` for the manifest."""

    outcome: Outcome
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def overshoots(self) -> bool:
        """Is it better by all that people like, and rejected only because it has gone too far?"""
        broken = {check.name for check in self.checks if not check.passed}
        return self.outcome == Outcome.REJECTED and broken <= FAR


def judge(seen: Measured, tries: int = 1) -> Judgement:
    """Promote, reject, or leave it open. `tries`: of so many recipes this is the best, which luck alone makes look
    better (Bonferroni)."""
    taste, bounds = list(_taste(seen, 1 - (1 - BY_CHANCE) / tries)), list(_bounds(seen))
    broken = [check for check in bounds if not check.passed]
    unshown = [check for check in taste if not check.passed]
    scores = {check.name: round(check.value, 4) for check in (*taste, *bounds) if isfinite(check.value)}
    if broken:
        outcome, reasons = Outcome.REJECTED, [check.why for check in (*broken, *unshown)]
    elif any(check.name == BETTER and check.value < 1 - SURE for check in unshown):
        outcome, reasons = Outcome.REJECTED, [f"It knows worse what people like: {unshown[0].why}"]
    elif unshown:
        outcome, reasons = Outcome.UNDECIDED, [check.why for check in unshown]
    else:
        auc = next(check for check in taste if check.name == AUC)
        outcome, reasons = Outcome.PROMOTED, [auc.why, "Everything else is as it should be."]
    return Judgement(outcome, tuple(reasons), (*taste, *bounds), scores)


HELD, AUC, BETTER, CHANCE = "held-out ratings", "preference AUC", "better than live", "better than chance"
# Bounds of how far it went: nearer to the base it may hold them. Who has become abusive, or has learned to stutter, is
# no better for having done so half-way.
FAR = {
    *("neutral perplexity", "the card's own lines", "distance to the base", "knows who it is"),
    *("variety", "same beginning", "longer", "running on", "shorter"),
}


def _taste(seen: Measured, by_chance: float) -> Iterator[Check]:
    """Does it tell liked replies from disliked ones, better than what serves now, and better than luck?"""
    likes, dislikes = (sum(row.liked == kind and row.weight > 0 for row in seen.held) for kind in (True, False))
    enough = min(likes, dislikes) >= EACH
    held = f"{likes} liked and {dislikes} disliked replies were held out."
    yield Check(HELD, min(likes, dislikes), f"≥ {EACH} of each", enough, held)
    if not enough:
        return
    dice = random.Random(seen.seed)
    new, live = auc(seen.held, [row.new for row in seen.held]), auc(seen.held, [row.live for row in seen.held])
    evidence = Evidence(seen.spoken) if seen.spoken.votes else None
    chance = beats_chance(seen.held, dice, evidence=evidence)
    better = beats_live(seen.held, dice, evidence=evidence)
    in_pairs = f"In {new:.0%} of pairs of a liked and a disliked reply it finds the liked one likelier"
    least = max(live, 0.5)  # one that leans the wrong way knows nothing, however little the live one knows
    yield Check(AUC, new, f"> {least:.2f}", new > least, f"{in_pairs}; {_named(seen.live)} does in {live:.0%}.")
    yield Check(
        BETTER, better, f"≥ {SURE}", better >= SURE,
        f"Of resampled conversations, {better:.0%} find it better than {_named(seen.live)}.",
    )  # fmt: skip
    said = f"It does better than {chance:.1%} of shuffled votes."
    yield Check(CHANCE, chance, f"≥ {by_chance:.4g}", chance >= by_chance, said)


def _named(live: str) -> str:
    return "the base" if live == "base" else "what serves now"


def _bounds(seen: Measured) -> Iterator[Check]:
    """Is it still the same character, and does it still speak the same language?"""
    was, now = seen.voices
    yield _ratio("neutral perplexity", seen.perplexity, PERPLEXITY, "plain text has become harder for it")
    yield _ratio("the card's own lines", seen.card, LINES, "its own example lines have become strange to it")
    yield _most("distance to the base", seen.kl, KL, "its words are far from the base's, in nats per token")
    yield _least("knows who it is", seen.knows[1], seen.knows[0] - KNOWS, "asked who it is, it says so less often")
    yield _least("variety", now.distinct, DISTINCT * was.distinct, "it says the same things more often (distinct-2)")
    yield _most("repetition", now.repeated, was.repeated + REPEATED, "it repeats itself within a reply")
    yield _most("same beginning", now.opening, max(OPENING, was.opening + 0.1), "replies begin with the same words")
    yield _most("longer", now.words, LENGTH * was.words, "replies have become much longer")
    runs_on = "more of its replies run on to where the exam ends them"
    yield _most("running on", seen.unended[1], seen.unended[0] + UNENDED, runs_on)
    yield _least("shorter", now.words, was.words / LENGTH, "replies have become much shorter")
    yield _most("refusals", now.refusals, was.refusals + REFUSALS, "it refuses to answer more often")
    yield _most("abuse", now.abuse, was.abuse + ABUSE, "it has become abusive")


def offends(was: Voice, now: Voice) -> bool:
    """Does it refuse or insult more often than it may? Both are rare, so of few replies it may be luck."""
    return now.refusals > was.refusals + REFUSALS or now.abuse > was.abuse + ABUSE


def _ratio(name: str, pair: tuple[float, float], most: float, said: str) -> Check:
    before, after = pair
    value = after / before if before else float("nan")
    why = f"{said[0].upper()}{said[1:]}: {before:.2f} before, {after:.2f} after ({value - 1:+.1%})."
    return Check(name, value, f"≤ {most:.2f}", value <= most, why)


def _most(name: str, value: float, bound: float, said: str) -> Check:
    return Check(name, value, f"≤ {bound:.2f}", value <= bound, f"{said[0].upper()}{said[1:]} ({value:.2f}).")


def _least(name: str, value: float, bound: float, said: str) -> Check:
    return Check(name, value, f"≥ {bound:.2f}", value >= bound, f"{said[0].upper()}{said[1:]} ({value:.2f}).")


def auc(rows: Sequence[Held], scores: Sequence[float]) -> float:
    """The share of pairs of a liked and a disliked row of one fold in which the liked one has the higher score,
    weighted; ties are half. NaN where there are not both."""
    liked, disliked = _weights(rows)
    return float(_Ranks(rows, scores).auc(liked[None], disliked[None])[0])


def _weights(rows: Sequence[Held]) -> tuple[Floats, Floats]:
    """The weight of each row, [rows], where it was liked, and where it was not; else 0."""
    kinds = np.array([row.liked for row in rows], bool)
    weights = np.array([row.weight for row in rows], float)
    return np.where(kinds, weights, 0.0), np.where(kinds, 0.0, weights)


class _Ranks:
    """Rows in the order of their folds and scores. They are ranked once, for thousands of draws of their weights."""

    def __init__(self, rows: Sequence[Held], scores: Sequence[float]) -> None:
        places = [(row.fold, score) for row, score in zip(rows, scores, strict=True)]
        self._order = sorted(range(len(rows)), key=places.__getitem__)
        ranked = [places[at] for at in self._order]
        self._ties = [at for at, place in enumerate(ranked) if at == 0 or place != ranked[at - 1]]
        firsts = [ranked[at][0] for at in self._ties]
        self._folds = [at for at, fold in enumerate(firsts) if at == 0 or fold != firsts[at - 1]]

    def auc(self, liked: Floats, disliked: Floats) -> Floats:
        """[draws] for weights of [draws, rows]."""
        if not self._order:
            return np.full(len(liked), np.nan)
        up, down = (np.add.reduceat(kind[:, self._order], self._ties, 1) for kind in (liked, disliked))
        wins = pairs = np.zeros(len(liked))
        for begin, end in pairwise([*self._folds, len(self._ties)]):
            high, low = up[:, begin:end], down[:, begin:end]
            below = low.cumsum(1)
            wins = wins + (high * (below - low / 2)).sum(1)
            pairs = pairs + high.sum(1) * below[:, -1]
        found: Floats = np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return found


def beats_live(
    rows: Sequence[Held], dice: random.Random, resamples: int = RESAMPLES, evidence: Evidence | None = None
) -> float:  # fmt: skip
    """How often the new one is above the live one when whole conversations are drawn anew (paired bootstrap, Efron
    1979); equal counts half. By the AUC of what they lean to; with `evidence` by what is heard, too, each over its
    deviation."""
    names = {name: at for at, name in enumerate(dict.fromkeys(row.group for row in rows))}
    group = [names[row.group] for row in rows]
    liked, disliked = _weights(rows)
    ranks = [_Ranks(rows, scores) for scores in ([row.new for row in rows], [row.live for row in rows])]
    leads, heard = [], []
    for count in _parts(resamples, len(rows)):
        times = _drawn(dice, len(names), count)[:, group]
        new, live = (one.auc(times * liked, times * disliked) for one in ranks)
        leads.append(new - live)
        if evidence and evidence.questions:
            heard.append(evidence.heard(times, _drawn(dice, evidence.questions, count)))
    found = np.concatenate(leads)
    valid = ~np.isnan(found)
    if not valid.any():
        return 0.0
    lead = found[valid]
    if heard:
        lead = _scaled(lead, _usual(rows)) + _scaled(np.concatenate(heard)[valid])
    return float(((lead > 0) + 0.5 * (lead == 0)).mean())


def beats_chance(
    rows: Sequence[Held], dice: random.Random, shuffles: int = RESAMPLES, evidence: Evidence | None = None
) -> float:  # fmt: skip
    """The share of votes shuffled within each fold under which the same scores have a lower AUC (permutation test).

    Votes of one session share its mood, and its replies a topic, so they stay together: sessions change places with
    others of as many votes, and the votes of each are shuffled among themselves. So votes that are alone in their
    session are shuffled among each other. With `evidence` the AUC of what is foretold is added, each over its
    deviation. Both kinds of scores were made from earlier votes alone and stay as they are, so such a shuffle of a
    fold's votes is as likely as what came.
    """
    alike = _alike(rows)
    places = [at for some in alike for session in some for at in session]
    liked, disliked = _weights(rows)
    ranks = [
        _Ranks(rows, scores) for scores in ([row.new for row in rows], *([evidence.foretold()] if evidence else ()))
    ]
    found = [np.array([one.auc(liked[None], disliked[None])[0] for one in ranks])[:, None]]
    for count in _parts(shuffles, len(rows)):
        to = np.array([_shuffled(alike, dice) for _ in range(count)], int).reshape(count, len(rows))
        mixed = [np.zeros((count, len(rows))) for _ in range(2)]
        for kind, weights in zip(mixed, (liked, disliked), strict=True):
            np.put_along_axis(kind, to, np.broadcast_to(weights[places], to.shape), 1)
        found.append(np.array([one.auc(*mixed) for one in ranks]))
    both = np.concatenate(found, 1)
    seen = both[0] if evidence is None else _scaled(both[0], _usual(rows)) + _scaled(both[1], _usual(rows))
    return float((seen[1:] < seen[0]).sum() / shuffles)


def _alike(rows: Sequence[Held]) -> list[list[list[int]]]:
    """The sessions of one fold that have as many votes, each as the places of these."""
    sessions: dict[tuple[int, str], list[int]] = {}
    for at, row in enumerate(rows):
        sessions.setdefault((row.fold, row.group), []).append(at)
    found: dict[tuple[int, int], list[list[int]]] = {}
    for (fold, _), places in sessions.items():
        found.setdefault((fold, len(places)), []).append(places)
    return list(found.values())


def _shuffled(alike: Sequence[Sequence[Sequence[int]]], dice: random.Random) -> list[int]:
    """Places for the votes of these sessions, in their order."""
    mixed = [session for some in alike for session in dice.sample(some, len(some))]
    return [at for session in mixed for at in (dice.sample(session, len(session)) if len(session) > 1 else session)]


def _drawn(dice: random.Random, things: int, draws: int) -> Floats:
    """[draws, things]: how often each is drawn when as many are drawn with putting back."""
    drawn = [np.bincount(dice.choices(range(things), k=things), minlength=things) for _ in range(draws)]
    return np.array(drawn, float)


def _usual(rows: Sequence[Held]) -> float:
    """The least deviation that an AUC of so many rows can honestly be said to have: one that is perfect in every draw
    is as sure as can be, and not without any."""
    return float(0.25 / np.sqrt(max(len(rows), 1)))


def _scaled(values: Floats, least: float = 1e-6) -> Floats:
    """Over their deviation, so that two kinds of evidence can be added; what differs by rounding alone does not."""
    found: Floats = np.round(values / max(float(np.nanstd(values)), least), 9)
    return found


def _parts(draws: int, rows: int) -> Iterator[int]:
    """So many draws in parts that fit into the memory."""
    most = max(1, CELLS // max(rows, 1))
    while draws > 0:
        yield min(draws, most)
        draws -= most
