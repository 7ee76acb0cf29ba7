"""`/sources`: what the last reply drew on, as the ledger has it: texts, its world, or the card's own words.

Shows only what stood in that reply's prompt, and only in the conversation in which it was given.
"""

import re
from typing import TYPE_CHECKING

from core.commands.answers import Answer
from core.events import Command, Line
from core.store.ledger import Entry
from core.text import shorten
from personas.card import Card

if TYPE_CHECKING:
    from core.commands.desk import Desk

SHOWN = 200  # characters of a passage
_DETAIL = re.compile(r"world\.details\[(\d+)\]")


async def sources(desk: "Desk", command: Command) -> Answer:
    """what the last reply drew on: /sources, or /sources 2 for the one before"""
    key, card = await desk.who(command)
    given = command.args.strip()
    back = int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 1
    lines = await desk.engine.conversations.last(key.conversation(command.place), 500)
    ours = [line for line in lines if line.ours]
    if not 0 < back <= len(ours):
        return Answer(text="There is no reply yet." if back == 1 else f"There is no reply {back} back.", error=True)
    return Answer(text=await _told(desk, ours[-back], card))


async def _told(desk: "Desk", reply: Line, card: Card) -> str:
    entry = await desk.engine.ledger.get(reply.reply_id)
    if entry is None:
        return "What that reply drew on is no longer kept."
    rows = [*_own(entry.record.by), *_drawn(entry, card)]
    head = f"“{shorten(reply.text, 60)}”"
    return "\n".join([f"{head} drew on:", *rows]) if rows else f"{head} drew on nothing but the card and the talk."


def _own(by: str) -> list[str]:
    """What gave the words, if the model did not."""
    if by.startswith("rules"):
        return ["  a rule of the card, not the model"]
    return {
        "knowledge": ["  its card's own words for what it does not know, not the model"],
        "limits.topics": ["  its card's own words for what it does not talk about, not the model"],
    }.get(by, [])


def _drawn(entry: Entry, card: Card) -> list[str]:
    """Each source with what it says, as far as it still stands in the prompt or the card."""
    told = [line for message in entry.messages if message.role == "system" for line in message.content.splitlines()]
    return [f"  {source}{_text(source, told, card)}" for source in entry.record.sources]


def _text(source: str, told: list[str], card: Card) -> str:
    if found := _DETAIL.fullmatch(source):
        place, details = int(found[1]), card.world.details
        return f": {shorten(details[place].text, SHOWN)}" if place < len(details) else ""
    lead = f"From {source.rpartition('#')[0]}: "
    line = next((line for line in told if line.startswith(lead)), "")
    if line:
        told.remove(line)  # the next passage of this file is the next such line
    said = line.removeprefix(lead).strip('"')
    return f": {shorten(said, SHOWN)}" if said else ""
