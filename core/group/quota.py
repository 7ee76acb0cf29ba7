"""How often we may speak: to one person, in one channel, to what is only overheard, and to other bots. Pure.

Says what is counted where; the counting is `core/store/queue.lua`'s, in one go with queueing the answer.
"""

from core.events import Event, Kind, Message, quote
from core.group.manners import named
from core.settings import Attention
from core.store import keys
from core.store.queue import Bound, Gate, Turns

HOUR = 3600.0


def gate(event: Event, rules: Attention, overheard: bool = False) -> Gate | None:
    """What an answer to this has to pass; None: nothing. Of what was `overheard` nobody is told that it must wait."""
    turns = Turns(_turns(event), rules.bot_turns) if event.author.is_bot else None
    bounds = (*_overheard(event, rules),) if overheard else (*_of_person(event, rules),)
    bounds += (*_of_channel(event, rules, tell=not overheard),)
    if not (turns or bounds or overheard):
        return None
    return Gate(bounds=bounds, turns=turns, alone=event.time if overheard else None)


def reset(message: Message, rules: Attention) -> str:
    """The count that a person's words set back to nothing; empty: there is none."""
    return _turns(message) if rules.bots and not message.author.is_bot else ""


def _of_person(event: Event, rules: Attention) -> list[Bound]:
    if not rules.person_quota or _is_free(event, rules):
        return []
    who, most = event.author.id, rules.person_quota
    note = f"I have answered you {_times(most)} in {_span(rules)} and must rest a little. Please ask me again later."
    return [Bound(key=keys.ASKED(who), most=most, window=_window(rules), told=keys.ASKED_TOLD(who), note=note)]


def _of_channel(event: Event, rules: Attention, tell: bool) -> list[Bound]:
    """A DM has one person, who has a quota already."""
    if not rules.channel_quota or event.place.kind == Kind.DM or (tell and _is_free(event, rules)):
        return []
    where, most = _here(event), rules.channel_quota
    note = f"I have spoken {_times(most)} here in {_span(rules)} and must rest a little. Please ask me again later."
    told = keys.SPOKEN_TOLD(where) if tell else ""
    return [Bound(key=keys.SPOKEN(where), most=most, window=_window(rules), told=told, note=note)]


def _overheard(event: Event, rules: Attention) -> list[Bound]:
    return [Bound(key=keys.OVERHEARD(_here(event)), most=rules.ambient_per_hour, window=HOUR)]


def _is_free(event: Event, rules: Attention) -> bool:
    return named(event.author.id, rules.quota_free)


def _turns(event: Event) -> str:
    return keys.BOT_TURNS(_here(event))


def _here(event: Event) -> str:
    """A channel with all its threads, as this bot account is in it: on Slack, every call of us opens a thread."""
    place = event.place
    return f"{event.account}|" + ":".join(quote(part) for part in (place.platform, place.workspace, place.channel))


def _window(rules: Attention) -> float:
    return rules.quota_minutes * 60


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _span(rules: Attention) -> str:
    minutes = rules.quota_minutes
    hours, rest = divmod(minutes, 60)
    if rest == 0:
        return "an hour" if hours == 1 else f"{hours:g} hours"
    return "a minute" if minutes == 1 else f"{minutes:g} minutes"
