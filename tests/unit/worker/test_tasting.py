"""worker/tasting.py: how many replies are asked for, and which of them can be picked."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.events import PersonaKey
from core.votes import polarity
from core.votes.taste import Floats, Head, Looks
from personas.sampling import Sampling
from worker.embed import HashEmbedder
from worker.generator import Finished, Request
from worker.tasting import SOBER, Tastes, several, whose
from worker.truth import Truth

PERSONA = PersonaKey("discord:b1", "mira", "discord:77:channel:1")
REQUEST = Request(id="j:1", tokens=(1, 2), sampling=Sampling(), seed=5)


async def near(texts: Sequence[str]) -> Floats | None:
    """By spelling."""
    return HashEmbedder().embed(texts)


async def nothing(texts: Sequence[str]) -> Floats | None:
    """No embedder."""
    return None


def known() -> Head:
    """Somebody who likes what is kind."""
    texts = ("You are kind, friend!", "Rope costs two coins.")
    return Head(Looks(texts, HashEmbedder().embed(texts)), [1.0, -1.0], [1.0, 1.0])


def tastes(monkeypatch: pytest.MonkeyPatch, count: int, head: Head | None, embed: Any = near) -> Tastes:
    """With a head that is there already; a batch of four."""
    made = Tastes(None, None, embed, polarity.ours(), count, most=4)  # type: ignore[arg-type]

    async def given(persona: PersonaKey) -> Head | None:
        return head

    monkeypatch.setattr(made, "head", given)
    return made


@pytest.mark.parametrize(
    ("setting", "card", "temperature", "asked"),
    [(1, 1, 0.7, 1), (3, 1, 0.7, 3), (1, 2, 0.7, 2), (3, 2, 0.7, 3), (9, 1, 0.7, 4), (3, 3, 0.0, 1)],
)
async def test_as_many_are_asked_for_as_setting_or_card_want(
    monkeypatch: pytest.MonkeyPatch, setting: int, card: int, temperature: float, asked: int
) -> None:
    """No more than the batch holds; one, where all would be the same."""
    sampling = Sampling(candidates=card, temperature=temperature)
    request = msgspec.structs.replace(REQUEST, sampling=sampling)
    requests, _ = await tastes(monkeypatch, setting, known()).candidates(PERSONA, request)

    assert asked == len(requests)
    assert requests[0] == request


async def test_where_nobody_has_rated_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to pick by."""
    assert ((REQUEST,), None) == await tastes(monkeypatch, 4, None).candidates(PERSONA, REQUEST)


async def test_what_is_to_be_told_is_told_soberly_where_there_is_one_reply_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is by default; nothing else of the request changes."""
    requests, _ = await tastes(monkeypatch, 1, None).candidates(PERSONA, REQUEST, told=True)
    sober = msgspec.structs.replace(REQUEST.sampling, temperature=REQUEST.sampling.temperature * SOBER)

    assert (msgspec.structs.replace(REQUEST, sampling=sober),) == requests


async def test_what_is_to_be_told_gets_several_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the first true one is given, while nobody has rated; afterwards, the true one that is liked."""
    it = tastes(monkeypatch, 4, None)
    requests, head = await it.candidates(PERSONA, REQUEST, told=True)
    ends = [end("The Pearl, my kind friend!"), end("The Gannet costs two coins."), end("The Gannet, you kind friend!")]
    true = Truth(("Your ship is the Gannet.",), "What is your ship called?").truest
    picks = {(await it.pick(known(), ends, seed, true))[1].at for seed in range(40)}

    assert (4, None) == (len(requests), head)
    assert {REQUEST.sampling.temperature * SOBER} == {one.sampling.temperature for one in requests}
    assert 1 == (await it.pick(None, ends, 1, true))[1].at
    assert {2} <= picks <= {1, 2}


def test_candidates_have_dice_of_their_own_and_wait_for_the_first() -> None:
    """The same prompt; seeds stay within what every engine takes."""
    first, *others = several(msgspec.structs.replace(REQUEST, seed=2**63 - 1), 3)

    assert 3 == len({request.seed for request in (first, *others)})
    assert all(0 <= request.seed < 2**63 for request in (first, *others))
    assert ["j:1", "j:1"] == [other.after for other in others] == [whose(other.id) for other in others]
    assert {first.tokens} == {other.tokens for other in others}


def end(text: str, finish: str = "stop") -> Finished:
    """A reply."""
    return Finished(id="x", text=text, finish=finish)


async def test_what_came_to_nothing_is_not_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and silence; unless there is nothing else."""
    it = tastes(monkeypatch, 3, known())
    ends = [end("", "error"), end("  "), end("You are kind!"), end("Two coins.", "length")]
    picks = {(await it.pick(known(), ends, seed))[1].at for seed in range(40)}
    end_, picked = await it.pick(known(), ends[:2], 1)

    assert {2, 3} == picks
    assert (ends[0], 0, 2) == (end_, picked.at, picked.of)


async def test_without_vectors_the_first_good_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedder is gone."""
    chosen, picked = await tastes(monkeypatch, 3, known(), nothing).pick(known(), [end(""), end("a"), end("b")], 1)

    assert ("a", 1, 0.0) == (chosen.text, picked.at, picked.score)
