"""A platform may tell of a command twice, the second time after a crash of ours: what it changes is changed once."""

from collections.abc import AsyncIterator

import pytest

from core.commands.desk import Answer
from core.engine import Act
from core.errors import StoreUnreachable
from core.events import Command, Person, Place
from tests.fakes.house import ANN, BOT, ROOM, House, house_at, say
from worker.echo import Echo

TALK = f"{BOT}|mira|{ROOM}"


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house in which nobody is at work yet."""
    async with house_at(redis_url) as house:
        yield house


async def give(house: House, name: str, args: str = "", number: int = 1, place: Place = ROOM) -> Answer:
    """Ann, an operator, gives a command, or gives it again under the same number: to whichever process is there now."""
    command = Command(
        id=f"c-{number}", account=BOT, place=place, author=ANN, time=1003.0, name=name, args=args, operator=True
    )
    return await house.p.desk(house.p.engine()).answer(command)


async def test_a_regeneration_that_is_told_twice_is_one_reply(house: House) -> None:
    """While it waits the second answer says that it is on its way; when it has come there is nothing more to say."""
    async with house.at_work():
        await house.talk(say("hello"))
    first, second = [await give(house, "regenerate") for _ in range(2)]
    assert first.job
    assert second.job
    assert (Act.SEEN, first.job.job, 1) == (second.job.act, second.job.job, second.job.place)
    assert [first.job.job] == await house.p.queue.jobs(TALK)

    async with house.at_work():
        await house.answer(first.job)
        assert Answer() == await give(house, "regenerate")
        assert [] == await house.p.queue.jobs(TALK)
    assert 2 == len(house.shelf.finals)


async def test_another_regeneration_is_another_reply(house: House) -> None:
    """Somebody asks once more, under another id."""
    async with house.at_work():
        await house.talk(say("hello"))
        for number in range(2):
            answer = await give(house, "regenerate", number=number)
            assert answer.job
            await house.answer(answer.job)
    assert 3 == len(house.shelf.finals)


async def test_a_stop_that_is_told_twice_does_not_stop_the_next_reply(house: House) -> None:
    """It was for the one of then."""
    async with house.at_work(Echo(delay=0.01, words=5000)):
        await house.engine.on_message(say("tell me everything", 1))
        await house.shelf.wait(lambda: house.shelf.drafts)
        assert not (await give(house, "stop")).error
        await house.shelf.wait(lambda: house.shelf.finals)

        await house.engine.on_message(say("and now?", 2))
        seen = len(house.shelf.drafts)
        await house.shelf.wait(lambda: len(house.shelf.drafts) > seen)
        await give(house, "stop")
        assert 1 == len(await house.p.queue.jobs(TALK))
        await house.shelf.wait(lambda: len(house.shelf.drafts) > seen + 5)
        assert not (await give(house, "stop", number=2)).error


async def test_forgetting_that_is_told_twice_forgets_nothing_of_what_came_since(house: House) -> None:
    """It erased what was there then."""
    await house.engine.on_message(say("a secret", 1))
    assert "Forgotten: 1 messages" in (await give(house, "forget", "yes")).text
    await house.engine.on_message(say("hello again", 2))
    assert "That is done already." == (await give(house, "forget", "yes")).text
    assert ["hello again"] == [line.text for line in await house.p.conversations.last(TALK, 9)]


async def test_a_switch_that_is_told_twice_leaves_the_later_one(house: House) -> None:
    """And the first answer is not given a second time as if it were news."""
    for number, card in enumerate(("bram", "orrin", "bram")):
        answer = await give(house, "switch", card, number=number % 2)
    assert "" == answer.switched
    assert "orrin" == (await house.engine.persona(say(""))).card


async def test_consent_that_is_told_twice_does_not_undo_the_later_word(house: House) -> None:
    """No after yes stays no."""
    for number, word in enumerate(("yes", "no", "yes")):
        await give(house, "privacy", f"train {word}", number=number % 2)
    assert "" == await house.p.privacy.basis(ANN.id)


@pytest.mark.parametrize(("name", "args"), [("persona", ""), ("help", ""), ("forget", ""), ("privacy", ""), ("no", "")])
async def test_what_changes_nothing_is_answered_again(house: House, name: str, args: str) -> None:
    """The first answer may have been lost."""
    first, second = [await give(house, name, args) for _ in range(2)]
    assert first.text
    assert first == second


async def test_the_same_id_elsewhere_is_another_command(house: House) -> None:
    """Telegram counts anew in every chat; and a message has its own."""
    await house.engine.on_message(say("hello", 1))
    other = Place(ROOM.platform, ROOM.workspace, "other")
    answers = [await give(house, "switch", "orrin", place=place) for place in (ROOM, other)]
    assert ["orrin", "orrin"] == [answer.switched for answer in answers]


async def test_what_cannot_be_noted_is_done_all_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """And said to be done. Only then a second telling does it a second time."""
    monkeypatch.setattr("core.commands.desk.NOTED", 0.0)
    desk = house.p.desk(house.p.engine())

    async def away(offers: object) -> None:
        raise StoreUnreachable("gone")

    monkeypatch.setattr(house.p.queue, "accept", away)
    command = Command(
        id="c-1", account=BOT, place=ROOM, author=Person(ANN.id), time=1003.0, name="switch", args="orrin",
        operator=True,
    )  # fmt: skip
    assert "orrin" == (await desk.answer(command)).switched
    monkeypatch.undo()
    assert "orrin" == (await desk.answer(command)).switched
    assert "" == (await desk.answer(command)).switched
