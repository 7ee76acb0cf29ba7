"""Reading a card: shorthands, and every fault with its line."""

from pathlib import Path

import pytest

from personas import reading
from personas.card import CardFaults, Emotion, Trait
from personas.eras import FORMS

UNKNOWN = "4: limits.languages[{}]: '{}' is not a known language; expected a name or a code, such as English or en"
SMALL = "name: ada\ntitle: Ada\ndescription: A test.\n"


def faults(text: str) -> list[str]:
    """What is wrong with a card of this text; nothing if it is sound."""
    try:
        reading.read(text, "ada.yaml")
    except CardFaults as error:
        return [str(fault) for fault in error.faults]
    return []


def test_three_fields_make_a_card() -> None:
    """Everything but name, title and description has a default."""
    card = reading.read(SMALL)

    assert (card.name, card.title, card.evolves, card.sampling.max_tokens) == ("ada", "Ada", True, 160)


def test_an_empty_file_says_what_a_card_needs() -> None:
    """The three fields are asked for by name."""
    assert [line.split(": ")[1] for line in faults("")] == ["name", "title", "description"]


def test_a_number_is_a_trait_with_a_band_around_it() -> None:
    """0.15 to each side, and never out of 0 to 1."""
    card = reading.read(
        SMALL + "traits: {warmth: 0.5, humour: 0.95, calm: {value: 0.1}, pride: {value: 0, band: [0, 1]}}"
    )

    assert {
        "warmth": Trait(value=0.5, band=(0.35, 0.65)),
        "humour": Trait(value=0.95, band=(0.8, 1.0)),
        "calm": Trait(value=0.1, band=(0.0, 0.25)),
        "pride": Trait(value=0.0, band=(0.0, 1.0)),
    } == card.traits


def test_a_word_is_an_emotion() -> None:
    """The emoji may follow in the long form."""
    card = reading.read(SMALL + "emotions: [glad, {name: sad, emoji: 😢}]")

    assert (Emotion(name="glad"), Emotion(name="sad", emoji="😢")) == card.emotions


def test_a_language_goes_by_its_name_or_its_code() -> None:
    """Both are the same card, and a region is kept."""
    named, coded = (reading.read(SMALL + f"limits: {{languages: [{given}]}}") for given in (
        "English, deutsch, Scottish gaelic, pt_BR", "en, DE, gd, pt-BR",
    ))  # fmt: skip

    assert ("en", "de", "gd", "pt-BR") == named.limits.languages
    assert named.hash == coded.hash


def test_all_faults_are_listed_with_line_and_field() -> None:
    """Misspelt, mistyped, missing and out of range, in one go and in the order of the file."""
    text = """name: Ada Lovelace
title: 1815
descripton: x
description: "  "
voice:
  examples:
    - user: hi
traits:
  warmth: 2
rules:
  - when: {time: "25:00-01:00"}
    silent: yes
sampling:
  temperature: 3
"""
    slug = "1 to 40 of a-z, 0-9 and -, not beginning or ending with -"

    assert [
        f"ada.yaml:1: name: 'Ada Lovelace' is not allowed; expected {slug}",
        "ada.yaml:2: title: 1815 is not text; put it in quotes",
        "ada.yaml:3: descripton: is not a field here (did you mean description?)",
        "ada.yaml:4: description: is empty; expected text of 1 to 4,000 characters",
        "ada.yaml:7: voice.examples[0].reply: is missing; expected text of 1 to 2,000 characters",
        "ada.yaml:9: traits.warmth.value: 2 is not allowed; expected a number from 0 to 1",
        "ada.yaml:11: rules[0].when.time: '25:00-01:00' is not allowed; expected HH:MM-HH:MM, such as 22:00-06:00",
        "ada.yaml:12: rules[0].silent: 'yes' is not allowed; expected true or false",
        "ada.yaml:14: sampling.temperature: 3 is not allowed; expected a number from 0 to 2",
    ] == faults(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "traits:\n  warmth: {value: 0.5, band: [0.6, 0.9]}",
            "5: traits.warmth.value: 0.5 is outside its band, 0.6 to 0.9",
        ),
        (
            "traits:\n  warmth: {value: 0.5, band: [0.9, 0.1]}",
            "5: traits.warmth.band: goes from 0.9 down to 0.1; expected [low, high]",
        ),
        ("traits: {extroversion: 0.5}", "4: traits.extroversion: is not a trait (did you mean extraversion?)"),
        (
            "rules:\n  - when: {}\n    say: x",
            "5: rules[0].when: expected at least one of keywords, regex, intent, time, first_contact, mood, dial",
        ),
        (
            "rules:\n  - when: {first_contact: true}",
            "5: rules[0]: expected exactly one of say, steer, silent: true or react",
        ),
        (
            "rules:\n  - when: {first_contact: true}\n    say: x\n    silent: true",
            "5: rules[0]: expected exactly one of say, steer, silent: true or react",
        ),
        (
            "rules:\n  - say: x\n    when:\n      regex: '('",
            "7: rules[0].when.regex: '(' is not a regular expression: missing ) at position 1",
        ),
        (
            "rules:\n  - say: x\n    when: {keywords: [' ']}",
            "6: rules[0].when.keywords[0]: is empty; expected text of 1 to 200 characters",
        ),
        (
            "rules:\n  - say: x\n    when: {time: '21:00-21:00'}",
            "6: rules[0].when.time: 21:00-21:00 begins and ends at the same minute",
        ),
        (
            "emotions: [happy]\nrules:\n  - say: x\n    when: {mood: hapy}",
            "7: rules[0].when.mood: 'hapy' is none of its emotions (did you mean happy?)",
        ),
        (
            "traits: {warmth: 0.5}\nrules:\n  - say: x\n    when: {dial: warmt > 0.7}",
            "7: rules[0].when.dial: 'warmt' is none of its traits (did you mean warmth?)",
        ),
        (
            "rules:\n  - say: x\n    when: {mood: glad}",
            "6: rules[0].when.mood: 'glad' is none of its emotions; there are none",
        ),
        (
            "limits: {languages: [en, Englich]}",
            UNKNOWN.format(1, "Englich") + " (did you mean English?)",
        ),
        (
            "limits: {languages: [Pirate]}",
            UNKNOWN.format(0, "Pirate"),
        ),
        (
            "knowledge:\n  era: foo bar",
            f"5: knowledge.era: 'foo bar' names no time; expected {FORMS}",
        ),
        (
            "emotions:\n  - calm\n  - {name: ' Calm', emoji: 😌}",
            "6: emotions[1]: ' Calm' is there already, as emotions[0]; expected each once",
        ),
        (
            "emotions:\n  - {name: calm, emoji: hello}",
            "5: emotions[0].emoji: 'hello' is no emoji; expected one, such as 👍, or platform:id",
        ),
        (
            "names: [Ada, conductor, ada]",
            "4: names[2]: 'ada' is there already, as names[0]; expected each once",
        ),
        (
            "consent: ' '",
            "4: consent: is empty; expected text of 1 to 300 characters, or no such line",
        ),
        (
            "knowledge: {files: [../secret.txt]}",
            "4: knowledge.files[0]: '../secret.txt' must be a path below the card's own folder",
        ),
        (
            "knowledge: {files: [/etc/passwd]}",
            "4: knowledge.files[0]: '/etc/passwd' must be a path below the card's own folder",
        ),
    ],
)
def test_what_does_not_fit_together_is_a_fault(text: str, fault: str) -> None:
    """Each part may be sound by itself, and the card still wrong."""
    assert [f"ada.yaml:{fault}"] == faults(SMALL + text + "\n")


def test_what_can_be_read_is_checked_beside_what_cannot() -> None:
    """A wrong type, an unknown field, a contradiction, a rule without an act: all in one go."""
    text = """name: ada
titel: Ada
description: A test.
traits: {warmth: 0.5, extroversion: 0.5, pride: 7}
emotions: [merry]
rules:
  - when: {mood: mery, keywrds: [a]}
    say: x
  - when: {keywords: [a]}
  - when: {keywords: [a], dial: pride>0.5}
    react: x
  - when: {regex: '(', first_contact: 1}
    silent: true
knowledge: {domains: [trains], unknowns: [trains], files: [../a.md]}
"""
    assert [
        "ada.yaml:2: titel: is not a field here (did you mean title?)",
        "ada.yaml:4: traits.pride.value: 7 is not allowed; expected a number from 0 to 1",
        "ada.yaml:4: traits.extroversion: is not a trait (did you mean extraversion?)",
        "ada.yaml:7: rules[0].when.keywrds: is not a field here (did you mean keywords?)",
        "ada.yaml:7: rules[0].when.mood: 'mery' is none of its emotions (did you mean merry?)",
        "ada.yaml:9: rules[1]: expected exactly one of say, steer, silent: true or react",
        "ada.yaml:10: rules[2].when: can never hold first: rules[1] holds whenever this does; put this one before it",
        "ada.yaml:11: rules[2].react: 'x' is no emoji; expected one, such as 👍, or platform:id",
        "ada.yaml:12: rules[3].when.first_contact: 1 is not allowed; expected true or false",
        "ada.yaml:12: rules[3].when.regex: '(' is not a regular expression: missing ) at position 1",
        "ada.yaml:14: knowledge.unknowns[0]: 'trains' is among knowledge.domains, too: which of the two holds?",
        "ada.yaml:14: knowledge.files[0]: '../a.md' must be a path below the card's own folder",
    ] == faults(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("traits: {warmth: hot}\nrules:\n  - when: {dial: warmth>0.5}\n    say: x", "4: traits.warmth.value"),
        ("trait: {warmth: 0.5}\nrules:\n  - when: {dial: warmth>0.5}\n    say: x", "4: trait: is not a field"),
        ("emotions: [merry, 7]\nrules:\n  - when: {mood: sad}\n    say: x", "4: emotions[1]"),
        ("rules:\n  - when: {regx: a}\n    say: x\n  - when: {regex: a}\n    say: x", "5: rules[0].when.regx"),
        ("rules:\n  - when: {first_contact: true}\n    sya: x", "6: rules[0].sya: is not a field"),
        ("rules:\n  - wehn: {first_contact: true}\n    say: x", "5: rules[0].wehn: is not a field"),
        ("rules:\n  - say: x", "5: rules[0].when: is missing"),
        ("rules: [x]", "4: rules[0]: 'x' is not allowed"),
        ("rules: x", "4: rules: 'x' is not allowed"),
        ("limits: [x]", "4: limits: a list of 1 is not allowed"),
        ("names: [" + "a, " * 65 + "]", "4: names: a list of 65 is not allowed"),
    ],
)
def test_one_slip_is_one_fault(text: str, fault: str) -> None:
    """What only seems wrong because something else cannot be read is not told."""
    found = faults(SMALL + text + "\n")

    assert 1 == len(found), found
    assert found[0].startswith(f"ada.yaml:{fault}")


def test_a_text_that_is_not_beside_the_card_is_named_with_its_line(tmp_path: Path) -> None:
    """With everything else; only who says where to look is told so."""
    text = SMALL + "voice: {stile: x}\nknowledge:\n  files:\n    - here.md\n    - gone.md\n"
    (tmp_path / "here.md").write_text("Here.")

    with pytest.raises(CardFaults) as caught:
        reading.read(text, "ada.yaml", beside=tmp_path)

    assert [
        "ada.yaml:4: voice.stile: is not a field here (did you mean style?)",
        "ada.yaml:8: knowledge.files[1]: there is no gone.md beside the card",
    ] == [str(fault) for fault in caught.value.faults]
    assert 1 == len(faults(text))


def test_a_card_too_long_for_every_prompt_is_refused() -> None:
    """Description and voice are in every prompt: together they have a limit."""
    example = f"    - {{user: hi, reply: {'x' * 1990}}}\n"

    assert faults(SMALL + "voice:\n  examples:\n" + example * 4) == []
    assert faults(SMALL + "voice:\n  examples:\n" + example * 5) == [
        "ada.yaml:4: voice: description and voice have 9,967 characters; at most 8,000 fit every prompt"
    ]


def test_broken_yaml_is_one_fault_with_its_line(tmp_path: Path) -> None:
    """What cannot be read at all is told the same way."""
    file = tmp_path / "ada.yaml"
    file.write_text(SMALL + "title: Eve\n")

    with pytest.raises(CardFaults) as caught:
        reading.read(file)

    assert [str(fault) for fault in caught.value.faults] == ["ada.yaml:4: 'title' is given twice; first in line 2"]


def test_every_example_in_the_guide_is_sound() -> None:
    """Who copies the first one of `docs/write-a-persona.md` has a card, and the others are parts of one."""
    guide = Path(__file__).parents[3] / "docs" / "write-a-persona.md"
    first, *others = (part.split("```")[0] for part in guide.read_text(encoding="utf-8").split("```yaml\n")[1:])

    assert [[]] * 5 == [faults(first), *(faults(SMALL + other) for other in others)]


def test_what_is_said_twice_is_found_beside_what_cannot_be_read() -> None:
    """Places are those in the file, whatever stands before them."""
    text = (
        SMALL
        + """emotions:
  - 7
  - glad
  - {name: glad, emoji: "привет"}
names: [[], Ada, 3, Ada, ' ', ' ']
"""
    )
    assert [
        "ada.yaml:5: emotions[0]: 7 is not allowed; expected a mapping of name, emoji",
        "ada.yaml:7: emotions[2].emoji: 'привет' is no emoji; expected one, such as 👍, or platform:id",
        "ada.yaml:7: emotions[2]: 'glad' is there already, as emotions[1]; expected each once",
        "ada.yaml:8: names[0]: a list of 0 is not allowed; expected text of 1 to 200 characters",
        "ada.yaml:8: names[2]: 3 is not text; put it in quotes",
        "ada.yaml:8: names[4]: is empty; expected text of 1 to 200 characters",
        "ada.yaml:8: names[5]: is empty; expected text of 1 to 200 characters",
        "ada.yaml:8: names[3]: 'Ada' is there already, as names[1]; expected each once",
    ] == faults(text)


@pytest.mark.parametrize(
    "emoji", ["😄", "👍🏽", "1️⃣", "\u2139\ufe0f", "©️", "❤️", "👨‍👩‍👧", "🇩🇪", "‼️", "slack:party_parrot", ""]
)
def test_every_sort_of_emoji_may_show_an_emotion(emoji: str) -> None:
    """Keycaps and letters that are pictures, too, and those that somebody uploaded."""
    assert [] == faults(SMALL + f"emotions: [{{name: glad, emoji: '{emoji}'}}]\n")


@pytest.mark.parametrize("emoji", ["hello", "привет", ":)", "!!", "👍 yes", "1"])
def test_words_and_signs_are_no_emoji(emoji: str) -> None:
    """In whatever writing."""
    assert 1 == len(faults(SMALL + f"emotions: [{{name: glad, emoji: '{emoji}'}}]\n"))
