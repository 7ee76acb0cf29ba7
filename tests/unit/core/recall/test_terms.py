"""core/recall/terms.py: by which terms a text is found again."""

import pytest

from core.recall.terms import terms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What did you recommend for my mother's birthdays?", ["recommend", "mother", "birthdai"]),
        ("She runs; he was running. They RAN!", ["run", "run", "ran"]),
        ("naïve café 2 movies", ["naïve", "café", "2", "movi"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー", "東", "京"]),
        ("私", ["私"]),
        ("Hi, hello! How are you?", []),
        ("_snake_score_ 🐝 …", ["snake", "score"]),
        ("", []),
    ],
)
def test_words_are_stemmed_and_those_that_say_nothing_left_out(text: str, found: list[str]) -> None:
    """Porter's stems of English words; scripts without spaces in pairs, and each Chinese character."""
    assert found == terms(text)


def test_words_stand_as_they_are() -> None:
    """But for their case and what hangs on an apostrophe."""
    assert ["ann", "house", "isn", "here"] == words("Ann's house isn’t here.")
