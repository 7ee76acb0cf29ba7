"""What a model may write, as platforms take it: `python -m bench.markdown [--documents 2000]`.

Documents made by chance out of all that Markdown has, well-formed and broken: code, tables, lists, links, quotes, emoji
of many parts, right-to-left letters, endless words, and mass mentions in every spelling. Each goes through the code of
every platform, also as far as it has grown halfway, and what comes out before the rules that our servers of these
platforms hold messages to. Nothing may be refused or too long, and nobody may be called. In-process: no socket.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from adapters.discord import text as on_discord
from adapters.pieces import size
from adapters.slack import text as on_slack
from adapters.telegram import text as on_telegram
from bench.report import versions
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams

DOCUMENTS = 2_000
PARTS = 40  # of a document, at most
LONG = 0.05  # the share of documents that are far beyond any limit
MASS = (
    "@everyone", "@here", "@channel", "@Everyone", "<!channel>", "<!here|here>", "<!everyone>", "<!subteam^S1|@ops>",
    "<@&66>", "&lt;!channel&gt;", "\\<!here>", "<\\!channel>", "[x](<!channel>)", "`@everyone`", "**@here**", "<@1234>",
    "<@U012AB3CD>", "&#64;everyone", "@\\everyone", "[all](tg://user?id=7)", "@_everyone_", "<!date^1^{date}|x>",
)  # fmt: skip
WORDS = (
    "tide", "gull,", "harbour.", "Yes!", "naïve", "好。", "مرحبا", "👩‍👩‍👧‍👦", "🇦🇹🇩🇪", "👍🏽", "e\u0301", "\u200f",
    "*", "_", "~~", "||", "`", "<", "&", "\\*",
    "snake_case_name", "a*b*c", "1. x", "https://example.org/a_(b)?c=d&e=f", "[a link](https://example.org/a_(b))",
    "![pic](https://example.org/x.png)", "`code here`", "**bold**", "*it*", "~~gone~~", "||spoiler||", "<b>html</b>",
    "[broken](", "](x)", "**open", "$x^2$", "#tag", "\u2028", "x" * 90,
)  # fmt: skip
LANGUAGES = ("", "py", "json", "c++")
Dice = random.Random


def sentence(dice: Dice) -> str:
    """Words, and now and then somebody is called."""
    return " ".join(dice.choice(MASS if dice.random() < 0.08 else WORDS) for _ in range(dice.randint(1, 18)))


def code(dice: Dice) -> str:
    """A fenced block, which may not be closed."""
    lines = [f"{'    ' * dice.randint(0, 2)}{sentence(dice)}" for _ in range(dice.randint(1, 30))]
    fence = dice.choice(["```", "~~~", "````"])
    return "\n".join([f"{fence}{dice.choice(LANGUAGES)}", *lines, fence if dice.random() < 0.9 else ""])


def table(dice: Dice) -> str:
    """Rows and columns, one of which may lack cells."""
    wide = dice.randint(1, 5)
    rows = [[dice.choice(WORDS) for _ in range(dice.choice([wide, wide, wide - 1]))] for _ in range(dice.randint(1, 8))]
    head = [["a"] * wide, ["---"] * wide]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows])


def items(dice: Dice) -> str:
    """A list in lists."""
    marks = dice.choice([("-", "*"), ("1.", "2)"), ("- [ ]", "- [x]")])
    return "\n".join(
        f"{'  ' * dice.randint(0, 3)}{dice.choice(marks)} {sentence(dice)}" for _ in range(dice.randint(1, 9))
    )


def endless(dice: Dice) -> str:
    """A word without an end."""
    return dice.choice(["ä", "👍🏽", "a", "`"]) * dice.randint(100, 5_000)


BLOCKS: tuple[tuple[Callable[[Dice], str], int], ...] = (
    (sentence, 12), (code, 3), (table, 2), (items, 3), (endless, 1),
    (lambda dice: f"{'#' * dice.randint(1, 7)} {sentence(dice)}", 2),
    (lambda dice: "\n".join(f"{'>' * dice.randint(1, 4)} {sentence(dice)}" for _ in range(dice.randint(1, 5))), 2),
    (lambda dice: dice.choice(["---", "***", "___", "\n\n\n", "[ref]: https://example.org\n[ref]"]), 1),
)  # fmt: skip


def document(number: int) -> str:
    """The same for the same number; never empty."""
    dice = Dice(number)
    most = PARTS * 8 if dice.random() < LONG else PARTS
    blocks, weights = zip(*BLOCKS, strict=True)
    parts = [block(dice) for block in dice.choices(blocks, weights, k=dice.randint(1, most))]
    return dice.choice(["\n", "\n\n"]).join(parts)


class Message(NamedTuple):
    """One that would be sent: how long its platform finds it, why that would not take it, and whom it would call."""

    length: int
    refused: str
    calls: list[str]


def discord(text: str) -> Iterator[Message]:
    """As `content`. (Calls are read as if none were forbidden beside the text, which they are.)"""
    fake = discords.Fake()
    for piece in [*on_discord.pieces(text), *on_discord.growing(text), on_discord.plain(text)]:
        wrong = fake._wrong({"content": piece})
        yield Message(size(piece, "utf-16"), str(wrong["message"]) if wrong else "", discords._MASS.findall(piece))


def telegram(text: str) -> Iterator[Message]:
    """As text with entities: one of a link to a person calls, and Telegram knows no mass mention."""
    for piece in on_telegram.render(text):
        entities = [entity.to_dict() for entity in piece.entities]
        calls = [one["url"] for one in entities if str(one.get("url", "")).lower().startswith("tg:")]
        refused = _refused(partial(telegrams._formatted, {"text": piece.text, "entities": entities}))
        yield Message(size(piece.text, "utf-16"), refused, calls)


def _refused(check: Callable[[], object]) -> str:
    """Why a server says no; empty: it does not."""
    try:
        check()
    except (telegrams.No, slacks.No) as error:
        return repr(error)
    return ""


def slack(text: str) -> Iterator[Message]:
    """As a markdown block with its preview, and plain, for when Slack refuses that."""
    fake = slacks.Fake()
    for piece in on_slack.pieces(text):
        for body in (on_slack.message(piece), on_slack.plain(piece)):
            refused = _refused(partial(fake._check, body, 4_000))
            yield Message(len(piece), refused, slacks.pings(body))


LIMITS = {"discord": on_discord.LENGTH, "telegram": on_telegram.LIMIT, "slack": 12_000}
PLATFORMS: dict[str, Callable[[str], Iterator[Message]]] = {"discord": discord, "telegram": telegram, "slack": slack}


def judge(name: str, text: str) -> Counter[str]:
    """What a platform makes of a document, whole and half written."""
    found = Counter(documents=1, messages=0, refused=0, too_long=0, mass_mentions=0, empty=0)
    for part in (text, text[: len(text) // 2]):
        if not part.strip():
            continue
        messages = list(PLATFORMS[name](part))
        found["messages"] += len(messages)
        found["empty"] += not messages
        for message in messages:
            found["refused"] += bool(message.refused)
            found["too_long"] += message.length > LIMITS[name]
            found["mass_mentions"] += bool(message.calls)
    return found


def run(documents: int, first: int = 0) -> dict[str, Counter[str]]:
    """All figures, by platform."""
    found = {name: Counter[str]() for name in PLATFORMS}
    for number in range(first, first + documents):
        text = document(number)
        for name, tally in found.items():
            tally.update(judge(name, text))
    return found


BAD = ("refused", "too_long", "mass_mentions", "empty")


def main() -> int:
    """The exit status: 1 if anything was refused, too long, empty or a call."""
    parser = argparse.ArgumentParser(prog="python -m bench.markdown", description=__doc__)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--first", type=int, default=0, help="the number of the first document")
    given = parser.parse_args()
    began = time.process_time()
    found = run(given.documents, given.first)
    cpu = round(time.process_time() - began, 1)
    print(json.dumps({**{name: dict(tally) for name, tally in found.items()}, "cpu_s": cpu, "versions": versions()}))
    return int(any(tally[name] for tally in found.values() for name in BAD))


if __name__ == "__main__":
    sys.exit(main())
