"""worker/night/pooling.py: scopes that learn together, and how much each person and each scope weighs in that."""

from collections import defaultdict
from collections.abc import Callable

import pytest

from core.feedback import Fact, Reading, Seen, Verdict, Vote, Voter, read, verdict
from core.votes import polarity
from worker.night.examples import Collected, Example
from worker.night.pooling import together

NOW, DAY = 1e9, 86_400.0


def row(rating: Verdict, text: str = "Ahoy!", fading: float = 1.0) -> Example:
    return Example(
        reply=rating.reply, group=rating.reply, time=NOW, messages=(), text=text, liked=rating.liked,
        weight=rating.weight * fading, people=tuple(vote.user for vote in rating.votes),
    )  # fmt: skip


def collected(reading: Reading, rows: list[Example]) -> Collected:
    votes = sum(one.votes for one in reading.voters)
    return Collected(examples=rows, reading=reading, refused={}, replies=len(reading.verdicts), reactions=votes)


def every_second(at: int) -> bool:
    return at % 2 == 0


def scope(
    name: str, votes: dict[str, int], shared: bool, fading: float = 1.0, liked: Callable[[int], bool] = every_second
) -> Collected:
    """One in which everybody votes so many times, on replies of their own."""
    seen = [
        Seen(
            reply=f"{name}-{user}-{at}", time=NOW - 3 * DAY + at, length=50 + at % 7, text=f"text {at}",
            facts=(Fact(f"{name}{user}{at}", user, "👍" if liked(at) else "👎", NOW - 3 * DAY + 60 * at),),
        )
        for user, count in votes.items()
        for at in range(count)
    ]  # fmt: skip
    reading = read(seen, polarity.ours(), shared=shared, now=NOW)
    return collected(reading, [row(one, fading=fading) for one in reading.verdicts if one.weight])


def shares(found: Collected) -> dict[str, float]:
    """Of what is learned, by who voted for it."""
    sums = defaultdict[str, float](float)
    for one in found.examples:
        sums[one.people[0]] += one.weight
    return {user: weight / sum(sums.values()) for user, weight in sums.items()}


def test_nobody_has_more_than_a_tenth_of_what_scopes_learn_together() -> None:
    """However often they voted where nobody else is heard; the page says it."""
    quiet = [scope(f"c{k}", {f"p{k}": 5, f"q{k}": 5, f"r{k}": 5}, True) for k in range(19)]
    found = together([scope("dm", {"hog": 400}, False), *quiet])

    assert pytest.approx(0.1) == shares(found)["hog"]
    hog = next(one for one in found.reading.voters if one.user == "hog")
    assert ("held to a fair share", 400) == (hog.notes[0], hog.votes)
    assert pytest.approx(0.1) == hog.share
    assert pytest.approx(sum(one.effective for one in quiet), rel=0.1) == found.effective


def test_what_has_faded_has_no_part_in_a_share() -> None:
    """Twenty votes of which a tenth is left weigh as two of now."""
    old, new = scope("old", {"ann": 20}, False, fading=0.1), scope("new", {"bob": 2}, False)
    found = together([old, new])

    assert pytest.approx({"ann": 0.5, "bob": 0.5}, abs=0.05) == shares(found)
    assert not any("fair share" in note for one in found.reading.voters for note in one.notes if one.user == "bob")


@pytest.mark.parametrize(("votes", "shared"), [({"ann": 40}, False), ({f"p{at}": 3 for at in range(20)}, True)])
def test_scopes_in_which_nobody_speaks_change_nothing(votes: dict[str, int], shared: bool) -> None:
    """Labels are counted as where they came from, and not by what a vote would weigh elsewhere."""
    one = scope("one", votes, shared)
    found = together([one, *(scope(f"silent{at}", {}, not shared) for at in range(19))])

    assert (one.effective, one.examples) == (pytest.approx(found.effective), found.examples)
    assert one.reading.notes == found.reading.notes


def test_labels_of_all_scopes_add_up() -> None:
    """A person's vote in their own scope is one, and so is somebody's in a channel."""
    parts = [scope(f"dm{at}", {f"p{at}": 9}, False) for at in range(8)]
    parts += [scope("room", {f"r{at}": 9 for at in range(8)}, True)]
    found = together(parts)

    assert sum(one.effective for one in parts) == pytest.approx(found.effective, rel=0.01)
    assert sum(one.reading.effective for one in parts) == pytest.approx(found.reading.effective, rel=0.01)


def test_somebody_in_two_scopes_is_one_person() -> None:
    """With all their votes, as trusted as in both of them, and one share of the whole."""
    dm, room = scope("dm", {"ann": 6}, False), scope("room", {"ann": 2, "bob": 4, "cy": 4}, True)
    found = together([dm, room])
    ann = next(one for one in found.reading.voters if one.user == "ann")

    assert ["ann", "bob", "cy"] == sorted(one.user for one in found.reading.voters)
    assert (8, 4) == (ann.votes, ann.likes)
    trusted = [one.trust for part in (dm, room) for one in part.reading.voters if one.user == "ann"]
    assert (6 * trusted[0] + 2 * trusted[1]) / 8 == pytest.approx(ann.trust)
    assert pytest.approx(1.0) == sum(one.share for one in found.reading.voters)
    assert pytest.approx(shares(found)) == {one.user: one.share for one in found.reading.voters}


def test_the_only_scope_that_speaks_keeps_its_own_measure() -> None:
    """A guest's few votes in somebody's own scope leave the owner what they have."""
    own = scope("dm", {"ann": 95, "guest": 5}, False)

    assert shares(own) == shares(together([own, scope("silent", {}, True)]))


def test_what_is_odd_about_scopes_is_odd_about_all_of_them() -> None:
    """One person in each of two is not one person only; likes here and dislikes there are both."""
    likes, dislikes = (scope(who, {who: 6}, False, liked=lambda at, w=who: w == "ann") for who in ("ann", "bob"))
    assert {"one person only", "only likes: nothing shows what to avoid"} == {*likes.reading.notes}

    assert () == together([likes, dislikes]).reading.notes
    assert ("no votes",) == together([scope("a", {}, True), scope("b", {}, True)]).reading.notes
    assert ("no votes", 0.0) == ((empty := together([])).reading.notes[0], empty.effective)


def test_a_verdict_that_turns_is_looked_at_again() -> None:
    """With less of one person in it, others decide, and a loop that they liked is no example."""
    loop = "Aye, the sea is the sea. " * 4
    sole = [verdict(f"h{at}", [Vote("hog", 1.0 if at % 2 else -1.0, 0.9)]) for at in range(60)]
    turned, looped = (verdict(name, [Vote("hog", -1.0, 0.9), Vote("bob", 1.0, 0.6)]) for name in ("turned", "looped"))
    assert not turned.liked
    voters = tuple(Voter(user, votes, votes // 2, 1.0, 0.5) for user, votes in (("hog", 62), ("bob", 2)))
    reading = Reading((*sole, turned, looped), voters, 0.0, 0.6)
    room = collected(reading, [*map(row, sole), row(turned), row(looped, loop)])
    found = together([room, *(scope(f"dm{at}", {f"p{at}": 5}, False) for at in range(12))])

    assert {"turned": True} == {one.reply: one.liked for one in found.examples if one.reply in ("turned", "looped")}
    assert {"liked, but a loop": 1} == found.refused
