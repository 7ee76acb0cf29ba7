"""Should we answer this message, and how soon? Pure: message, names and settings go in, a decision comes out."""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from core.events import Addressed, Kind, Message
from core.group.manners import rests
from core.settings import Attention


class Decision(msgspec.Struct, frozen=True):
    """`speak`, and why or why not. `merge`, `delay` in seconds: see `core.store.queue.Offer`.

    `overheard`: it was not meant for us, so nobody waits for an answer, and none may be promised or refused.
    """

    speak: bool
    why: str
    merge: float = 0.0
    delay: float = 0.0
    overheard: bool = False


def attend(
    message: Message, names: Sequence[str], rules: Attention, settle: bool = True, quiet: bool = False
) -> Decision:
    """Answer what is meant for us: a DM, a mention, a reply to us, our name. What is overheard: where the rules say so.

    Quick messages of one person become one turn: the answer waits `settle_seconds` for more, and joins what comes
    within `quick_seconds` while it waits. `settle` is off where every message is whole (the terminal). `quiet`: these
    are the quiet hours.
    """
    if message.author.id == message.account:
        return Decision(False, "it is our own")
    if message.author.is_bot and not rules.bots:
        return Decision(False, "it is a bot's")
    if not (message.text.strip() or message.files):
        return Decision(False, "it is empty")
    why = called(message, names, rules)
    if not why and not _may_join_in(message, rules):
        return Decision(False, "it is not for us")
    if quiet and (not why or rests(message.place, rules)):
        return Decision(False, "these are quiet hours")
    wait = rules.settle_seconds if settle else 0.0
    return Decision(True, why or "it is overheard", rules.quick_seconds, wait, overheard=not why)


def _may_join_in(message: Message, rules: Attention) -> bool:
    """Talk of people, to nobody in particular: it neither replies to anybody nor calls anybody by a mention.

    (On Slack all in a thread is a reply; where we answer, we take part.)
    """
    to_somebody = message.reply_to or message.mentions
    return rules.ambient_per_hour > 0 and not message.author.is_bot and not to_somebody


def called(message: Message, names: Sequence[str], rules: Attention) -> str:
    """How a message calls us; empty: it is not meant for us."""
    if message.place.kind == Kind.DM:
        return Addressed.DM
    if message.addressed != Addressed.NO:
        return message.addressed
    return Addressed.NAME if rules.names and _named(message.text, names) else ""


def _named(text: str, names: Sequence[str]) -> bool:
    """Does one of the names stand in the text as a word? Most talk has none: a plain search settles that first."""
    folded = text.casefold()
    return any(name.casefold() in folded and _word(name).search(text) for name in names if name)


@lru_cache(maxsize=1024)
def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
