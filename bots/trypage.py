"""What `limen persona try` found, as a page for people. Takes plain data, the same that `--json` shows."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from bots.wrap import wrapped
from core.text import shorten

Found = Mapping[str, Any]


def page(found: Found, whole: bool = False) -> Iterator[str]:
    """All of it, from what would come of the message to the prompt: that only if it is sent, or the `whole` is asked
    for."""
    yield _bold(f"{found['card']} hears: {shorten(found['text'], 200)}")
    yield wrapped(f"→ {_outcome(found)}")
    yield from ("", *_rules(found), "", *_knowledge(found))
    if found["does"]["by"] != "the model" and not whole:
        yield from ("", "No prompt is sent; --prompt shows what it would be.")
        return
    minded = [*found["facts"], *found["details"]]
    for title, rows in (("Comes to mind", minded), ("Memories", _memories(found)), ("Texts", _texts(found))):
        if rows:
            yield from ("", _bold(title), *(wrapped(f"  {row}", "    ") for row in rows))
    yield from ("", *_sections(found), "", *_prompt(found))


def _outcome(found: Found) -> str:
    does = found["does"]
    if does["by"] != "the model":
        said = {"say": f"says: {does['text']}", "react": f"reacts {does['emoji']}", "silent": "says nothing"}
        return f"{does['by']} {said[does['act']]} The model is not asked.".replace("..", ".")
    if found["rule"]:
        return f"the model answers, steered by {found['rule']}"
    if found["declines"]:
        return f"the model is told to decline: this is about {found['declines']}"
    if found["foreign"]:
        return "the model is told that this is in a language that it does not speak"
    return "the model is told that it knows nothing of this" if found["admits"] else "the model answers"


def _rules(found: Found) -> Iterator[str]:
    yield _bold("Rules, the first that holds decides" if found["rules"] else "Rules: the card has none")
    before = True
    for rule in found["rules"]:
        mark = click.style("✔", fg="green") if rule["fires"] else click.style("·", dim=True)
        why = "; ".join(
            f"{one['name']}: {one['why']}" for one in rule["conditions"] if rule["fires"] or not one["holds"]
        )
        if not before and not why:
            why = "holds too, but an earlier one decides"
        before = before and not rule["fires"]
        yield wrapped(f"  {mark} {rule['name']} {rule['act']} “{shorten(rule['what'], 50)}”: {why}", "      ")


def _knowledge(found: Found) -> Iterator[str]:
    verdict = found["knowledge"]
    if verdict is None:
        yield wrapped(f"{_bold('Knowledge:')} {found['untold']}")
        return
    word = click.style("knows", fg="green") if verdict["known"] else click.style("does not know", fg="yellow")
    near = f"; nearest: “{shorten(verdict['near'], 60)}”" if verdict.get("near") else ""
    score = f" {verdict['score']:+.2f}" if verdict.get("score") else ""
    yield wrapped(f"{_bold('Knowledge:')} {word}{score} ({verdict['why']}{near})")
    if found["declines"]:
        yield wrapped(f"{_bold('Limits:')} near limits.topics “{found['declines']}”")


def _memories(found: Found) -> list[str]:
    return [f"{one['when']}, {one['who'] or 'somebody'}: {shorten(one['text'], 120)}" for one in found["memories"]]


def _texts(found: Found) -> list[str]:
    return [f"{one['from']} ({one['near']:.2f}): {shorten(one['text'], 120)}" for one in found["passages"]]


def _sections(found: Found) -> Iterator[str]:
    yield _bold(f"Sections ({found['tokens']:,} tokens in all, by {found['tokens_by']})")
    width = max((len(part["name"]) for part in found["sections"]), default=0)
    for part in found["sections"]:
        yield f"  {part['name']:<{width}} {part['tokens']:>5}  {shorten(part['text'], 60)}"
    if found["dropped"]:
        yield wrapped(f"  left out for want of room: {', '.join(found['dropped'])}", "    ")


def _prompt(found: Found) -> Iterator[str]:
    yield _bold("The prompt")
    for message in found["messages"]:
        yield click.style(f"  [{message['role']}]", fg="cyan")
        yield from (wrapped(f"  {row}", "  ") for row in message["content"].splitlines())


def _bold(text: str) -> str:
    return click.style(text, bold=True)
