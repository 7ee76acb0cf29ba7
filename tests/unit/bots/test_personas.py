"""`limen personas` and `limen persona`: what there is, what is wrong with it, and beginning one's own."""

import json
from pathlib import Path

import pytest

from bots import template
from personas import library, reading
from personas.card import SCHEMA
from tests.fakes.commands import limen


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a folder for cards of one's own."""
    (tmp_path / "personas").mkdir()
    monkeypatch.setenv("LIMEN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def own(home: Path, name: str, text: str) -> Path:
    """A card of one's own."""
    file = home / "personas" / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_list_has_a_persona_on_each_line_name_first():
    """As scripts want it: the first word is the name."""
    said = limen("personas")

    assert (0, library.names([library.SHIPPED])) == (said.status, [line.split()[0] for line in said.out.splitlines()])
    assert "mira   Captain Mira Flint · A cheerful pirate captain" in said.out


def test_a_broken_card_of_ones_own_is_listed_with_its_fault(home: Path):
    """It hides nothing but the shipped card of the same name."""
    own(home, "odd", "name: odd\ntitel: Odd\ndescription: You are odd.\n")

    said = limen("personas")
    rows = {row["name"]: row for row in json.loads(limen("personas", "--json").out)}

    assert "odd    (broken) odd.yaml:" in said.out
    assert 9 == len(rows)
    assert {"line": 2, "field": "titel", "message": "is not a field here (did you mean title?)"} in rows["odd"][
        "faults"
    ]
    assert (True, False, []) == (rows["mira"]["shipped"], rows["odd"]["shipped"], rows["mira"]["faults"])


def test_check_sums_a_sound_card_up():
    """Who it is, what it costs in every prompt, and what acts beside it."""
    said = limen("persona", "check", library.SHIPPED / "mira.yaml")

    words = " ".join(said.out.split())
    assert 0 == said.status
    assert f"{library.SHIPPED / 'mira.yaml'}: ok" in said.out
    assert "mira · Captain Mira Flint" in words
    assert "tokens, with 4 examples" in words
    assert "beside it: 6 rules, 5 world details, 2 channel scenes, 5 emotions" in words


def test_check_takes_a_name_as_well():
    """As every other command does; what is neither file nor name is told with the names there are."""
    said, neither = limen("persona", "check", "mira"), limen("persona", "check", "mirra")

    assert (0, True) == (said.status, f"{library.SHIPPED / 'mira.yaml'}: ok" in said.out)
    words = " ".join(neither.out.split())
    assert (1, True) == (neither.status, "no card or file of that name (did you mean mira?); there is: bram" in words)


def test_check_names_file_line_and_field_of_every_fault(home: Path):
    """Of all the files, sound and broken; the status is 1."""
    text = "name: odd\ntitle: Odd\ndescription: You are odd.\nsampling:\n  temperature: 9\nvoice:\n  stile: loud\n"
    text += "knowledge:\n  files: [gone.md]\n"
    file = own(home, "odd", text)

    said = limen("persona", "check", file, library.SHIPPED / "plum.yaml")

    assert 1 == said.status
    assert f"{file}:5: sampling.temperature: 9 is not allowed; expected a number from 0 to 2" in said.out
    assert f"{file}:7: voice.stile: is not a field here (did you mean style?)" in said.out
    assert f"{file}:9: knowledge.files[0]: there is no gone.md beside the card" in said.out
    assert "plum.yaml: ok" in said.out


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: [", ":2: not YAML"),
        ("- a\n- b\n", ":1: expected `key: value` lines"),
        ("name: odd\n\x00", ":2: holds a NUL byte"),
        ("", ":1: name: is missing"),
    ],
)
def test_what_is_no_card_at_all_is_told(text: str, fault: str, home: Path):
    """Broken YAML, a list, something binary, nothing: with the line, and without a traceback."""
    file = own(home, "odd", text)

    said = limen("persona", "check", file)

    assert (1, True) == (said.status, f"{file}{fault}" in said.out)


def test_a_file_that_is_not_there_and_a_folder_are_told(home: Path):
    """Each with what to do about it."""
    said = limen("persona", "check", home / "nobody.yaml", home / "personas")

    assert 1 == said.status
    assert f"{home}/nobody.yaml:1: cannot be read: No such file or directory" in said.out
    assert f"{home}/personas: is a folder; name the cards in it: {home}/personas/*.yaml" in said.out


def test_show_tells_who_it_is_and_where_the_card_lies():
    """In 80 columns."""
    said = limen("persona", "show", "Mira")

    assert 0 == said.status
    assert "Captain Mira Flint (mira)" in said.out
    assert "Greets with: Ahoy, matey!" in said.out
    assert str(library.SHIPPED / "mira.yaml") in said.out
    assert max(map(len, said.out.splitlines()[:-1])) <= 80


def test_a_name_that_nobody_has_is_told_with_what_was_meant():
    """And with the names there are."""
    said = limen("persona", "show", "mirra")

    assert (1, True, True) == (said.status, "did you mean mira?" in said.err, "bram" in said.err)


def test_a_new_card_passes_check_and_can_be_talked_to(home: Path):
    """It lies in the home, under its name, and says where the schema is."""
    said = limen("persona", "new", "old-tom")
    file = home / "personas" / "old-tom.yaml"

    assert (0, str(file)) == (said.status, said.out.splitlines()[0])
    assert 0 == limen("persona", "check", file).status
    assert 0 == limen("persona", "show", "old-tom").status
    assert f"$schema={SCHEMA}" in file.read_text("utf-8").splitlines()[0]
    assert "Old Tom" in limen("personas").out


def test_what_is_there_is_not_written_over(home: Path):
    """Neither one's own card, nor a shipped one by one of the same name."""
    limen("persona", "new", "ada")
    before = (home / "personas" / "ada.yaml").read_text()

    own_again, shipped = limen("persona", "new", "ada"), limen("persona", "new", "mira")

    assert (1, True) == (own_again.status, "is there already" in own_again.err)
    assert (1, True) == (shipped.status, f"cp {library.SHIPPED / 'mira.yaml'} " in shipped.err)
    assert [("ada.yaml", before)] == [(file.name, file.read_text()) for file in (home / "personas").iterdir()]


@pytest.mark.parametrize("name", ["Ada", "../ada", "a b", "-a", "", "x" * 41, "ada.yaml", "añ"])
def test_a_name_that_cannot_be_one_is_told(name: str, home: Path):
    """And nothing is written."""
    said = limen("persona", "new", "--", name)

    assert (1, True) == (said.status, "such as ada, or old-tom" in said.err)
    assert [] == list((home / "personas").iterdir())


@pytest.mark.parametrize("name", ["ada", "7", "1e5", "true", "null", "false", "no", "a-1", "x" * 40])
def test_the_template_is_sound_under_every_name(name: str):
    """Names that YAML would take for numbers or truth values are quoted."""
    card = reading.read(template.card(name, f"/x/{name}.yaml", "schema.json"))

    assert (name, True) == (card.name, len(card.voice.examples) >= 2)
