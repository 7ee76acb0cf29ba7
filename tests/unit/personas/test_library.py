"""Finding cards: one's own before the shipped ones, broken ones beside the others."""

import os
from pathlib import Path

import pytest

from personas import library
from personas.card import CardFaults
from personas.library import NoSuchCard


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One's own folder and a shipped one, with a card each: `eve` and `ada`."""
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    write(own / "eve.yaml", "eve", "Eve")
    write(shipped / "ada.yaml", "ada", "Ada")
    return own, shipped


def write(path: Path, name: str, title: str) -> None:
    """A small sound card."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"name: {name}\ntitle: {title}\ndescription: A test.\n")


def test_the_home_comes_before_what_we_ship(tmp_path: Path) -> None:
    """Two folders, in this order."""
    assert (tmp_path / "personas", library.SHIPPED) == library.folders(tmp_path)


def test_eight_cards_are_shipped_and_sound(tmp_path: Path) -> None:
    """With no folder of one's own there are still these, by name."""
    entries = library.entries(library.folders(tmp_path))

    assert [entry.name for entry in entries] == ["bram", "hazel", "iris", "mira", "noa", "orrin", "plum", "rack"]
    assert tuple(fault for entry in entries for fault in entry.faults) == ()


def test_shipped_cards_fill_every_section() -> None:
    """Each shows the whole format: voice, traits, knowledge, world, rules, emotions, actions, greeting, limits."""
    for entry in library.entries([library.SHIPPED]):
        card = entry.card
        assert card is not None
        assert 3 <= len(card.voice.examples) <= 5, card.name
        assert len(card.description) <= 700, card.name
        for part in (card, card.voice, card.world, card.limits):
            assert [field for field in part.__struct_fields__ if not getattr(part, field)] == [], card.name


def test_names_are_found_in_any_case(folders: tuple[Path, Path]) -> None:
    """People type as they like."""
    assert library.load(" ADA ", folders).title == "Ada"


def test_ones_own_card_wins(folders: tuple[Path, Path]) -> None:
    """A card of the same name in the first folder replaces the shipped one."""
    write(folders[0] / "ada.yaml", "ada", "My Ada")

    assert library.load("ada", folders).title == "My Ada"
    assert library.names(folders) == ["ada", "eve"]


def test_the_name_in_the_card_counts_and_not_the_files(folders: tuple[Path, Path]) -> None:
    """A file may be called anything."""
    write(folders[0] / "draft 7.yml", "zoe", "Zoe")

    assert library.load("zoe", folders).title == "Zoe"
    assert library.find("zoe", folders).path.name == "draft 7.yml"


def test_a_broken_card_hides_no_other(folders: tuple[Path, Path]) -> None:
    """It is listed with its fault, and only who asks for it is told."""
    (folders[0] / "zed.yaml").write_text("name: zed\ntitle: [\n")

    entries = {entry.name: entry for entry in library.entries(folders)}

    assert sorted(entries) == ["ada", "eve", "zed"]
    assert entries["zed"].card is None
    assert [(fault.file, fault.line) for fault in entries["zed"].faults] == [("zed.yaml", 3)]
    with pytest.raises(CardFaults):
        library.load("zed", folders)


def test_a_broken_card_still_stands_before_the_shipped_one(folders: tuple[Path, Path]) -> None:
    """Whoever is changing `ada` is told of the fault, not given the old Ada."""
    (folders[0] / "mine.yaml").write_text("name: ada\ntitle: My Ada\n")

    with pytest.raises(CardFaults, match="description: is missing"):
        library.load("ada", folders)


def test_a_file_that_cannot_be_read_is_listed_as_broken(folders: tuple[Path, Path]) -> None:
    """A dangling link is a fault of that card alone."""
    (folders[0] / "lost.yaml").symlink_to(folders[0] / "nowhere")

    assert library.names(folders) == ["ada", "eve", "lost"]
    assert "cannot be read" in library.find("lost", folders).faults[0].message


def test_an_unknown_name_comes_with_the_known_ones(folders: tuple[Path, Path]) -> None:
    """So that a message can offer them."""
    with pytest.raises(NoSuchCard) as caught:
        library.load("adda", folders)

    assert (caught.value.name, caught.value.known) == ("adda", ["ada", "eve"])


def test_a_changed_card_is_read_again_and_an_unchanged_one_is_not(folders: tuple[Path, Path]) -> None:
    """Time and size of the file decide."""
    path = folders[1] / "ada.yaml"
    first = library.load("ada", folders)
    assert first is library.load("ada", folders)

    write(path, "ada", "Ada the Second")
    assert library.load("ada", folders).title == "Ada the Second"

    write(path, "ada", "Ada the SECOND")
    os.utime(path, ns=(1, 1))
    assert library.load("ada", folders).title == "Ada the SECOND"
