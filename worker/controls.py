"""What a tokenizer and a chat template read as their own, and how nobody's text is taken for it.

A control token that somebody types is taken apart by a space: `< |im_start|>`. So are look-alikes of full width, or
with signs of no width in them, which some tokenizers take for the token itself. Knows nothing of prompts.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

# What the tokenizers of common model families read as control tokens: for servers, which cannot be asked for theirs.
FAMILIES = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"),
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"),
    *("<|start|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>", "<|python_tag|>"),
    *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<unk>", "<pad>", "<s>", "</s>", "<sop>", "[gMASK]"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "</think>"),
    *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),  # noqa: RUF001
)
ANY_TOKEN = r"<\|[^|<>\n]{1,40}\|>"  # and what looks like one of a family that we do not know

_TOKEN = re.compile(r"<{1,2}/?[^<>\s'\"{}]{1,40}>{1,2}|\[/?[A-Za-z][A-Za-z_]{2,30}\]")
_IN_SOURCE = re.compile(r"<{1,2}/?[^<>\s'\"{}]{1,40}>{1,2}|\[/?[A-Z][A-Z_]{2,30}\]")
_HEADING = re.compile(r"^#{1,6} ?\w[\w ]{0,30}:|\b[A-Za-z]\w{1,20}:(?!\S)", re.MULTILINE)
_UNSEEN = re.compile(r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
                     r"\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]")  # fmt: skip


class Controls:
    """`names` are texts that are control tokens; `shapes` are expressions for more, in small letters."""

    def __init__(self, names: Iterable[str], shapes: Iterable[str] = ()) -> None:
        folded = {_fold(name.strip()) for name in names}
        known = sorted((re.escape(name) for name in folded if len(name) > 2), key=lambda name: (-len(name), name))
        whole = "|".join([*known, *shapes])
        self._any = re.compile(whole) if whole else None  # is quick to see that there is none, as in most texts
        self._each = re.compile(f"(?=({whole}))")

    def apart(self, text: str) -> str:
        """The text, and nothing in it is a control token any more. Done twice, it is done once."""
        folded = _fold(text)
        if self._any is None or not self._any.search(folded):
            return text
        places = _places(text) if len(folded) != len(text) or not text.isascii() else None
        if places is not None:
            folded = "".join(letter for letter, _ in places)
        cuts = {_cut(match) for match in self._each.finditer(folded)}
        at = {places[cut - 1][1] + 1 for cut in cuts} if places is not None else cuts
        return "".join(f" {letter}" if number in at else letter for number, letter in enumerate(text))


def _cut(match: "re.Match[str]") -> int:
    """Where a space breaks it: behind its first sign, or before the colon of a speaker's name."""
    named = match[1].endswith(":") and match[1][0].isalnum()
    return match.start() + (len(match[1]) - 1 if named else 1)


def _fold(text: str) -> str:
    """The text as the most lenient tokenizer may read it: no widths, no accents, no signs that are not seen, small."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _UNSEEN.sub("", text))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def _places(text: str) -> list[tuple[str, int]]:
    """The letters of the folded text, each with the place of the sign that it comes from."""
    return [(letter, place) for place, sign in enumerate(text) for letter in _folded(sign)]


@lru_cache(maxsize=4096)
def _folded(sign: str) -> str:
    return _fold(sign)


def marks(tokenizer: Any, laid_out: str = "") -> Iterator[str]:
    """Every text that this tokenizer or its chat template reads as its own. `laid_out` is what the template writes
    around messages."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    yield from tokenizer.all_special_tokens
    yield from (token.content for token in added if token.special)
    for source in _sources(tokenizer.chat_template):
        yield from _IN_SOURCE.findall(source)
    written = _TOKEN.findall(laid_out)
    yield from written or _HEADING.findall(laid_out)


def _sources(template: Any) -> list[str]:
    """A template may be a text, or several by name."""
    if isinstance(template, Mapping):
        return [str(one) for one in template.values()]
    return [template] if isinstance(template, str) else []
