"""What a night says in words and figures, for the page, the terminal and the morning note alike. Pure, no torch."""

import math
import time
from collections.abc import Mapping

from core.events import PersonaKey, unquote
from core.nights import Check, Count, Night, Outcome, Ratings, Tried

VERDICTS = {
    Outcome.PROMOTED: "Promoted",
    Outcome.TRIAL: "On trial",
    Outcome.REJECTED: "Rejected",
    Outcome.UNDECIDED: "Undecided",
    Outcome.WAITING: "Waiting",
    Outcome.NOT_ENOUGH: "Not enough yet",
    Outcome.PINNED: "Pinned",
    Outcome.FAILED: "Failed",
    Outcome.DRY_RUN: "Dry run",
}
PLATFORMS = {"discord": "Discord", "telegram": "Telegram", "slack": "Slack", "console": "the terminal"}
KINDS = {"channel": "A channel", "user": "One person", "thread": "A thread", "server": "A whole server"}
NO_NUMBER = "no number"  # NaN and its kin: the page says so, and no bar is drawn


def verdict(night: Night) -> str:
    """What follows from how it ended, as a sentence or two."""
    stays = "The voice of before goes on speaking."
    return {
        Outcome.PROMOTED: "The new voice was shown to be better, and is live.",
        Outcome.TRIAL: f"The new voice passed the gate. It speaks in {trial_share(night)}, until reactions decide.",
        Outcome.REJECTED: f"The gate found something worse. {stays}",
        Outcome.UNDECIDED: f"Neither shown better nor worse: the next night has more to go by. {stays}",
        Outcome.WAITING: f"Nothing was trained: something else has to come first. {stays}",
        Outcome.NOT_ENOUGH: f"Nothing was trained. {missing_words(night.ratings)}",
        Outcome.PINNED: f"Somebody fixed the version, so nothing was trained. {stays}",
        Outcome.FAILED: "Something went wrong, and the night changed nothing of how it speaks.",
        Outcome.DRY_RUN: "Trained and judged, as asked, and nothing of it was kept.",
    }[night.outcome]


def trial_share(night: Night) -> str:
    """With how many of the sessions a trial goes on, where the night's settings say it."""
    share = night.settings.get("canary", math.nan)
    if not isinstance(share, int | float) or not 0 < share <= 1:
        return "a share of the sessions"
    return {0.5: "half of the sessions", 1.0: "all sessions"}.get(share, f"{percent(share)} of the sessions")


def missing(ratings: Ratings) -> int:
    """Labels that are still wanting."""
    wanting = ratings.needed - ratings.effective
    return max(0, math.ceil(wanting)) if math.isfinite(wanting) else 0


def missing_words(ratings: Ratings) -> str:
    """The same as a sentence; empty if none are."""
    wanting = missing(ratings)
    verb = "is" if wanting == 1 else "are"
    return f"{many(wanting, 'more label')} {verb} needed, of {number(ratings.needed)}." if wanting else ""


def liked_share(ratings: Ratings) -> float:
    """The part of liked among the judged, NaN if nothing was."""
    judged = ratings.liked + ratings.disliked
    return ratings.liked / judged if judged else math.nan


def place(persona: PersonaKey) -> str:
    """Where a persona lives, without giving an id away."""
    parts = persona.scope.split(":")
    if len(parts) < 4 or parts[2] not in KINDS:
        return tail(persona.scope)
    if parts[0] == "console":
        return "In the terminal"
    where = PLATFORMS.get(parts[0], parts[0])
    return f"{KINDS[parts[2]]} on {where}, {tail(parts[-1])}"


def who(user: str) -> str:
    """A person's id, short enough to be nobody's business: `discord …4821`."""
    platform, _, rest = user.partition(":")
    return f"{platform} {tail(rest.rsplit(':', 1)[-1])}" if rest else tail(user)


def tail(part: str) -> str:
    """The end of an id; a short one whole."""
    part = unquote(part)
    return part if len(part) <= 6 else f"…{part[-4:]}"


def date(day: str, form: str = "%A, %-d %B %Y") -> str:
    """`20261127` → `Friday, 27 November 2026`; what is no day stays as it is."""
    try:
        return time.strftime(form.replace("%-d", str(int(day[6:8]))), time.strptime(day, "%Y%m%d"))
    except ValueError:
        return day


def clock(seconds: float) -> str:
    """A time in UTC."""
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):  # NaN, or no year that there is
        return NO_NUMBER


def span(seconds: float) -> str:
    """How long, for people: `48 s`, `14 min`, `2 h 5 min`."""
    if not math.isfinite(seconds) or seconds < 0:
        return NO_NUMBER
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def number(value: float) -> str:
    """A figure with as many digits as one reads."""
    if not math.isfinite(value):
        return NO_NUMBER
    if value == int(value):
        return minus(f"{value:,.0f}")
    return minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}")


def measured(check: Check) -> str:
    """What a check found; with more digits where it would look like the bound that it just missed."""
    short = number(check.value)
    return minus(f"{check.value:.6g}") if short in check.bound.split() else short


def trust(one: Count) -> str:
    """How far somebody is trusted, from 0 to 1."""
    return f"{one.trust:.2f}" if math.isfinite(one.trust) else NO_NUMBER


def percent(part: float) -> str:
    """0.31 → `31 %`."""
    return minus(f"{part * 100:.0f} %") if math.isfinite(part) else NO_NUMBER


def change(before: float, after: float) -> str:
    """By how much something grew or shrank: `+29 %`; empty where nothing can be said."""
    if not (math.isfinite(before) and math.isfinite(after)) or before <= 0:
        return ""
    grown = round((after - before) / before * 100)
    return "the same" if grown == 0 else minus(f"{grown:+,d} %")


def minus(text: str) -> str:
    """With a minus sign that is one."""
    return text.replace("-", "−") if text.startswith("-") else text  # noqa: RUF001


def many(count: int, noun: str) -> str:
    """`1 reply`, `41 replies`, `1,204 people`."""
    if count == 1:
        return f"1 {noun}"
    for one, several in (("person", "people"), ("ply", "plies")):
        if noun.endswith(one):
            return f"{count:,} {noun.removesuffix(one)}{several}"
    return f"{count:,} {noun}s"


def setting(value: float | int | str) -> str:
    """A setting as it would be written in a file."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def recipe(one: Tried) -> str:
    """What a sweep tried, by the settings in which its recipes differ."""
    return f"rate {one.rate:g}, anchor {one.anchor:g}"


def ranked(counts: Mapping[str, int], shown: int) -> tuple[list[tuple[str, int]], list[int]]:
    """The most frequent, and the counts of all others."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return rows[:shown], [count for _, count in rows[shown:]]


def weightiest(people: tuple[Count, ...], shown: int) -> tuple[list[Count], Count | None]:
    """Those who counted most, and the rest as one: sums, and the mean of their trust."""
    rows = sorted(people, key=lambda one: (-_sound(one.share), -one.votes, one.user))
    rest = rows[shown:]
    if not rest:
        return rows, None
    trust = [one.trust for one in rest if math.isfinite(one.trust)]
    return rows[:shown], Count(
        user=f"{many(len(rest), 'other person')} together",
        votes=sum(one.votes for one in rest),
        likes=sum(one.likes for one in rest),
        trust=sum(trust) / len(trust) if trust else math.nan,
        share=sum(_sound(one.share) for one in rest),
    )


def _sound(value: float) -> float:
    return value if math.isfinite(value) else 0.0
