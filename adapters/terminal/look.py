"""What the terminal looks like: colours, indents, the spinner, the toolbar. Pure: values in, styled text out."""

import zlib
from collections.abc import Iterable, Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from adapters.terminal.screen import Status, Who
from adapters.terminal.wrap import one_line

STYLE = Style.from_dict(
    {
        "sign": "bold",
        "action": "italic",
        "aside": "ansibrightblack",
        "complaint": "ansired",
        "spinner": "ansibrightblack",
        "bottom-toolbar": "noreverse ansibrightblack",
        "bottom-toolbar.text": "noreverse ansibrightblack",
    }
)
COLOURS = ("ansicyan", "ansimagenta", "ansigreen", "ansiyellow", "ansiblue", "ansibrightred", "ansibrightcyan")
HELP = "/help   Ctrl-D leaves"


class Look:
    """`unicode`: the terminal can show more than ASCII."""

    indent = "  "

    def __init__(self, unicode: bool = True) -> None:
        self._sign, self._dot, self._more = ("\u276f", "·", " …") if unicode else (">", "-", " ...")
        self._frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if unicode else "|/-\\"
        self.prompt: StyleAndTextTuples = [("", "\n"), ("class:sign", f"{self._sign} ")]

    def heading(self, who: Who, again: bool = False) -> StyleAndTextTuples:
        """Who speaks (`again`: goes on): each card has its own colour, the same every day."""
        colour = COLOURS[zlib.crc32(who.card.encode()) % len(COLOURS)]
        return [("", "\n"), (f"bold {colour}", one_line(who.title) + self._more * again), ("", "\n")]

    def line(self, parts: Iterable[tuple[bool, str]], note: str = "") -> StyleAndTextTuples:
        """A line of a reply, actions in italics."""
        said: StyleAndTextTuples = [("class:action" if acting else "", text.rstrip("\n")) for acting, text in parts]
        return [("", self.indent), *said, ("class:aside", note), ("", "\n")]

    def block(self, lines: Sequence[str], style: str = "") -> StyleAndTextTuples:
        """Lines of limen's own."""
        return [("", "\n"), *((style, f"{self.indent}{line}\n") for line in lines)]

    def said(self, lines: Sequence[str]) -> StyleAndTextTuples:
        """What the person said, as it stays on the screen."""
        signs = [f"{self._sign} ", *[self.indent] * (len(lines) - 1)]
        rows = [[("class:sign", sign), ("", f"{line}\n")] for sign, line in zip(signs, lines, strict=True)]
        return [("", "\n"), *(part for row in rows for part in row)]

    def spinner(self, text: str, turn: int) -> StyleAndTextTuples:
        """Something is on its way."""
        return [("class:spinner", f"\n{self.indent}{self._frames[turn % len(self._frames)]} {text}\n")]

    def toolbar(self, status: Status, due: int, columns: int) -> StyleAndTextTuples:
        """Persona, LoRA, worker and queue on the left, what to press on the right, as far as there is room."""
        worker = {"ready": "ready", "loading": "loading the model"}.get(status.worker, "no worker yet")
        parts = [one_line(status.who.title), f"LoRA {status.lora}", worker]
        parts += [f"{status.waiting} waiting"] if status.waiting else []
        left = self.indent + f" {self._dot} ".join(parts)
        right = "Ctrl-C stops the reply" if due else HELP
        gap = columns - get_cwidth(left) - get_cwidth(right) - len(self.indent)
        return [("", f"{left}{' ' * gap}{right}" if gap >= 2 else left[:columns])]


def waiting(status: Status) -> str:
    """Why there is no word yet."""
    if status.worker == "none":
        return "no worker yet; one is starting"
    if status.worker == "loading":
        return "the model is loading"
    if status.place > 1:
        return f"{ordinal(status.place)} in line"
    return "next in line" if status.place == 1 else f"{one_line(status.who.title)} is thinking"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
