"""Token ids → text that is final: no half characters, nothing that may turn out to be a stop string. No torch."""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"  # what a decoder shows for the first bytes of a character


class Stream:
    """The text of one reply as it grows. `decode` turns all its ids into text."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str]) -> None:
        self._decode, self._stop = decode, [text for text in stop if text]
        self._told = 0
        self.ids: list[int] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """All of it as it stands, cut at a stop string, without white space around it."""
        return self._cut(self._decode(self.ids)).strip()

    def push(self, token: int) -> str:
        """Take a token; the text that is final by it. After that `stopped` may be true."""
        self.ids.append(token)
        whole = self._cut(self._decode(self.ids)).lstrip()
        if self.stopped:
            whole = whole.rstrip()
        return self._tell(whole, len(whole) if self.stopped else self._safe(whole))

    def rest(self) -> str:
        """What was held back, once no more tokens come."""
        whole = self.text
        return self._tell(whole, len(whole))

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
        """How much of the text can no longer change."""
        end = len(text.rstrip())  # trailing space is dropped if the reply ends here
        while end and text[end - 1] == BROKEN:
            end -= 1
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    end = min(end, len(text) - size)
                    break
        return end
