"""What people like shows the same evening: of several replies, their taste picks one. Real Redis, a model that is made
up; a night has nothing to do with it."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from core.engine import Outcome
from core.feedback import Fact
from core.jobs import Done, Failed
from core.store import keys
from core.votes import polarity
from core.votes.taste import Floats
from tests.fakes.house import ANN, BOB, DM, House, house_at, say
from tests.fakes.openai import fake
from tests.fakes.remote import remote
from worker.echo import Echo
from worker.embed import HashEmbedder
from worker.generator import Finished, Piece, Request
from worker.judge import Judged
from worker.tasting import Tastes

KIND = (
    "I missed you, my friend!",
    "You did so well, my friend!",
    "How good to see you, friend!",
    "You are dear to me!",
)
DRY = ("The tide is at six.", "Rope costs two coins.", "It rained on deck.", "The map lies below.")


class Fickle(Echo):
    """Says one of eight things by the seed: half of them are kind. `asked` are the requests that came."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.asked: list[Request] = []

    def add(self, request: Request) -> None:
        """As `Echo`, with other words."""
        self.asked.append(request)
        text = (KIND + DRY)[request.seed % 8]
        super().add(msgspec.structs.replace(request, tokens=tuple(text.encode())))


async def embed(texts: Sequence[str]) -> Floats | None:
    """By spelling."""
    return HashEmbedder().embed(texts)


@dataclass
class Evening:
    """A house with people in it who may rate."""

    house: House
    said: int = 0

    def tastes(self, count: int) -> Tastes:
        """With so many candidates; nothing is kept from before."""
        p = self.house.p
        self.house.tastes = Tastes(p.ledger, p.privacy.consents, embed, polarity.ours(), count, most=8)
        return self.house.tastes

    async def ask(self) -> Outcome:
        """Ann says something new."""
        self.said += 1
        return await self.house.engine.on_message(say("hello", self.said, where=DM))

    async def hear(self, times: int) -> list[Done]:
        """So many replies, one after the other."""
        return [await self.house.answer(await self.ask()) for _ in range(times)]

    async def rate(self, done: Done, emoji: str, who: str = ANN.id, removed: bool = False, time: float = 5.0) -> None:
        """Somebody feels something about a reply."""
        fact = Fact(f"{done.reply_id}{emoji}{who}{removed}", who, emoji, time, removed)
        assert await self.house.p.ledger.rate(done.reply_id, fact) == "recorded"


@pytest.fixture
async def evening(redis_url: str) -> AsyncIterator[Evening]:
    """Ann has said yes to being learned from."""
    async with house_at(redis_url) as house:
        await house.p.privacy.consent(ANN.id, "asked", "yes")
        yield Evening(house)


def kind(done: Done) -> bool:
    """Is it what Ann likes?"""
    return done.text in KIND


async def test_what_was_liked_comes_more_often(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what the model says is kind; after twelve ratings, nearly all that is given is."""
    monkeypatch.setattr("core.engine.secrets.randbits", random.Random(7).getrandbits)  # no luck in it
    evening.tastes(4)
    async with evening.house.at_work(Fickle()):
        for done in await evening.hear(12):
            await evening.rate(done, "👍" if kind(done) else "👎")
        later = await evening.hear(16)

    assert sum(map(kind, later)) >= 12
    record = (await evening.house.entry(later[-1].reply_id)).record
    assert (4, True) == (record.candidates, record.score > 0)


async def test_nobody_is_asked_twice_before_somebody_has_rated(evening: Evening) -> None:
    """There is nothing to pick by: one reply, and it is shown while it grows."""
    evening.tastes(4)
    model = Fickle(0.05)
    async with evening.house.at_work(model):
        (done,) = await evening.hear(1)

    assert 1 == len(model.asked) == (await evening.house.entry(done.reply_id)).record.candidates
    assert evening.house.shelf.drafts


async def test_what_is_taken_back_forgotten_or_not_allowed_is_no_taste(evening: Evening) -> None:
    """Derived from what stands in the ledger, each time."""
    p, tastes = evening.house.p, evening.tastes(4)
    async with evening.house.at_work(Fickle()):
        one, two, three = await evening.hear(3)
        await evening.rate(one, "👍")
        assert await tastes.head(one.persona)
        await evening.rate(one, "👍", removed=True, time=6.0)
        assert await tastes.head(one.persona) is None

        await evening.rate(two, "👎", who=BOB.id)
        assert await tastes.head(one.persona) is None  # Bob was never asked
        await p.privacy.consent(BOB.id, "asked", "yes")
        assert await evening.tastes(4).head(one.persona)
        await p.privacy.forget(BOB.id)
        assert await evening.tastes(4).head(one.persona) is None

        await evening.rate(three, "👍")
        assert await evening.tastes(4).head(one.persona)
        await p.privacy.forget(ANN.id)
        assert await evening.tastes(4).head(one.persona) is None
    assert [] == await p.client.scan("limen:rated-of:*")


async def test_what_is_felt_while_learning_is_paused_is_no_taste(evening: Evening) -> None:
    """Nor what was before a reset."""
    growth = evening.house.p.growth
    card = evening.house.p.card("mira")

    async def knows() -> bool:
        tastes = evening.tastes(4)
        tastes.history = growth.store.history
        return await tastes.head(one.persona) is not None

    async with evening.house.at_work(Fickle()):
        one, two = await evening.hear(2)
        await growth.pause(one.persona, card, ANN.id, True)
        await evening.rate(one, "👍", time=growth.now().time + 1)
        assert not await knows()
        await evening.rate(two, "👍", time=1.0)  # before it
        assert await knows()
        await growth.reset(one.persona, card, ANN.id)
        assert not await knows()


async def test_nobody_waits_until_what_is_liked_is_learned(
    evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The embedder has much to do: there is one reply meanwhile, and several when it is through."""
    monkeypatch.setattr("worker.tasting.WAIT", 0.05)
    slow, model = asyncio.Event(), Fickle()

    async def embed_later(texts: Sequence[str]) -> Floats | None:
        await slow.wait()
        return await embed(texts)

    p = evening.house.p
    tastes = evening.house.tastes = Tastes(p.ledger, p.privacy.consents, embed_later, polarity.ours(), 4, most=8)
    async with evening.house.at_work(model):
        (one,) = await evening.hear(1)
        await evening.rate(one, "👍")
        (meanwhile,) = await evening.hear(1)
        slow.set()
        assert await tastes.head(one.persona)
        (later,) = await evening.hear(1)

    of = [(await evening.house.entry(done.reply_id)).record.candidates for done in (meanwhile, later)]
    assert [1, 4] == of


async def test_what_is_known_of_taste_may_be_damaged(evening: Evening) -> None:
    """Then the first reply is given."""
    evening.tastes(4)
    async with evening.house.at_work(Fickle()):
        (one,) = await evening.hear(1)
        await evening.house.p.client.do("SET", keys.RATED_OF(str(one.persona)), "damaged")
        (two,) = await evening.hear(1)

    assert 1 == (await evening.house.entry(two.reply_id)).record.candidates


async def test_a_taste_is_of_one_scope_alone(evening: Evening) -> None:
    """The same card in another channel knows nothing of it."""
    tastes = evening.tastes(4)
    async with evening.house.at_work(Fickle()):
        (done,) = await evening.hear(1)
        await evening.rate(done, "👍")

    assert await tastes.head(done.persona)
    assert await tastes.head(msgspec.structs.replace(done.persona, scope="discord:77:channel:other")) is None


async def test_several_candidates_that_are_stopped_leave_nothing(evening: Evening) -> None:
    """Nothing was shown; nothing is made up. And the next one is answered."""
    evening.tastes(3)
    model = Fickle(0.2)
    async with evening.house.at_work(model):
        (first,) = await evening.hear(1)
        await evening.rate(first, "👍")
        outcome = await evening.ask()
        await _until(lambda: len(model.asked) == 4)
        await evening.house.p.queue.cancel(outcome.job)
        await evening.house.shelf.wait(lambda: evening.house.shelf.failures)
        (failed,) = evening.house.shelf.failures
        (third,) = await evening.hear(1)

    assert isinstance(failed, Failed)
    assert failed.cancelled
    assert third.text
    assert not [text for text, _ in evening.house.shelf.drafts if text not in first.text]


class Forgetful(Fickle):
    """Says the ship's name when it is asked for the `right`th time, and at no other."""

    def __init__(self, right: int, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.right = right

    def add(self, request: Request) -> None:
        """As `Echo`, with other words."""
        self.asked.append(request)
        text = "She is the Gannet." if len(self.asked) == self.right else "She is a ship."
        Echo.add(self, msgspec.structs.replace(request, tokens=tuple(text.encode())))


@pytest.fixture
def of_the_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is said asks what the ship is called."""
    monkeypatch.setattr(Judged, "told", property(lambda judged: ("Your ship is the Gannet.",)))


@pytest.mark.usefixtures("of_the_ship")
@pytest.mark.parametrize(("right", "tries", "text"), [
    (2, 3, "She is the Gannet."), (5, 6, "She is the Gannet."), (7, 6, "She is a ship."),
])  # fmt: skip
async def test_it_thinks_once_more_where_no_reply_says_what_was_asked(
    evening: Evening, right: int, tries: int, text: str
) -> None:
    """As many tries again, with other dice; and if none of these does either, something is said all the same."""
    evening.tastes(3)
    model = Forgetful(right)
    async with evening.house.at_work(model):
        (done,) = await evening.hear(1)

    assert (text, tries, tries) == (done.text, len(model.asked), len({one.seed for one in model.asked}))
    assert tries == (await evening.house.entry(done.reply_id)).record.candidates


@pytest.mark.usefixtures("of_the_ship")
async def test_who_is_stopped_while_it_thinks_once_more_says_nothing(evening: Evening) -> None:
    """What was made before is not given either: nobody has seen it."""
    evening.tastes(3)
    model = Forgetful(9, 0.2)
    async with evening.house.at_work(model):
        outcome = await evening.ask()
        await _until(lambda: len(model.asked) == 6)
        await evening.house.p.queue.cancel(outcome.job)
        await evening.house.shelf.wait(lambda: evening.house.shelf.failures)

    assert [True] == [failed.cancelled for failed in evening.house.shelf.failures]


async def test_one_candidate_that_fails_is_none(evening: Evening) -> None:
    """The others are there to pick from."""

    class Flawed(Fickle):
        def step(self) -> list[Piece | Finished]:
            events = super().step()
            broken = Finished(id="", text="", finish="error", error="it broke")
            return [
                msgspec.structs.replace(broken, id=event.id)
                if isinstance(event, Finished) and "#" in event.id
                else event
                for event in events
            ]

    evening.tastes(3)
    async with evening.house.at_work(Flawed()):
        (first,) = await evening.hear(1)
        await evening.rate(first, "👍")
        (second,) = await evening.hear(1)

    assert second.text in KIND + DRY
    assert 3 == (await evening.house.entry(second.reply_id)).record.candidates


async def test_a_server_that_generates_is_asked_several_times(evening: Evening) -> None:
    """The same prompt with other seeds, side by side; what it says is picked from as well."""
    evening.tastes(3)
    with fake() as server, remote(server) as generator:
        async with evening.house.at_work(generator):
            (first,) = await evening.hear(1)
            await evening.rate(first, "👍")
            (second,) = await evening.hear(1)
        chats = server.chats()

    assert [1, 3] == [(await evening.house.entry(done.reply_id)).record.candidates for done in (first, second)]
    assert 4 == len(chats) == len({chat["seed"] for chat in chats})
    assert 1 == len({str(chat["messages"]) for chat in chats[1:]})


async def test_another_reply_is_asked_for_and_picked_as_well(evening: Evening) -> None:
    """`/regenerate` makes candidates anew, with other dice."""
    evening.tastes(3)
    model = Fickle()
    async with evening.house.at_work(model):
        (first,) = await evening.hear(1)
        await evening.rate(first, "👍")
        outcome = await evening.house.engine.regenerate(first.persona, first.place, ANN)
        again = await evening.house.answer(outcome)

    assert again.reply_id != first.reply_id
    assert 3 == (await evening.house.entry(again.reply_id)).record.candidates
    assert 4 == len({request.seed for request in model.asked})


async def test_a_fault_in_taste_costs_no_reply(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what is known of it, nor in picking."""
    tastes = evening.tastes(3)
    async with evening.house.at_work(Fickle()):
        (first,) = await evening.hear(1)
        await evening.rate(first, "👍")
        monkeypatch.setattr(tastes, "pick", None)
        (second,) = await evening.hear(1)
        monkeypatch.setattr(tastes, "head", None)
        (third,) = await evening.hear(1)

    assert {first.text, second.text, third.text} <= {*KIND, *DRY}


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)
