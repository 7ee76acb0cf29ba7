"""core/store/keys.py: every key is described, and everybody's data can be found, exported and forgotten."""

import inspect
import re

import pytest

from core import privacy
from core.store import consents, conversations, keys, ledger, loras, memories, nights, personalities, queue, reflections

PARTS = (privacy, consents, conversations, ledger, loras, memories, nights, personalities, queue, reflections)
REACH = "".join(inspect.getsource(module) for module in PARTS)
PEOPLES = {name for name, key in keys.every().items() if key.data_of != "nobody"}


@pytest.mark.parametrize("name", sorted(keys.every()))
def test_a_key_says_what_it_is(name: str) -> None:
    """Type, lifetime, writer, reader and whose data, for each."""
    key = keys.every()[name]

    assert key.pattern.startswith("limen:")
    assert key.type in ("string", "hash", "list", "set", "zset", "stream", "pubsub", "prefix")
    assert key.data_of in ("person", "conversation", "nobody")
    assert all((key.lifetime, key.written_by, key.read_by))


def test_no_two_keys_can_meet() -> None:
    """Not even where one's id looks like the other's pattern: ids are quoted, so they hold no colon of their own."""
    patterns = [key.pattern for key in keys.every().values()]

    assert len(patterns) == len(set(patterns))


@pytest.mark.parametrize("name", sorted(PEOPLES))
def test_whatever_holds_peoples_data_is_reached_by_forget_and_export(name: str) -> None:
    """The code that serves both names the key; `tests/story/test_privacy.py` proves that it does so rightly."""
    assert re.search(rf"keys\.{name}\b", REACH), f"nothing in privacy's reach names keys.{name}"
