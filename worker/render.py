"""Structured prompt → messages and tokens that fit the model's context. Used by serving and by training alike.

What goes first when room is short: the oldest history (in chunks, so that the prefix of a conversation stays the same
for many turns), then examples, then the sections of lowest priority, then the middle of the message.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jinja2.exceptions import TemplateError

from core.prompt import Prompt, Said, Section
from worker.generator import Rendered

Messages = list[dict[str, str]]
CUT = "\n[…]\n"
OVERHEAD = 8  # tokens that a template adds to a message, at most


class Tokenizer(Protocol):
    """What we need of a transformers tokenizer."""

    chat_template: Any
    all_special_tokens: list[str]

    def apply_chat_template(self, conversation: Messages, **options: Any) -> Any: ...

    def encode(self, text: str, **options: Any) -> list[int]: ...


class Renderer:
    """Renders prompts for one tokenizer and one context length (in tokens)."""

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self._tokenizer, self._context = tokenizer, context
        self._special = sorted({token for token in tokenizer.all_special_tokens if len(token) > 2}, key=len, reverse=True)
        self._lengths: dict[str, int] = {}

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """The prompt with room for `reserve` tokens of reply. Never refuses: something always fits."""
        budget = max(self._context - reserve, self._context // 4)
        prompt = _mapped(prompt, self._safe)
        message = self._trim(prompt.message.text, budget // 2)
        system = list(prompt.system)
        asides, examples, history = list(prompt.asides), list(prompt.examples), list(prompt.history)
        dropped: list[str] = []
        gone = self._fit_history(system, asides, examples, history, message, budget)
        while self._count(system, asides, examples, history, message) > budget:
            if not self._give_up_one(system, asides, examples, dropped):
                message = self._trim(message, self._length(message) * 3 // 4)
                if self._length(message) <= 8:
                    break
        messages = _messages(system, asides, examples, history, message)
        tokens = self.tokens(messages)
        return Rendered(
            messages=tuple(messages), tokens=tuple(tokens[-budget:]), dropped=tuple(dropped), history_dropped=gone
        )

    def tokens(self, messages: Messages, answer: bool = True) -> list[int]:
        """The model's chat template over these messages, ready for its answer."""
        if not self._tokenizer.chat_template:
            return self._tokenizer.encode(_plain(messages, answer))
        last: Exception | None = None
        for shape in (_as_it_is, _alternating, _without_system):
            try:
                ids = self._tokenizer.apply_chat_template(
                    shape(messages), add_generation_prompt=answer, tokenize=True, return_dict=False
                )
                return [int(token) for token in ids]
            except TemplateError as error:  # this model's template has no such role or order
                last = error
        raise AssertionError("a template that refuses even one user message") from last

    def _safe(self, text: str) -> str:
        """Nobody's text may hold a control token: `<|im_start|>` becomes `< |im_start|>`."""
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _length(self, text: str) -> int:
        if text not in self._lengths:
            if len(self._lengths) > 20_000:
                self._lengths.clear()
            self._lengths[text] = len(self._tokenizer.encode(text, add_special_tokens=False))
        return self._lengths[text]

    def _count(
        self, system: Sequence[Section], asides: Sequence[Section], examples: Sequence[Said], history: Sequence[Said], message: str
    ) -> int:
        parts = [part.text for part in (*system, *asides, *examples, *history)]
        return sum(self._length(part) + OVERHEAD for part in (*parts, message)) + OVERHEAD

    def _fit_history(
        self, system: list[Section], asides: list[Section], examples: list[Said], history: list[Said], message: str, budget: int
    ) -> int:
        """Drop the oldest lines once they do not fit: down to half of their room. How many went."""
        room = budget - self._count(system, asides, examples, [], message)
        lengths = [self._length(said.text) + OVERHEAD for said in history]
        if sum(lengths) <= room:
            return 0
        gone, left = 0, sum(lengths)
        while gone < len(history) and left > max(room // 2, 0):
            left -= lengths[gone]
            gone += 1
        del history[:gone]
        return gone

    def _give_up_one(
        self, system: list[Section], asides: list[Section], examples: list[Said], dropped: list[str]
    ) -> bool:
        """Leave out the example pair or section that matters least. False when only the first section is left."""
        if examples:
            del examples[-2:]
            dropped.append("example")
            return True
        least = min([*asides, *system], key=lambda section: section.priority, default=None)
        if least is None or (len(system) <= 1 and not asides):
            if system and self._length(system[0].text) > 64:
                system[0] = Section(system[0].name, self._trim(system[0].text, self._length(system[0].text) * 3 // 4))
                return True
            return False
        (asides if least in asides else system).remove(least)
        dropped.append(least.name)
        return True

    def _trim(self, text: str, most: int) -> str:
        """`text` in at most about `most` tokens, without its middle. Cuts by characters first: 200 kB take no time."""
        if len(text) > most * 12:
            text = _without_middle(text, most * 12)
        while self._length(text) > most and len(text) > 8:
            text = _without_middle(text, max(8, int(len(text) * most / self._length(text) * 0.95) - len(CUT)))
        return text


def _without_middle(text: str, most: int) -> str:
    head = most * 2 // 3
    return text[:head] + CUT + text[len(text) - (most - head) :]


def _mapped(prompt: Prompt, safe: Callable[[str], str]) -> Prompt:
    def said(lines: Sequence[Said]) -> tuple[Said, ...]:
        return tuple(Said(line.role, safe(line.text), line.id) for line in lines)

    def sections(parts: Sequence[Section]) -> tuple[Section, ...]:
        return tuple(Section(part.name, safe(part.text), part.priority) for part in parts)

    message = Said(prompt.message.role, safe(prompt.message.text), prompt.message.id)
    return Prompt(sections(prompt.system), said(prompt.examples), said(prompt.history), sections(prompt.asides), message)


def _messages(
    system: Sequence[Section], asides: Sequence[Section], examples: Sequence[Said], history: Sequence[Said], message: str
) -> Messages:
    messages = [{"role": "system", "content": "\n\n".join(section.text for section in system)}] if system else []
    messages += [{"role": said.role, "content": said.text} for said in (*examples, *history)]
    if asides:
        messages.append({"role": "system", "content": "\n".join(section.text for section in asides)})
    return [*messages, {"role": "user", "content": message}]


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


def _plain(messages: Messages, answer: bool) -> str:
    """For a base model without a template: a play script."""
    names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
    text = "\n".join(names[message["role"]] + message["content"] for message in messages)
    return f"{text}\nAssistant:" if answer else text
