"""worker/night/examples.py and sight.py: which replies train, and what they are worth."""

import subprocess
import sys

import msgspec
import pytest

from core.events import Person, PersonaKey, Place
from core.feedback import Fact, Reading, Seen, Verdict, Vote, read
from core.store.ledger import FORGOTTEN, Entry, Record, Told
from core.votes import polarity
from worker.night.examples import Example, examples, pairs
from worker.night.sight import Sight, seen, thanks

MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
ROOM = Place("discord", "77", "room")
DAY, NOW = 86_400.0, 1e9
PROMPT = (Told("system", "You are Mira."), Told("user", "Ann: hi"))
ALL = {"ann", "bob", "cy"}


def entry(name: str = "r", votes: str = "", prompt: tuple[Told, ...] = PROMPT, **changes: object) -> Entry:
    """A reply to Ann at NOW; `votes`: who put a thumb on it."""
    record = Record(
        id=name, persona=MIRA, conversation=MIRA.conversation(ROOM), place=ROOM, author=Person("ann"), answers=("m",),
        time=NOW, text="Ahoy!", sections=(), roles=(), people=("ann",),
    )  # fmt: skip
    facts = tuple(Fact(f"{name}{user}", user, "👍", NOW) for user in votes.split())
    return Entry(msgspec.structs.replace(record, **changes), prompt, facts)


def reading(*verdicts: Verdict) -> Reading:
    return Reading(verdicts, (), 0.0)


def verdict(name: str = "r", *votes: tuple[str, float, float], liked: bool = True, weight: float = 0.8) -> Verdict:
    return Verdict(name, liked, weight, tuple(Vote(*vote) for vote in votes or [("ann", 1.0, 0.8)]))


def rows(*entries: Entry, allowed: set[str] = ALL, now: float = NOW) -> list[Example]:
    found, _ = examples(entries, reading(*(verdict(e.record.id) for e in entries)), allowed, now=now)
    return found


def refused(one: Entry, found: Verdict | None = None, allowed: set[str] = ALL) -> dict[str, int]:
    kept, why = examples([one], reading(found or verdict()), allowed, now=NOW)
    assert [] == kept
    return dict(why)


def test_a_row_has_the_exact_prompt_and_text_that_were_served() -> None:
    """With everybody whose words or votes are in it, and the LoRA that spoke."""
    one = entry(people=("ann", "cy"), lora_version="v3")
    found, why = examples([one], reading(verdict("r", ("bob", 1.0, 0.5))), ALL, now=NOW)

    assert {} == why
    assert [
        Example(
            reply="r", group=f"{MIRA.conversation(ROOM)}@1000000000", time=NOW, messages=PROMPT, text="Ahoy!",
            liked=True, weight=0.8, people=("ann", "bob", "cy"), lora="v3",
        )
    ] == found  # fmt: skip


def test_what_was_not_rated_is_no_row() -> None:
    """Nor is it refused."""
    assert ([], {}) == examples([entry()], reading(), ALL, now=NOW)


REFUSED = [
    ({"text": " \n"}, "empty"),
    ({"finish": "cancelled"}, "stopped"),
    ({"deleted": True}, "deleted"),
    ({"edited": True}, "edited"),
    ({"edited": True, "deleted": True}, "deleted"),
    ({"people": ("ann", "stranger")}, "no consent"),
    ({"author": Person("stranger"), "people": ()}, "no consent"),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED)
def test_a_reply_that_may_not_or_cannot_train_is_refused_with_a_reason(changes: dict[str, object], why: str) -> None:
    """Everybody whose words are in the prompt must have said yes, and the reply must be whole."""
    assert {why: 1} == refused(entry(**changes))


def test_a_prompt_of_which_something_was_forgotten_is_refused() -> None:
    """What is left of it is not what the model was given; somebody who only says the word is not meant."""
    assert {"forgotten": 1} == refused(entry(prompt=(*PROMPT, Told("user", FORGOTTEN))))
    assert 1 == len(rows(entry(prompt=(Told("user", f"what does {FORGOTTEN} mean?"),))))


def test_a_vote_without_consent_is_left_out_and_the_row_stays() -> None:
    """The others decide; where there are no others, the row goes."""
    both = verdict("r", ("stranger", -1.0, 0.9), ("bob", 1.0, 0.5), liked=False, weight=0.7)
    (row,), _ = examples([entry()], reading(both), ALL, now=NOW)

    assert (True, pytest.approx(0.5), ("ann", "bob")) == (row.liked, row.weight, row.people)
    assert {"no consent": 1} == refused(entry(), verdict("r", ("stranger", 1.0, 0.9)))


def test_votes_that_cancel_out_say_nothing() -> None:
    """A row without a weight is none."""
    assert {"votes that cancel out": 1} == refused(entry(), verdict(weight=0.0))


def test_a_loop_that_somebody_liked_is_no_example() -> None:
    """Disliked it is one, and so is a shout."""
    loop = "Aye, the sea is the sea. " * 4
    assert {"liked, but a loop": 1} == refused(entry(text=loop))
    assert {} == examples([entry(text=loop)], reading(verdict(liked=False)), ALL, now=NOW)[1]
    assert 1 == len(rows(entry(text="No! No! No!")))


def test_a_rating_weighs_half_after_a_half_life() -> None:
    """By the age of the latest vote that stands; a clock that is ahead gives nothing extra."""
    late = entry(time=NOW - 28 * DAY)
    (old,) = rows(late)
    lately = Verdict("r", True, 0.8, (Vote("ann", 1.0, 0.8, NOW - 14 * DAY), Vote("bob", 1.0, 0.0, NOW)))
    (fresh,), _ = examples([late], reading(lately), ALL, now=NOW)

    assert [0.2, 0.4, 0.8] == pytest.approx([old.weight, fresh.weight, rows(entry(time=NOW + DAY))[0].weight])


NOISE = {
    "of somebody who did not agree": Fact("e", "eve", "👍", NOW - 60),
    "without a meaning": Fact("e", "bob", "🪗", NOW - 60),
    "of a bot": Fact("e", "bob", "👍", NOW - 60, is_bot=True),
    "that was taken back": Fact("e", "bob", "👍", NOW - 60, removed=True),
}


@pytest.mark.parametrize("extra", NOISE.values(), ids=NOISE)
def test_a_reaction_that_counts_nothing_makes_no_row_young(extra: Fact) -> None:
    """Else anybody could keep alive what was liked long ago."""
    old = entry(time=NOW - 56 * DAY)
    liked = msgspec.structs.replace(old, facts=(Fact("a", "ann", "👍", NOW - 56 * DAY),))
    found = []
    for one in (liked, msgspec.structs.replace(liked, facts=(*liked.facts, extra))):
        heard = read(seen([one], ALL), polarity.ours(), shared=True, now=NOW)
        (row,), _ = examples([one], heard, ALL, now=NOW)
        found.append(row.weight)

    assert found[0] == found[1]
    assert 0.0 < found[0] < 0.1


def test_secrets_and_mentions_are_gone_from_a_row() -> None:
    """In the prompt and in the reply, with the same pseudonym."""
    one = entry(prompt=(Told("user", "<@42>: I am ann@example.org"),), text="Welcome, <@42>!")
    (row,) = rows(one)

    assert ("@person1: I am [email]", "Welcome, @person1!") == (row.messages[0].content, row.text)
    assert "ann@example.org" in one.messages[0].content


def test_a_session_ends_after_thirty_idle_minutes() -> None:
    """Also where the replies between were not rated; each prompt of a file is by itself."""
    times = (0, 20, 40, 71, 90)
    found = rows(*(entry(f"r{minute}", time=NOW + 60 * minute) for minute in times))
    told = [(Told("user", text),) for text in ("a", "b", "a")]
    files = rows(*(entry(f"f{k}", prompt=told[k], source="file", time=NOW + k) for k in range(3)))

    assert [3, 2] == [sum(row.group == group for row in found) for group in dict.fromkeys(row.group for row in found)]
    assert (files[0].group, 2) == (files[2].group, len({row.group for row in files}))


def test_replies_of_two_personas_are_never_taken_together() -> None:
    """A scope is a wall."""
    other = entry("x", persona=PersonaKey("discord:b1", "mira", "discord:88:channel:room"))
    with pytest.raises(AssertionError, match="wall"):
        rows(entry(), other)


# A reading's input.


def test_a_reading_sees_facts_and_lengths() -> None:
    """Of those who are allowed; our own account's and replies that nobody rated are not there."""
    one = entry(votes="ann stranger discord:b1")

    assert [
        Seen(reply="r", time=NOW, length=5, facts=one.facts[:1], platform="discord", workspace="77", text="Ahoy!")
    ] == seen([one, entry("unrated")], ALL)
    assert ["ann", "stranger"] == [fact.user for fact in seen([one])[0].facts]


def test_what_people_do_next_is_a_weak_signal() -> None:
    """Asked again, stopped, or thanked: with the person behind it, for replies that nobody rated too."""
    again = (*PROMPT, Told("assistant", "Ahoy!"), Told("user", "Bob: thanks, Mira!"))
    found = seen(
        [
            entry("first"),
            entry("second", time=NOW + 1, regenerates="first", author=Person("bob")),
            entry("third", time=NOW + 2, prompt=again, author=Person("bob"), people=("ann", "bob")),
            entry("fourth", time=NOW + 3, finish="cancelled"),
        ]
    )

    signals = {"first": (("regenerated", "bob"),), "second": (("thanked", "bob"),), "fourth": (("stopped", "ann"),)}
    assert signals == {one.reply: one.weak for one in found}
    assert [] == seen([entry("first"), entry("second", time=NOW + 1, regenerates="first")], weak=False)


@pytest.mark.parametrize("text", ["thanks!", "oh, Danke dir", "merci beaucoup", "спасибо", "ありがとう", "谢谢"])
def test_a_thank_you_is_known_in_many_languages(text: str) -> None:
    """Right behind the reply it is for."""
    said = (Told("assistant", "Ahoy!"), Told("system", "(aside)"), Told("user", text))

    assert thanks(said, "Ahoy!")
    assert not thanks(said, "something else")
    for other in ("no thanks", "thanks for nothing", "I gave thanksgiving a miss", "what is a tank?"):
        assert not thanks((said[0], Told("user", other)), "Ahoy!")


def test_reactions_are_counted_that_stand() -> None:
    """Of people who agreed; what a bot did, or somebody took back, is none."""
    facts = (
        Fact("1", "ann", "👍", 1.0),
        Fact("2", "ann", "👍", 2.0, removed=True),
        Fact("3", "bot", "👍", 2.0, is_bot=True),
    )
    sight = Sight()
    sight.add(msgspec.structs.replace(entry("taken-back"), facts=facts), ALL)
    assert (0, 0) == (sight.rated, sight.reactions)
    sight.add(entry("rated", votes="ann bob stranger discord:b1"), ALL)

    assert (1, 2) == (sight.rated, sight.reactions)


# Pairs.


def row(name: str, group: str = "g", liked: bool = True, weight: float = 1.0, time: float = 0.0) -> Example:
    return Example(
        reply=name, group=group, time=time, messages=(Told("user", group),), text=name, liked=liked, weight=weight
    )  # fmt: skip


def test_two_replies_to_one_prompt_make_a_pair_when_opinions_differ() -> None:
    """The strongest meet first, each reply is used, and nothing is paired across prompts."""
    told = [row("a", weight=0.2), row("b", weight=0.9), row("c", liked=False), row("d", "other", liked=False)]

    assert [("b", "c", 0.9), ("a", "c", 0.2)] == [
        (pair.chosen.reply, pair.rejected.reply, pair.weight) for pair in pairs(told)
    ]
    assert [] == pairs([row("a"), row("b")])


def test_bots_may_import_it_without_torch() -> None:
    """`limen feedback export` makes rows in a process that has no model."""
    code = "import sys, worker.night.examples, worker.night.split; sys.exit('torch' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
