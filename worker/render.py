"""Structured prompt → messages and tokens that fit the model's context. Used by serving and by training alike.

What goes first when room is short: the oldest history (in chunks, so that the prefix of a conversation stays the same
for many turns), then examples, then the sections of lowest priority, then the middle of the message.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from jinja2.exceptions import TemplateError

from core.errors import ModelError
from core.prompt import Prompt, Said, Section
from core.recall.terms import STOP, words
from core.speakers import Speakers
from core.text import clean
from worker.controls import Controls, marks
from worker.copying import Turns, spoken
from worker.generator import Rendered
from worker.reciting import Opening, openings, spelled

Messages = list[dict[str, str]]
CUT = "\n[…]\n"
DIRECTIONS = frozenset({"mood", "bond", "manner"})  # asides that say how to speak, and not what
_BREAKS = re.compile(r"[\d\n\"“”:]+")  # no run goes on over these: a number, a list and a quotation may come again
SPOKEN = 40  # replies that a new one should not copy: what is longer ago, nobody remembers
LONG = 12  # characters that a token stands for, at most (about)


class Tokenizer(Protocol):
    """What we need of a transformers tokenizer."""

    chat_template: Any
    all_special_tokens: list[str]

    def apply_chat_template(self, conversation: Messages, **options: Any) -> Any: ...

    def encode(self, text: str, **options: Any) -> list[int]: ...


@dataclass
class _Draft:
    """What is still in the prompt while it is made to fit, and what has gone."""

    system: list[Section]
    examples: list[Said]
    history: list[Said]
    asides: list[Section]
    message: str
    dropped: list[str] = field(default_factory=list)
    gone: int = 0

    def texts(self) -> list[str]:
        sections, lines = (*self.system, *self.asides), (*self.examples, *self.history)
        return [*(section.text for section in sections), *(said.text for said in lines), self.message]

    def messages(self) -> Messages:
        system = "\n\n".join(section.text for section in self.system)
        messages = [{"role": "system", "content": system}] if system else []
        messages += [{"role": said.role, "content": said.text} for said in (*self.examples, *self.history)]
        if self.asides:
            messages.append({"role": "system", "content": "\n".join(section.text for section in self.asides)})
        return [*messages, {"role": "user", "content": self.message}]


class Renderer:
    """Renders prompts for one tokenizer and one context length (in tokens). `talk`: tokens of history, at most; 0: all
    that fits."""

    def __init__(self, tokenizer: Tokenizer, context: int, talk: int = 0) -> None:
        self._tokenizer, self._context, self._talk = tokenizer, context, talk
        self._controls = _controls(tokenizer)
        self._lengths: dict[str, int] = {}
        self._tokens: dict[str, tuple[int, ...]] = {}
        self._each, self._once = self._overhead()

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """The prompt with room for `reserve` tokens of reply. Never refuses: something always fits."""
        budget = max(self._context - reserve, self._context // 4)
        prompt, more = _mapped(prompt, self.safe), 0
        for _ in range(4):
            draft = self._fit(prompt, budget - more)
            tokens = self.tokens(draft.messages())
            if len(tokens) <= budget:
                break
            more = max(more + 1, len(tokens) - self._count(draft.texts()))  # than this template seemed to take
        return Rendered(
            messages=tuple(draft.messages()), tokens=tuple(tokens[-budget:]), dropped=tuple(draft.dropped),
            history_dropped=draft.gone, own=bool(draft.system) + len(draft.examples), spoken=self._spoken(draft),
            told=self._told(draft), speakers=prompt.speakers,
        )  # fmt: skip

    def _spoken(self, draft: _Draft) -> tuple[tuple[int, ...], ...]:
        """What it said last and how it was told to speak, less what stands elsewhere in the prompt as well.

        An example may be given as a reply once, and not again: a small model that knows no answer gives one each time.
        """
        lines, sections = draft.history[-2 * SPOKEN :], (*draft.system, *draft.asides)
        said = [line.text for line in lines if line.role == "assistant"]
        told = [section.text for section in sections if section.name in DIRECTIONS]
        free = [line.text for line in (*draft.examples, *lines) if line.role == "user"]
        free += [section.text for section in sections if section.name not in (*DIRECTIONS, "voice")]
        free.append(draft.message)
        shown = [line.text for line in draft.examples if line.role == "assistant"]
        return (*self._runs(said, free), *self._runs(told, (*free, *shown)))

    def _told(self, draft: _Draft) -> tuple[tuple[int, ...], ...]:
        """How what it is told begins, however that is written."""
        free = [*(line.text for line in draft.examples), *(line.text for line in draft.history if line.role == "user")]
        found = openings((*draft.system, *draft.asides), (*free, draft.message))
        return tuple(dict.fromkeys(self._held(way) for one in found for way in spelled(one)))

    def _held(self, opening: Opening) -> tuple[int, ...]:
        """Its tokens, and the first one that it goes on with."""
        return self._encoded(opening.head + opening.then)[: len(self._encoded(opening.head)) + 1]

    def _runs(self, said: Sequence[str], free: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        pieces = [piece for text in said for piece in _BREAKS.split(text)]
        return spoken(map(self._encoded, pieces), map(self._encoded, free))

    def turns(self, speakers: Speakers) -> Turns:
        """How lines of a group begin, and its replies do not."""
        names = [*speakers.others, *_written_out(speakers.ours)] if speakers.others else []
        labels = {self._encoded(f"{lead}{name}:") for name in names for lead in ("", " ")}
        called = [name for name in names if words(name)[:1] and words(name)[0] not in STOP]  # nobody's "I am Ann"
        return Turns(frozenset(self._encoded(name)[0] for name in called), {label[:-1]: label[-1] for label in labels})

    def _encoded(self, text: str) -> tuple[int, ...]:
        """The tokens of a text by itself; most are the same from turn to turn."""
        if text not in self._tokens:
            if len(self._tokens) > 4_000:
                self._tokens.clear()
            self._tokens[text] = tuple(self._tokenizer.encode(text, add_special_tokens=False))
        return self._tokens[text]

    def count(self, text: str) -> int:
        """Tokens of a text by itself."""
        return self._length(self.safe(text))

    def tokens(self, messages: Messages, answer: bool = True) -> list[int]:
        """The model's chat template over these messages, ready for its answer."""
        if not self._tokenizer.chat_template:
            return self._tokenizer.encode(_plain(messages, answer))
        last: Exception | None = None
        for shape in SHAPES:
            try:
                ids = self._tokenizer.apply_chat_template(
                    shape(messages), add_generation_prompt=answer, tokenize=True, return_dict=False
                )
                return [int(token) for token in ids]
            except TemplateError as error:  # this model's template has no such role or order
                last = error
        said = f"the model's chat template refuses even one user message ({last})"
        raise ModelError(said, "`limen models` lists others") from last

    def _overhead(self) -> tuple[int, int]:
        """(tokens that the template adds to a message, tokens that it adds once), by trying it."""
        word, user = self._length("a"), {"role": "user", "content": "a"}
        one = len(self.tokens([user])) - word
        three = len(self.tokens([user, {"role": "assistant", "content": "a"}, user])) - 3 * word
        each = max(0, three - one + 1) // 2 + 1
        return each, max(0, one - each)

    def safe(self, text: str) -> str:
        """Nobody's text may hold a control token: `<|im_start|>` becomes `< |im_start|>`. Nor, in a play script, a line
        of somebody else: `User: hi` becomes `“User”: hi`."""
        text = self._controls.apart(clean(text))
        return text if self._tokenizer.chat_template else _SPEAKER.sub(r"\1“\2”\3", text)

    def _length(self, text: str) -> int:
        """Tokens of a text by itself."""
        if len(text) > 4000:
            return len(self._tokenizer.encode(text, add_special_tokens=False))
        if text not in self._lengths:
            if len(self._lengths) > 20_000:
                self._lengths.clear()
            self._lengths[text] = len(self._tokenizer.encode(text, add_special_tokens=False))
        return self._lengths[text]

    def _fit(self, prompt: Prompt, room: int) -> _Draft:
        """What of the prompt fits into `room` tokens, by our estimate."""
        history = [Said(said.role, self._trim(said.text, room // 4), said.id) for said in prompt.history]
        message = self._trim(prompt.message.text, room // 2)
        draft = _Draft(list(prompt.system), list(prompt.examples), history, list(prompt.asides), message)
        self._fit_history(draft, room)
        while self._count(draft.texts()) > room and self._give_up_one(draft):
            pass
        return draft

    def _count(self, texts: Sequence[str]) -> int:
        return sum(self._length(text) + self._each for text in texts) + self._once

    def _fit_history(self, draft: _Draft, room: int) -> None:
        """Leave out the oldest lines as if the talk had been rendered turn by turn: whenever the newest did not fit any
        more, the oldest half of the room was cleared. So the first line kept stays the same for many turns."""
        lengths = [self._length(said.text) + self._each for said in draft.history]
        room -= self._count(draft.texts()) - sum(lengths)
        room = min(room, self._talk or room)
        held = 0
        for at, length in enumerate(lengths):
            held += length
            if held > room:
                held, draft.gone = self._cleared(lengths, draft.gone, at, held, room // 2)
        del draft.history[: draft.gone]

    @staticmethod
    def _cleared(lengths: Sequence[int], first: int, last: int, held: int, most: int) -> tuple[int, int]:
        """(tokens still held, first line still held) once lines have gone until `most` tokens are left."""
        while held > most and first <= last:
            held, first = held - lengths[first], first + 1
        return held, first

    def _give_up_one(self, draft: _Draft) -> bool:
        """Leave out or shorten what matters least. False when nothing is left to give."""
        if draft.examples:
            del draft.examples[-2:]
            draft.dropped.append("example")
            return True
        sections = [*draft.asides, *draft.system]
        if len(sections) > 1 and (draft.asides or len(draft.system) > 1):
            least = min(sections, key=lambda section: section.priority)
            (draft.asides if least in draft.asides else draft.system).remove(least)
            draft.dropped.append(least.name)
            return True
        if draft.system and (size := self._length(draft.system[0].text)) > 64:
            draft.system[0] = Section(draft.system[0].name, self._trim(draft.system[0].text, size * 3 // 4))
            return True
        before = draft.message
        draft.message = self._trim(before, self._length(before) * 3 // 4)
        return len(draft.message) < len(before)

    def _trim(self, text: str, most: int) -> str:
        """`text` in at most `most` tokens, without its middle. Cuts by characters first: 200 kB take no time."""
        keep = min(len(text), max(most, 1) * LONG)
        cut = _without_middle(text, keep)
        while keep > 1 and (size := self._length(cut)) > most:
            keep = max(1, min(keep - 1, int(keep * most / size * 0.95)))
            cut = _without_middle(text, keep)
        return cut


def _written_out(names: Iterable[str]) -> Iterator[str]:
    """Names of the persona, and each word of them, as sentences begin."""
    for name in names:
        yield name
        yield from (word[0].upper() + word[1:] for word in name.split())


def _without_middle(text: str, keep: int) -> str:
    if keep >= len(text):
        return text
    head = keep * 2 // 3
    return text[:head] + CUT + text[len(text) - (keep - head) :]


def _mapped(prompt: Prompt, safe: Callable[[str], str]) -> Prompt:
    def said(lines: Sequence[Said]) -> tuple[Said, ...]:
        return tuple(Said(line.role, safe(line.text), line.id) for line in lines)

    def sections(parts: Sequence[Section]) -> tuple[Section, ...]:
        return tuple(Section(part.name, safe(part.text), part.priority) for part in parts)

    (message,) = said([prompt.message])
    speakers = Speakers(tuple(map(safe, prompt.speakers.ours)), tuple(map(safe, prompt.speakers.others)))
    return Prompt(
        sections(prompt.system), said(prompt.examples), said(prompt.history), sections(prompt.asides), message, speakers
    )


def _as_it_is(messages: Messages) -> Messages:
    return messages


def _alternating(messages: Messages) -> Messages:
    """One system message first, then user and assistant by turns: later system messages join the next user's."""
    first = messages[:1] if messages[0]["role"] == "system" else []
    merged: Messages = []
    for message in messages[len(first) :]:
        role = "user" if message["role"] == "system" else message["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1] = {"role": role, "content": f"{merged[-1]['content']}\n{message['content']}"}
        else:
            merged.append({"role": role, "content": message["content"]})
    if merged and merged[0]["role"] == "assistant":
        merged.insert(0, {"role": "user", "content": "…"})
    return [*first, *merged]


def _without_system(messages: Messages) -> Messages:
    """For templates that know no system role: it opens the first user message."""
    shaped = _alternating(messages)
    if shaped[0]["role"] != "system":
        return shaped
    return [{"role": "user", "content": f"{shaped[0]['content']}\n\n{shaped[1]['content']}"}, *shaped[2:]]


SHAPES: tuple[Callable[[Messages], Messages], ...] = (_as_it_is, _alternating, _without_system)
"""Ways to lay out the same messages, for chat templates that allow ever less."""


def _plain(messages: Messages, answer: bool) -> str:
    """For a base model without a template: a play script."""
    names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
    text = "\n".join(names[message["role"]] + message["content"] for message in messages)
    return f"{text}\nAssistant:" if answer else text


_SPEAKER = re.compile(r"^(\s*)(system|user|assistant)(\s*:)", re.MULTILINE | re.IGNORECASE)


def _controls(tokenizer: Tokenizer) -> Controls:
    """All that nobody may type for this tokenizer and its chat template."""
    written = _written(tokenizer) if tokenizer.chat_template else ""
    return Controls(marks(tokenizer, written), getattr(tokenizer, "control_shapes", ()))


def _written(tokenizer: Tokenizer) -> str:
    """What the chat template writes around messages, as it can be seen; nothing of what they say."""
    roles = ("system", "user", "assistant", "user")
    for shape in SHAPES:
        messages = shape([{"role": role, "content": _NOTHING} for role in roles])
        with suppress(TemplateError, TypeError, ValueError):
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            return text.replace(_NOTHING, "") if isinstance(text, str) else ""
    return ""


_NOTHING = "\x1a"  # no letter, and in no template
