"""Sampling: defaults, ranges, overrides."""

import re

import pytest

from personas.sampling import Sampling


def test_overrides_replace_only_what_they_name() -> None:
    """The rest of the card's sampling stays."""
    base = Sampling(temperature=0.5, top_k=40, seed=7)

    assert Sampling(temperature=0, top_k=40, seed=7, stop=("a", "b")) == base.merged(
        {"temperature": 0, "stop": ("a", "b")}
    )


def test_an_override_may_restate_a_default() -> None:
    """What equals the default still wins over the card."""
    assert Sampling(temperature=0.1).merged({"temperature": 0.7}).temperature == 0.7


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("temperature", 2.5, "2.5 is not allowed; expected a number from 0 to 2"),
        ("temperature", float("nan"), "nan is not allowed; expected a number from 0 to 2"),
        ("temperature", float("inf"), "inf is not allowed; expected a number from 0 to 2"),
        ("top_k", -1, "-1 is not allowed; expected a whole number from 0 to 1,000"),
        ("top_k", True, "true is not allowed; expected a whole number"),
        ("top_p", 0, "0 is not allowed; expected a number above 0 to 1"),
        ("min_p", 1.1, "1.1 is not allowed; expected a number from 0 to 1"),
        ("repetition_penalty", 0.4, "0.4 is not allowed; expected a number from 0.5 to 2"),
        ("max_tokens", 0, "0 is not allowed; expected a whole number from 1 to 4,096"),
        ("max_tokens", "many", "'many' is not allowed; expected a whole number"),
        ("stop", "a", "'a' is not allowed; expected a list"),
        ("seed", 2**64, "is not allowed; expected a whole number from 0"),
        ("temprature", 1, "is not a field here (did you mean temperature?)"),
    ],
)
def test_a_bad_override_names_key_value_and_range(key: str, value: object, words: str) -> None:
    """A person who asked for too much learns what there is."""
    with pytest.raises(ValueError, match=rf"^{key}: .*{re.escape(words)}"):
        Sampling().merged({key: value})


def test_a_list_with_a_bad_item_names_the_key() -> None:
    """An empty stop string would end every reply at once."""
    with pytest.raises(ValueError, match="stop: is empty"):
        Sampling().merged({"stop": ["ok", ""]})
