"""What somebody is told who asked: words, a file, a reply on its way, and what they may choose next. Pure.

Knows no platform: a choice is a command that can also be typed. Adapters draw it as a button where they have such.
"""

import json
from typing import Any, Literal

import msgspec

from core.engine import Outcome
from core.files import File
from core.jobs import Done

ANOTHER = "↻ Another"


class Choice(msgspec.Struct, frozen=True):
    """`label` stands for the command `/name args`; without a name it only means: let it be."""

    label: str
    name: str = ""
    args: str = ""
    style: Literal["plain", "good", "danger"] = "plain"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is for the one who asked; `job` is a reply that is now on its way; `data` goes into a file.

    `changed`: it is otherwise now than it was before, and to do the same once more would not be the same.
    `choices`: what they may choose of, and nobody else.
    """

    text: str = ""
    job: Outcome | None = None
    data: dict[str, Any] | None = None
    switched: str = ""
    changed: bool = False
    error: bool = False
    choices: tuple[Choice, ...] = ()


def handed(name: str, answer: Answer, most: int) -> File | None:
    """What of the answer to the command `name` is better given as a file: data, and words beyond `most` characters."""
    if answer.data is not None:
        content = json.dumps(answer.data, ensure_ascii=False, indent=2, default=str).encode()
        return File(f"limen-{name}.json", content, "application/json")
    if 0 < most < len(answer.text):
        return File(f"limen-{name}.txt", answer.text.encode("utf-8", "replace"))
    return None


def below(done: Done, buttons: str) -> tuple[Choice, ...]:
    """What anybody may choose below a reply, by the setting `buttons`."""
    if buttons != "regenerate" or done.act != "say" or done.cancelled or not done.text.strip():
        return ()
    return (Choice(ANOTHER, "regenerate", done.reply_id),)
