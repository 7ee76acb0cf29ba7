"""What Tab offers."""

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from adapters.terminal.editing import Completions


def offered(typed):
    """Everything that is offered for what is typed so far, as the line would read."""
    completions = Completions(lambda: ["mira", "orrin", "noa"]).get_completions(Document(typed), CompleteEvent())
    return [typed[: len(typed) + each.start_position] + each.text for each in completions]


def test_commands_are_offered_after_a_slash():
    """Those that begin so, with leaving among them."""
    assert offered("/per") == ["/persona", "/personas"]
    assert offered("/QU") == ["/quit"]
    assert len(offered("/")) > 10


def test_names_are_offered_after_switch():
    """The personas there are."""
    assert offered("/switch ") == ["/switch mira", "/switch orrin", "/switch noa"]
    assert offered("/switch O") == ["/switch orrin"]


def test_emoji_are_offered_after_a_plus_and_after_react():
    """By the beginning of their names."""
    assert offered("+thumbsu") == ["+👍"]
    assert offered("+:hear") == ["+❤️"]
    assert offered("/react thumbsd") == ["/react 👎"]
    assert len(offered("+")) == 10


def test_talk_is_left_in_peace():
    """Nothing pops up in the middle of a sentence."""
    assert offered("hi /per") == offered("hi") == offered("/history 5") == offered("") == []
