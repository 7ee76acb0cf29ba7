"""Token ids → text that is final: no half characters, nothing that may turn out to be a stop string. No torch.

A reply is one speaker's: a name with a colon at its beginning is left out, and it ends where another line begins so.
"""

import re
from collections.abc import Callable, Sequence

from core.speakers import NOBODY, Speakers

BROKEN = "\ufffd"  # what a decoder shows for the first bytes of a character
WINDOW = 16  # ids that are decoded at a time; as many before them go along, for decoders look at what comes before


class Stream:
    """The text of one reply as it grows. `decode` turns ids into text. It is given the last ones only: all of them take
    0.6 ms at 1,000 tokens and 2 at 4,000, at every token of every reply. `speakers`: whose lines are no part of it."""

    def __init__(
        self, decode: Callable[[Sequence[int]], str], stop: Sequence[str], speakers: Speakers = NOBODY
    ) -> None:
        self._decode, self._stop = decode, [text for text in stop if text]
        labels = [f"{name}:" for name in (*speakers.ours, *speakers.others) if name]
        names = "|".join(map(re.escape, labels)) or r"(?!)"  # nobody's: that is nowhere
        self._labels = tuple(map(str.lower, labels))
        self._label, self._turn = re.compile(names, re.IGNORECASE), re.compile(rf"\n(?:{names})", re.IGNORECASE)
        self._told = 0
        self._from = self._to = 0
        self._before = ""  # the text of the ids until `_to`
        self._lead = ""  # the text of those of them from `_from` on, read alone
        self.ids: list[int] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """All of it as it stands: cut at a stop string, no white space around it, no half character at its end."""
        return _finished(self._own(self._cut(self._all())))

    def push(self, token: int) -> str:
        """Take a token; the text that is final by it. After that `stopped` may be true."""
        self.ids.append(token)
        whole = self._own(self._cut(self._all()))
        return self._tell(whole, len(_finished(whole)) if self.stopped else self._safe(whole))

    def rest(self) -> str:
        """What was held back, once no more tokens come."""
        whole = self.text
        return self._tell(whole, len(whole))

    def _all(self) -> str:
        """The text of all ids."""
        last = self._decode(self.ids[self._from :])
        text = self._before + last[len(self._lead) :]
        if len(self.ids) - self._to >= WINDOW and not last.endswith(BROKEN):  # a window begins with a whole character
            self._before, self._from, self._to = text, self._to, len(self.ids)
            self._lead = self._decode(self.ids[self._from :])
        return text

    def _own(self, text: str) -> str:
        """Without white space and a speaker's name before it, and up to where another line has one."""
        text = text.lstrip()
        if label := self._label.match(text):
            text = text[label.end() :].lstrip()
        turn = self._turn.search(text)
        self.stopped |= turn is not None
        return text[: turn.start()] if turn else text

    def _tell(self, whole: str, upto: int) -> str:
        new = whole[self._told : upto]
        self._told = max(self._told, upto)
        return new

    def _cut(self, text: str) -> str:
        at = min((text.find(stop) for stop in self._stop if stop in text), default=-1)
        if at < 0:
            return text
        self.stopped = True
        return text[:at]

    def _safe(self, text: str) -> int:
        """How much of the text can no longer change, should it also end there."""
        line = text[text.rfind("\n") + 1 :].lower()
        end = len(text)
        if any(label.startswith(line) for label in self._labels):  # it may become a name
            end -= len(line)
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    end = min(end, len(text) - size)
                    break
        return len(_finished(text[:end]))


def _finished(text: str) -> str:
    """What is left of `text` should the reply end here: no trailing space, no first bytes of a character."""
    while text and (text[-1].isspace() or text[-1] == BROKEN):
        text = text[:-1]
    return text
