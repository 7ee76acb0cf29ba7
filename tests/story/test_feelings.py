"""A feeling beside a reply: weighed by the model that has just spoken, shown with it, and never at its cost."""

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

import worker.ending
from core.votes.taste import Floats
from tests.fakes.house import DM, House, house_at, say
from worker.echo import Echo
from worker.feeling import Feelings
from worker.generator import Finished, Piece, Request


class Moved(Echo):
    """Feels what is named `felt` after a reply in which `mark` stands. `how`: `weighed`, `error`, or `never`."""

    def __init__(self, felt: str, mark: str, how: str = "weighed") -> None:
        super().__init__()
        self._felt, self._mark, self._how = felt, mark, how
        self._weighs: list[Request] = []
        self.cancelled: list[str] = []

    def weighing(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request:
        likely = [1 if self._felt in choice and self._mark in lead else 9 for choice in choices]
        return msgspec.structs.replace(asked, id=request_id, choices=tuple((one,) for one in likely))

    def add(self, request: Request) -> None:
        self._weighs.append(request) if request.choices else super().add(request)

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)
        super().cancel(request_id)

    def step(self) -> list[Piece | Finished]:
        weighs, self._weighs = self._weighs, []
        if self._how == "never":
            return super().step()
        ends = [Finished(id=one.id, text="", finish=self._how, scores=_scores(one, self._how)) for one in weighs]
        return [*ends, *super().step()]

    @property
    def active(self) -> int:
        return super().active + len(self._weighs)


def _scores(request: Request, how: str) -> tuple[float, ...]:
    return tuple(-float(choice[0]) for choice in request.choices) if how == "weighed" else ()


async def nothing(texts: Sequence[str]) -> Floats | None:
    """No embedder."""
    return None


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """Nobody is at work yet."""
    async with house_at(redis_url) as house:
        yield house


async def test_a_feeling_and_an_action_come_with_the_reply(house: House) -> None:
    """Mira is curious, and does what her card lets her do; the ledger knows, and her words are hers alone."""
    model = Moved("", "")
    for felt, mark in (("curious", "hello"), ("points at the map", "hello")):
        model = Moved(felt, mark)
        house.feelings = Feelings("both", model, nothing)
        async with house.at_work(model):
            (done,) = await house.talk(say("hello", felt, where=DM))
        record = (await house.entry(done.reply_id)).record
        assert (done.emotion, done.action) == (record.emotion, record.action)
        assert record.text == done.text
        assert done.shown == done.text + (f"\n\n*{done.action}*" if done.action else "")
        if felt == "curious":
            assert ("curious", "🧭", "") == (done.emotion, done.emoji, done.action)
        else:
            assert "points at the map" == done.action
    lines = await house.p.conversations.last(done.conversation, 9)
    assert not [line for line in lines if "*points" in line.text]


@pytest.mark.parametrize("how", ["error", "never"])
async def test_a_feeling_that_cannot_be_told_costs_no_reply(
    house: House, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The engine has no room for it, or somebody's novel is read first."""
    monkeypatch.setattr(worker.ending, "FEEL", 0.05)
    model = Moved("curious", "hello", how)
    house.feelings = Feelings("reaction", model, nothing)
    async with house.at_work(model):
        (done,) = await house.talk(say("hello", where=DM))

    assert "You said" in done.text
    assert ("", "") == (done.emotion, done.emoji)
    assert [one for one in model.cancelled if "~emotion" in one]
