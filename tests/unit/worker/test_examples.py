"""worker/night/examples.py, sight.py and split.py: which replies train, what they are worth, and who is kept apart."""

import random
import subprocess
import sys

import msgspec
import pytest

from core.events import Person, PersonaKey, Place
from core.feedback import Fact, Reading, Seen, Verdict, Vote
from core.store.ledger import FORGOTTEN, Entry, Record, Told
from worker.night.examples import Example, examples, pairs
from worker.night.sight import seen, thanks
from worker.night.split import split

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


def test_a_rating_weighs_half_after_a_half_life() -> None:
    """By the age of the latest vote that stands; a clock that is ahead gives nothing extra."""
    late = entry(time=NOW - 28 * DAY)
    (old,) = rows(late)
    (fresh,) = rows(msgspec.structs.replace(late, facts=(Fact("f", "ann", "👍", NOW - 14 * DAY),)))

    assert [0.2, 0.4, 0.8] == pytest.approx([old.weight, fresh.weight, rows(entry(time=NOW + DAY))[0].weight])


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

    assert [Seen(reply="r", time=NOW, length=5, facts=one.facts[:1], platform="discord", workspace="77")] == seen(
        [one, entry("unrated")], ALL
    )
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


# Splitting.


def many(groups: int, each: int = 3, seed: int = 0) -> list[Example]:
    """Rows with a third of dislikes, in groups one after the other."""
    chance = random.Random(seed)
    return [
        row(f"{g}-{k}", f"g{g:03}", chance.random() > 0.3, chance.uniform(0.2, 1.0), 1000.0 * g + k)
        for g in range(groups)
        for k in range(each)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_held_out_is_later_and_shares_no_session(seed: int) -> None:
    """A fifth of the weight for the gate, a tenth of the rest to know when to stop; all rows are somewhere, once."""
    told = many(60, seed=seed)
    train, stop, held, notes = split(told, held=0.2, seed=seed)
    whole = sum(one.weight for one in told)

    assert [] == notes
    assert sorted(one.reply for one in told) == sorted(one.reply for one in (*train, *stop, *held))
    assert max(one.time for one in (*train, *stop)) < min(one.time for one in held)
    assert 0 == len({one.group for one in train} & {one.group for one in stop})
    assert 0.2 == pytest.approx(sum(one.weight for one in held) / whole, abs=0.06)
    assert 0.08 == pytest.approx(sum(one.weight for one in stop) / whole, abs=0.06)
    for part in (train, stop, held):
        assert {True, False} == {one.liked for one in part}


@pytest.mark.parametrize(("groups", "share"), [(60, 0.35), (80, 0.35), (300, 0.2)])
def test_the_fewer_rows_there_are_the_more_are_held_out(groups: int, share: float) -> None:
    """A gate needs a hundred of them to tell a good night from luck; a third, if there are not so many."""
    told = many(groups)
    held = split(told).held

    assert share == pytest.approx(sum(one.weight for one in held) / sum(one.weight for one in told), abs=0.04)


def test_the_same_rows_and_seed_give_the_same_split() -> None:
    """In whatever order they come; another seed stops by other groups and holds out the same."""
    told = many(40)
    one, other = split(told, seed=1), split(told[::-1], seed=1)

    assert one == other
    assert split(told, seed=2).held == one.held
    assert split(told, seed=2).stop != one.stop


def test_what_the_live_version_learned_from_is_not_held_out() -> None:
    """Where there is anything newer."""
    told = many(40)
    late = split(told, since=35_500.0)

    assert all(one.time > 35_500.0 for one in late.held)
    assert ["nothing new since the last night: what is held out has been learned from"] == split(told, since=1e9).notes


def test_one_session_cannot_be_held_out() -> None:
    """It is learned from, and the note says why nothing is judged."""
    found = split([row("a"), row("b", liked=False)])

    assert (2, [], [], ["everything was said in one session: nothing can be held out"]) == (
        len(found.train),
        *found[1:],
    )
    assert ([], [], [], []) == split([])


def test_only_likes_are_split_and_named() -> None:
    """There is nothing to compare, and the note says so."""
    found = split([row(str(k), f"g{k}", time=k) for k in range(10)])

    assert (["only likes"], 4) == (found.notes, len(found.held))


def test_the_only_session_with_dislikes_is_learned_from() -> None:
    """Though it is the latest; what is held out lacks them, and the notes say so."""
    told = [row(str(k), f"g{k}", time=k) for k in range(9)] + [row("no", "g9", liked=False, time=9)]
    found = split(told)

    assert "no" in {one.reply for one in (*found.train, *found.stop)}
    assert found.held
    assert found.notes[0] == "no dislikes could be held out"


def test_dislikes_are_looked_for_further_back_where_the_latest_are_all_likes() -> None:
    """Both labels in both parts, at the price of a little time order."""
    told = [row(str(k), f"g{k:02}", liked=k not in (3, 12), time=k) for k in range(20)]
    found = split(told)

    assert {True, False} == {one.liked for one in found.held} == {one.liked for one in found.train}


def test_a_huge_last_session_is_not_all_there_is_to_judge_by() -> None:
    """Sessions before it are held out instead."""
    told = [*many(10), *(row(f"x{k}", "huge", k % 2 == 0, time=1e6 + k) for k in range(60))]
    found = split(told)

    assert "huge" in {one.group for one in found.train}
    assert found.held
    assert found.notes


def test_bots_may_import_it_without_torch() -> None:
    """`limen feedback export` makes rows in a process that has no model."""
    code = "import sys, worker.night.split; sys.exit('torch' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
