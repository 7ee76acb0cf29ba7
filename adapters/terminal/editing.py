"""What keys do at the prompt, and what Tab offers. Knows what can be typed; does not know what becomes of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from core.commands.desk import COMMANDS

EMOJI = (("👍", "thumbsup"), ("👎", "thumbsdown"), ("❤️", "heart"), ("😂", "joy"), ("😮", "open_mouth"), ("😢", "cry"),
         ("🎉", "tada"), ("🤔", "thinking"), ("😴", "sleeping"), ("🔥", "fire"))  # fmt: skip


class Interrupted(Protocol):
    """Who wants to know of Ctrl-C."""

    def interrupt(self) -> None:
        """Ctrl-C was pressed."""


def bindings(terminal: Interrupted) -> KeyBindings:
    """Enter sends, Alt-Enter begins a line, Ctrl-C is the terminal's; what is pasted is text, whatever is in it."""
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def _stop(event: KeyPressEvent) -> None:
        terminal.interrupt()

    return keys


class Completions(Completer):
    """Commands after `/`, names after `/switch`, emoji after `+` and `/react`. Nothing in the middle of talk."""

    def __init__(self, personas: Callable[[], Sequence[str]]) -> None:
        self._personas = personas

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could be meant, by what is typed so far."""
        typed = document.text_before_cursor
        command, space, begun = typed.partition(" ")
        if typed.startswith(("+", "-")) and not space:
            return _emoji(typed[1:])
        if command in ("/react", "/unreact") and space:
            return _emoji(begun)
        if command == "/switch" and space:
            return [Completion(name, -len(begun)) for name in self._personas() if name.startswith(begun.lower())]
        if typed.startswith("/") and not space:
            return _commands(typed[1:])
        return []


def _commands(begun: str) -> list[Completion]:
    names = {name: act.__doc__ or "" for name, act in COMMANDS.items()} | {"quit": "leave; what was said is kept"}
    return [
        Completion(name, -len(begun), display=f"/{name}", display_meta=help_)
        for name, help_ in sorted(names.items())
        if name.startswith(begun.lower())
    ]


def _emoji(begun: str) -> list[Completion]:
    return [
        Completion(emoji, -len(begun), display=emoji, display_meta=name)
        for emoji, name in EMOJI
        if name.startswith(begun.strip(":").lower())
    ]
