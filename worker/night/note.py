"""The morning note: a night in one to four lines, for a channel of the operator's choice. Pure."""

from core.nights import Night, Outcome, Ratings
from core.text import clean, shorten
from worker.night import words

LONGEST = 240  # characters of a line


def note(night: Night) -> str:
    """What people who talk to this persona may want to know in the morning. Nobody is named, and no id is in it."""
    lines = [_first(night, shorten(clean(night.title), 80)), *_why(night), _next(night)]
    return "\n".join(shorten(line, LONGEST) for line in lines if line)


def _first(night: Night, title: str) -> str:
    return {
        Outcome.PROMOTED: f"{title} had a good night: {came(night.ratings)}.",
        Outcome.TRIAL: f"{title} had a good night: {came(night.ratings)}.",
        Outcome.REJECTED: f"{title} practised last night, and it did not turn out better. {_stays(night)}",
        Outcome.UNDECIDED: f"{title} practised last night; whether it is better cannot be told yet. {_stays(night)}",
        Outcome.WAITING: f"{title} did not practise last night. {_stays(night)}",
        Outcome.NOT_ENOUGH: f"{title} is still listening: {came(night.ratings)}. {words.missing_words(night.ratings)}",
        Outcome.PINNED: f"{title} is pinned, and slept through the night.",
        Outcome.FAILED: f"{title} had a broken night. {_stays(night)}",
        Outcome.DRY_RUN: f"{title} had a rehearsal: trained and judged, and nothing of it was kept.",
    }[night.outcome].strip()


def _why(night: Night) -> list[str]:
    """The night's own first reason, where the first line has not said it already."""
    said = night.outcome in (Outcome.NOT_ENOUGH, Outcome.PINNED)
    return [] if said else [clean(reason) for reason in night.reasons[:1]]


def _next(night: Night) -> str:
    return {
        Outcome.PROMOTED: "The new voice is live.",
        Outcome.TRIAL: f"On trial with {words.trial_share(night)}.",
        Outcome.UNDECIDED: "The next night has more to go by.",
    }.get(night.outcome, "")


def _stays(night: Night) -> str:
    return "Everything stays as it was."


def came(ratings: Ratings) -> str:
    """What there was to learn from, as half a sentence: not what came last night alone, but all that is kept."""
    reactions = words.many(ratings.reactions, "reaction") if ratings.reactions else "no reactions"
    people = f" from {words.many(ratings.voters, 'person')}" if ratings.voters else ""
    liked, whole = ratings.liked + ratings.disliked, " in all" if ratings.reactions else ""
    return f"{reactions}{people}{whole}" + (f", {words.percent(ratings.liked / liked)} liked" if liked else "")
