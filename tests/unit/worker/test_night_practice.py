"""worker/night/practice.py: answers that people would like most and least, by what they said of others."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.fakes.pupils import CARD, base, example, row
from worker.generator import Finished
from worker.night import cross, measure
from worker.night.cross import learn
from worker.night.examples import Example
from worker.night.practice import DISLIKED, FILE, LIKED, Practice, Try, practise, skill
from worker.night.split import split
from worker.night.train import Rated, Recipe

THINGS = ("the sea", "a map", "my ship", "the rain", "old rope", "a song", "the moon", "some bread")


def said(number: int, exclaims: bool) -> str:
    """Something about a thing; it exclaims or does not."""
    return f"I think of {THINGS[number % len(THINGS)]} {'now!' if exclaims else 'now.'}"


def rows(count: int = 40, right: float = 1.0) -> list[Example]:
    """People like what exclaims, in a share of their votes."""
    dice = random.Random(1)
    kinds = [at % 3 == 0 for at in range(count)]
    return [example(at, said(at, kind), kind if dice.random() < right else not kind) for at, kind in enumerate(kinds)]


def tries(known: list[Example]) -> list[Try]:
    """Two answers to each prompt, of which every eighth exclaims."""
    texts = [(one.reply, said(at, at % 8 == 0)) for at, one in enumerate([*known, *known])]
    return [Try(of, row(f"{of}?", text), text) for of, text in texts]


def told(made: Sequence[Try]) -> list[tuple[str, str, tuple[int, ...], tuple[int, ...]]]:
    """All there is to them."""
    return [(one.of, one.text, one.row.prompt, one.row.reply) for one in made]


def test_a_tenth_is_learned_as_liked_and_a_quarter_as_disliked() -> None:
    """By what the votes say of other replies; each counts as much as a usual vote does."""
    known = [replace(one, weight=0.5) for one in rows()]
    made = tries(known)
    found = Practice(made).rated(known)
    exclaim = {one.row for one in made if "!" in one.text}
    liked, disliked = ([one.row for one in found if one.liked == kind] for kind in (True, False))

    assert (round(80 * LIKED), round(80 * DISLIKED)) == (len(liked), len(disliked))
    assert exclaim.issuperset(liked)
    assert exclaim.isdisjoint(disliked)
    assert {0.5} == {one.weight for one in found}


def test_only_answers_to_prompts_of_known_rows_are_learned() -> None:
    """The others are of votes that may judge."""
    known = rows()
    early, made = known[:20], Practice(tries(known))
    found = made.rated(early)

    assert found
    assert {one.row.prompt for one in found} <= {row(f"{one.reply}?", "").prompt for one in early}


@pytest.mark.parametrize(("right", "least", "most"), [(1.0, 1.0, 1.0), (0.5, 0.0, 0.2)])
def test_who_foretells_votes_by_luck_teaches_little(right: float, least: float, most: float) -> None:
    """Votes by coin teach a head nothing, and so it has no say."""
    known = rows(120, right)
    weights = {one.weight for one in Practice(tries(known)).rated(known)} or {0.0}

    assert least <= min(weights) <= max(weights) <= most


def test_where_only_likes_came_nothing_can_be_foretold() -> None:
    """Nor where nothing came at all."""
    likes = [replace(one, liked=True) for one in rows()]

    assert [] == Practice(tries(likes)).rated(likes) == Practice().rated(likes) == Practice(tries(likes)).rated([])
    assert 0.5 == skill(likes)


def test_the_base_answers_what_people_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So many times in all; each answer once to each prompt, and its end is learned if it came to one. What was
    answered before a night was cut off is not asked for again, unless it is another night."""
    one, known, asked = base(), rows(6), []
    real = measure.answers

    def watched(*given: object) -> object:
        asked.append(given)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "answers", watched)
    first, again = (practise(one, CARD, known, 12, 1, tmp_path)._tries for _ in range(2))
    other = practise(one, CARD, known, 12, 2, tmp_path)._tries

    assert told(first) == told(again) != told(other)
    assert [12, 12] == [len(prompts) for _, prompts, *_ in asked]  # type: ignore[arg-type, misc]
    assert {one.reply for one in known} == {made.of for made in first}
    assert len(first) == len({(made.of, made.text) for made in first})
    assert {made.row.prompt for made in first} == {measure.again(one, CARD, some.messages).tokens for some in known}


def test_a_file_that_is_broken_is_passed_over(tmp_path: Path) -> None:
    """And one that cannot be written costs nothing but time."""
    one, known = base(), rows(4)
    whole = told(practise(one, CARD, known, 4, 1, tmp_path)._tries)
    (tmp_path / FILE).write_bytes(b"{")

    assert whole == told(practise(one, CARD, known, 4, 1, tmp_path)._tries)
    (tmp_path / "no-folder").write_text("")
    assert whole == told(practise(one, CARD, known, 4, 1, tmp_path / "no-folder")._tries)


def test_without_practice_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 turns it off."""
    monkeypatch.setattr(measure, "answers", lambda *given: pytest.fail("nobody is to be asked"))

    assert () == tuple(practise(base(), CARD, rows(4), 0, 1)._tries)


def test_each_learner_practises_with_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its rows it learns from answers to their prompts, and from no others; and all of its steps are counted."""
    one, known, learned = base(), rows(24), dict[str, tuple[list[Rated], int]]()
    parts, made = split(known), tries(known)
    real = cross.train

    def watched(base, rows, held, recipe, version, *more):  # type: ignore[no-untyped-def]
        learned[version] = (list(rows), recipe.steps(len(rows)))
        return real(base, rows, held, recipe, version, *more)

    monkeypatch.setattr(cross, "train", watched)
    recipe, told = Recipe(rate=3e-3, passes=1, fewest=0, batch=8, beta=0.1, depth=1.0), list[tuple[int, int]]()
    learn(one, parts, [recipe], "v", tell=lambda what, done, of: told.append((done, of)), practice=Practice(made))

    for version, some in (("fold-0", parts.before[0]), ("fold-2", parts.before[2]), ("v", parts.taught)):
        own = {measure.row(one, example).tokens for example in some}
        practised = [rated.row for rated in learned[version][0] if rated.row.tokens not in own]
        assert practised
        assert {made_row.prompt for made_row in practised} <= {row(f"{example.reply}?", "").prompt for example in some}
        assert len(own) == len(learned[version][0]) - len(practised)
    assert told[-1][0] == told[-1][1]


def test_who_serves_practises_no_surer_than_those_by_whom_it_is_judged() -> None:
    """Else the gate would judge another way of learning."""
    known = rows(60)
    few = [replace(one, liked=True) for one in known[:12]]  # of which nothing can be foretold

    assert {1.0} == {one.weight for one in Practice(tries(known)).rated(known)}
    assert [] == Practice(tries(known)).no_surer(few).rated(known) == Practice(tries(known)).no_surer([]).rated(known)


def test_where_rows_are_many_prompts_come_from_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first learner knows the oldest rows alone."""
    monkeypatch.setattr(
        measure, "answers", lambda base, asked, *more: [Finished(id="", text="Yes.", finish="stop")] * len(asked)
    )
    made = practise(base(), CARD, rows(20), 5, 1)._tries

    assert ["r0", "r4", "r8", "r12", "r16"] == [one.of for one in made]


def test_an_answer_that_failed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it there is."""
    monkeypatch.setattr(
        measure, "answers", lambda base, asked, *more: [Finished(id="", text="Ye", finish="error")] * len(asked)
    )

    assert [] == practise(base(), CARD, rows(4), 4, 1)._tries
