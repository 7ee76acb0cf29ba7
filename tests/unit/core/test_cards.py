"""Cards as the rest of limen asks for them: in our own errors."""

from pathlib import Path

import pytest

from core import cards
from core.errors import CardError, UnknownPersona
from personas import library

FOLDERS = [library.SHIPPED]


def test_a_card_is_loaded_by_name() -> None:
    """In any case of letters."""
    assert cards.load("Mira", FOLDERS).name == "mira"


def test_an_unknown_persona_offers_the_nearest_and_the_list() -> None:
    """The person can go on from the message alone."""
    with pytest.raises(UnknownPersona) as caught:
        cards.load("mirra", FOLDERS)

    assert str(caught.value) == "there is no persona called 'mirra' (did you mean mira?)"
    assert caught.value.hint == "there is: bram, hazel, iris, mira, noa, orrin, plum, rack"


def test_no_folder_at_all_is_said(tmp_path: Path) -> None:
    """An installation without cards does not offer an empty list."""
    with pytest.raises(UnknownPersona) as caught:
        cards.load("mira", [tmp_path / "none"])

    assert caught.value.hint == "no folder of cards was found"


def test_a_broken_card_names_file_line_and_field(tmp_path: Path) -> None:
    """By name and by path alike."""
    file = tmp_path / "zed.yaml"
    file.write_text("name: zed\ntitle: Zed\ndescription: x\nsampling: {top_k: -1}\n")
    fault = "zed.yaml:4: sampling.top_k: -1 is not allowed; expected a whole number from 0 to 1,000"

    with pytest.raises(CardError) as by_name:
        cards.load("zed", [tmp_path])
    with pytest.raises(CardError) as by_path:
        cards.read(file)

    assert fault == str(by_name.value).splitlines()[1] == str(by_path.value).splitlines()[1]
    assert [fault] == [str(one) for one in cards.check(file)]


def test_a_sound_card_has_no_faults() -> None:
    """`limen persona check` has nothing to say of those we ship."""
    for path in sorted(library.SHIPPED.glob("*.yaml")):
        assert cards.check(path) == []
        assert path.stem == cards.read(path).name


def test_broken_cards_are_available_as_such(tmp_path: Path) -> None:
    """They are listed, with their faults."""
    (tmp_path / "zed.yaml").write_text("name: zed\n")

    (entry,) = cards.available([tmp_path])

    assert (entry.name, entry.card, len(entry.faults)) == ("zed", None, 2)
