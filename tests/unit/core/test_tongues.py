"""core/tongues.py: what is in a language that is not spoken, and what only looks so."""

import pytest

from core.tongues import foreign, names


@pytest.mark.parametrize(
    ("text", "spoken", "expected"),
    [
        ("Wie geht es dir, und was ist das für ein Schiff?", ["en"], True),
        ("Wie geht es dir, und was ist das für ein Schiff?", ["en", "de"], False),
        ("Comment est-ce que tu vas, et que fais-tu dans la vie?", ["en"], True),
        ("¿Cómo está el tiempo y qué haces con los barcos?", ["en"], True),
        ("как дела, капитан?", ["en"], True),
        ("как дела, капитан?", ["ru"], False),
        ("お元気ですか", ["en"], True),
        ("お元気ですか", ["ja"], False),
        ("How are you, and what do you do?", ["de"], True),
        ("How are you, and what do you do?", ["en-GB"], False),
        ("How are you, and what do you do?", [], False),
        ("I read Der Spiegel and Le Monde in the morning", ["en"], False),
        ("Danke!", ["en"], False),
        ("ok", ["en"], False),
        ("🌊🌊🌊 1234 !?", ["en"], False),
        ("", ["en"], False),
        ("Hoe gaat het met je en waar ben je van?", ["fi"], False),
    ],
)
def test_what_is_not_spoken_is_known(text: str, spoken: list[str], expected: bool):
    """By its writing or by several of its commonest words; a name or a word of thanks makes nothing foreign."""
    assert expected == foreign(text, spoken)


def test_languages_are_called_by_their_names():
    """What is not known by name stays as the card has it."""
    assert ["English", "English and French", "English, German and Klingon"] == [
        names(spoken) for spoken in (["en"], ["en", "fr"], ["en", "de-AT", "Klingon"])
    ]
