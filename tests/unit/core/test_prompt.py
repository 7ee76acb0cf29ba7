"""core/prompt.py: sections from stable to volatile, speakers told apart, summaries that make nothing up."""

import msgspec
import pytest

from core.events import Line, Person
from core.prompt import MANNER_CHARACTERS, SUMMARY_CHARACTERS, Scene, compose, condense, show_names, speakers
from personas.card import Card, Detail, Exchange, Limits, Trait, Voice, World

ANN, ANN_TOO, BOB = Person("p:1", "Ann"), Person("p:2", "Ann"), Person("p:3", "Bob")
CARD = Card(
    name="mira",
    title="Captain Mira",
    description="You are Captain Mira. You sail.",
    voice=Voice(style="Short.", examples=(Exchange(user="Hi", reply="Ahoy!"),)),
    traits={"warmth": Trait(value=0.9, band=(0.5, 1.0)), "humour": Trait(value=0.5, band=(0.3, 0.7))},
    world=World(
        scene="A deck.", details=(Detail(about=("parrot",), text="The parrot swears."),), channels={"c": "Tavern."}
    ),
)


def line(text: str, who: Person = ANN, ours: bool = False) -> Line:
    return Line(f"id-{text}", who, text, 0.0, ours)


def test_a_dm_names_nobody_and_ends_with_the_new_message() -> None:
    """In a DM there is one person: their lines go in as they are, and the new one is the last."""
    prompt = compose(Scene(card=CARD, lines=(line("a"), line("b", BOB, True)), new=(line("c"),)))

    assert [("user", "a"), ("assistant", "b")] == [(said.role, said.text) for said in prompt.history]
    assert "c" == prompt.message.text


def test_a_group_tells_people_of_the_same_name_apart() -> None:
    """The stable id decides who is who; the name is only for show."""
    names = show_names([line("x", ANN), line("y", ANN_TOO), line("z", BOB), line("again", ANN)])

    assert {"p:1": "Ann", "p:2": "Ann (2)", "p:3": "Bob"} == names


def test_it_is_known_for_whom_a_reply_must_not_speak() -> None:
    """In a DM no names are shown, so only its own can get before a reply."""
    scenes = [Scene(card=CARD, lines=(line("a"),), new=(line("b", BOB),), group=group) for group in (True, False)]

    assert [("Ann", "Bob"), ()] == [compose(scene).speakers.others for scene in scenes]
    assert {("Captain Mira", "mira")} == {compose(scene).speakers.ours for scene in scenes}


@pytest.mark.parametrize("group", [True, False])
def test_a_prompt_that_was_given_tells_for_whom_it_was_not_to_speak(group: bool) -> None:
    """Those in its lines, and whoever speaks in the examples."""
    prompt = compose(Scene(card=CARD, lines=(line("a: b"), line("c", BOB, True)), new=(line("d", BOB),), group=group))
    lines = [("system", "\n".join(section.text for section in prompt.system))]
    lines += [(said.role, said.text) for said in (*prompt.examples, *prompt.history, prompt.message)]

    assert (("Guest", "Ann", "Bob") if group else ()) == speakers(CARD, lines).others


def test_examples_look_as_lines_of_this_talk_do() -> None:
    """In a group a name stands before what is answered, and none before the answer."""
    scenes = [Scene(card=CARD, lines=(), new=(line("a"),), group=group) for group in (False, True)]

    assert [["Hi", "Ahoy!"], ["Guest: Hi", "Ahoy!"]] == [[one.text for one in compose(s).examples] for s in scenes]


def test_a_name_cannot_pose_as_another_speaker() -> None:
    """A colon or line break in a name would look like somebody else's line."""
    names = show_names([line("x", Person("p:9", "Bob: hi\nAnn"))])

    assert "Bob hi Ann" == names["p:9"]


def test_quick_messages_are_answered_as_one() -> None:
    """All the lines of a job make up the message."""
    prompt = compose(Scene(card=CARD, lines=(), new=(line("one"), line("two")), group=True))

    assert "Ann: one\nAnn: two" == prompt.message.text


def test_the_model_is_told_languages_by_name() -> None:
    """A code is not a word to it."""
    card = msgspec.structs.replace(CARD, limits=Limits(languages=("en", "pt-BR")))
    prompt = compose(Scene(card=card, lines=(), new=(line("a"),)))

    assert "You speak only: English and Portuguese" in [part.text for part in prompt.system]


def test_the_system_sections_do_not_change_from_turn_to_turn() -> None:
    """The cached prefix of a conversation stays valid: only history grows."""
    first = compose(Scene(card=CARD, lines=(), new=(line("a"),)))
    later = compose(Scene(card=CARD, lines=(line("a"), line("b", BOB, True)), new=(line("parrot!"),)))

    assert first.system == later.system
    assert first.examples == later.examples


def test_a_detail_of_the_world_comes_up_when_it_is_touched() -> None:
    """Volatile, so it stands behind the history."""
    prompt = compose(Scene(card=CARD, lines=(), new=(line("Where is the PARROT?"),)))

    assert ["The parrot swears.", "Short."] == [section.text for section in prompt.asides]
    assert () == compose(Scene(card=CARD, lines=(), new=(line("parroting"),))).asides


def test_what_it_is_stands_right_before_what_is_asked_about_it() -> None:
    """Behind all that was said, where a small model looks first."""
    prompt = compose(
        Scene(card=CARD, lines=(), new=(line("Your ship?"),), mood="calm", facts=("You are M.", "A ship."))
    )

    assert ("facts", "You are M. A ship.") == (prompt.asides[1].name, prompt.asides[1].text)
    assert ["mood", "facts", "manner"] == [section.name for section in prompt.asides]


def test_after_an_aside_it_hears_how_it_talks_once_more() -> None:
    """In whole sentences, and not where it says in its own words that it does not know, nor where there is no aside."""
    style = "Speak as Mira. " + "Say matey. " * 40
    card = msgspec.structs.replace(CARD, voice=Voice(style=style))
    scene = Scene(card=card, lines=(), new=(line("hi"),), mood="calm")
    steered = compose(msgspec.structs.replace(scene, steer="Sing."))
    unknown = compose(msgspec.structs.replace(scene, unknown=True))

    assert ["mood", "steer", "manner"] == [section.name for section in steered.asides]
    assert steered.asides[-1].text.startswith("Speak as Mira. Say matey.")
    assert steered.asides[-1].text.endswith("Say matey.")
    assert len(steered.asides[-1].text) <= MANNER_CHARACTERS
    assert ["mood", "limit"] == [section.name for section in unknown.asides]
    assert () == compose(msgspec.structs.replace(scene, mood="")).asides


def test_a_channel_may_have_a_scene_of_its_own() -> None:
    """The card's scene holds unless the channel has one."""
    texts = [s.text for s in compose(Scene(card=CARD, lines=(), new=(line("a"),), channel="c")).system]

    assert any("Tavern." in text for text in texts)
    assert not any("A deck." in text for text in texts)


def test_a_summary_keeps_what_people_said_of_themselves_word_for_word() -> None:
    """Nothing is made up, and what we said ourselves is not taken for a fact."""
    gone = [line("Hello! My name is Ann. Is it raining?"), line("I am a pirate.", BOB, True)]

    assert 'They said: "My name is Ann."' == condense("", gone, group=False)


def test_a_summary_stays_short_and_keeps_the_newest() -> None:
    """However often history is compacted."""
    summary = ""
    for number in range(200):
        summary = condense(summary, [line(f"I like number {number}.")], group=True)

    assert len(summary) <= SUMMARY_CHARACTERS
    assert "number 199" in summary
    assert "number 1." not in summary


def test_a_channel_has_its_own_scene_by_id_or_by_name() -> None:
    """Whatever the case and the mark before it; elsewhere it is the usual one."""
    card = Card(name="m", title="M", description="M.", world=World(scene="A deck.", channels={"Harbour": "A tavern."}))

    def place(**where: str) -> str:
        prompt = compose(Scene(card=card, lines=(), new=(line("a"),), **where))  # type: ignore[arg-type]
        return next(part.text for part in prompt.system if part.name == "place")

    assert "Where you are: A tavern." == place(channel="harbour") == place(channel="901", room="#harbour")
    assert "Where you are: A deck." == place(channel="901", room="other") == place()
