"""worker/reciting.py: what a persona is told is not what it says, and facts and quotations may be said."""

import pytest

from core.prompt import Section
from worker.reciting import Opening, openings, spelled

MEMORIES = Section("memories", 'You remember from before:\n- today, Ann: "My cat: Momo."\n- 3 May: "Ann sings."')
STYLE = 'Speak as Mira, in short sentences. You speak warmly. Begin with "Arr. Aye." or not. Name the sea. Hush.'


def held(section: Section, *free: str) -> list[str]:
    """What is held back behind what, with a bar between them."""
    return [f"{one.head}|{one.then}" for one in openings([section], free)]


def test_memories_are_told_again_but_not_in_the_form_of_a_list() -> None:
    """Neither their heading nor date and speaker go before a colon. Whatever was said is free."""
    rows = ["today, Ann|:", "-| today,", "3 May|:", "-| 3"]

    assert ["You remember from before|:", *rows] == held(MEMORIES)


@pytest.mark.parametrize("name", ["manner", "mood", "steer"])
def test_no_more_of_a_direction_is_said_than_how_it_begins(name: str) -> None:
    """Of each sentence two words, of one to "you" three. What it quotes is for saying, and one word is no recital."""
    expected = ["Speak as| Mira,", "You speak warmly|.", 'Begin with| "', "Name the| sea."]

    assert expected == held(Section(name, STYLE))
    assert ["How you talk|:", *expected] == held(Section("voice", f"How you talk: {STYLE}"))


def test_what_a_direction_asks_for_behind_a_label_is_no_speech_either() -> None:
    """A direction for one reply, and what to say where it knows nothing."""
    steer = "For this one reply: Welcome them to the crew and ask for their name, then go. Say “Hip and hurra”."
    asked = ["crew and| ask", "name, then| go", "For this one reply|:", "Welcome them| to"]
    limit = 'You know nothing about this. Say that you do not know, such as: "Nay, matey. Ask me of the sea!"'
    expected = ["You know nothing| about", "Say that you do not know, such as|:", "Say that| you"]

    assert asked == held(Section("steer", steer))
    assert expected == held(Section("limit", limit))


def test_of_what_others_are_to_it_nothing_is_for_saying() -> None:
    """Wherever it would begin."""
    assert {"know the one| who", "the one who| speaks."} <= {*held(Section("bond", "You know the one who speaks."))}


def test_an_opening_is_known_however_it_is_written() -> None:
    """At the beginning of a line, behind a sentence and within one, and in small letters or great ones."""
    heads = [f"{lead}{first}peak as" for lead in ("", " ") for first in "Ss"]

    assert [Opening(head, then) for head in heads for then in (" Noa", " noa")] == spelled(Opening("Speak as", " Noa"))
    assert Opening("-", " Today,") in spelled(Opening("-", " today,"))
    assert [Opening("-", " 3"), Opening(" -", " 3")] == spelled(Opening("-", " 3"))


@pytest.mark.parametrize("name", ["who", "facts"])
def test_what_it_is_it_says_of_itself_and_not_of_who_listens(name: str) -> None:
    """Three words of it may be said to people, or four: their cat has a name, too. What is told of others is free."""
    text = "You live under the roof. Your cat is called Mochi. Mochi likes tea: a lot, and you ask why. You sing."

    assert ["lot, and| you", "You live under| the", "Your cat is called| Mochi."] == held(Section(name, text))


def test_labels_are_no_speech_and_what_stands_behind_them_may_be_said() -> None:
    """Where it is, what it wants, what it can do; and what was told before."""
    assert ["What you want|:"] == held(Section("goals", "What you want: Find the Moon Pearl; Win everybody"))
    summary = 'Before this, you were told:\nAnn said: "My cat is ill."'

    assert ["Before this, you were told|:", "Ann said|:"] == held(Section("summary", summary))


def test_what_somebody_has_written_in_an_odd_way_holds_back_nothing() -> None:
    """A colon alone, a list of nothing, a sentence of one word."""
    assert [] == held(Section("steer", ":\n- : go\n\n-"))
    assert [] == held(Section("summary", "- :\n:"))


def test_what_it_knows_of_its_world_may_be_said_as_it_stands() -> None:
    """And be quoted, with the file that it is from."""
    assert [] == held(Section("detail-0", "You see: the tea is hot."))
    assert [] == held(Section("passage-1", 'From notes.md: "Speak as Mira did."'))


def test_what_somebody_has_said_or_an_example_shows_may_be_said() -> None:
    """Whatever it was told besides."""
    manner = Section("manner", "Name the sea at once. Stay calm and kind.")

    assert ["Name the| sea", "Stay calm| and"] == held(manner, "The sea!")
    assert ["Stay calm| and"] == held(manner, "Can you name the sea between us?")
