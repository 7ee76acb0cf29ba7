"""core/store/personalities.py on a real Redis: nothing is lost, whatever two writers do, and a cut is said."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from core.events import PersonaKey
from core.growth.changes import Born, Dial, Mended, Rated, Reflected, Rolled, Talked
from core.personality import State, replay
from core.store import keys
from core.store.client import Client
from core.store.personalities import EVERY, Personalities

MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
BORN = Born(id="born", time=1000.0, day=20260501, card="c1", dials={"warmth": Dial(0.5, 0.0, 1.0)})


def talked(number: int, day: int = 20260501, person: str = "discord:77:ann", by: float = 0.001) -> Talked:
    return Talked(
        id=f"t{number}", time=1000.0 + number, day=day, person=person, causes=(f"m{number}",), name="Ann", known=1.0,
        pushes={"warmth": by},
    )  # fmt: skip


@pytest.fixture
def store(client: Client) -> Personalities:
    return Personalities(client)


async def test_two_writers_lose_nothing(redis_url: str, store: Personalities) -> None:
    """Each appends as it likes while a third reads, and so makes snapshots."""
    other = Client(redis_url)
    await store.append(MIRA, [BORN])

    async def write(by: Personalities, first: int) -> None:
        for number in range(first, first + 150):
            await by.append(MIRA, [talked(number)])

    await asyncio.gather(write(store, 0), write(Personalities(other), 1000), *(store.read(MIRA) for _ in range(20)))
    state = (await store.read(MIRA)).state
    await other.close()

    assert 301 == state.events
    assert pytest.approx(0.8) == state.traits["warmth"]
    assert not any(isinstance(entry.change, Mended) for entry in await store.history(MIRA))


async def test_a_state_is_its_history_replayed(client: Client, store: Personalities) -> None:
    """To the last bit, with snapshots on the way and without them."""
    await store.append(MIRA, [BORN, *(talked(n, 20260501 + n // 120, by=0.1 / (n + 1)) for n in range(2 * EVERY + 7))])
    whole = replay(State(), [entry.change for entry in await store.history(MIRA)])
    await store.append(MIRA, [talked(5000, 20260503)])

    kept = (await store.read(MIRA)).state

    assert await client.do("HGET", keys.SELF_AT(str(MIRA)), "id")
    assert msgspec.msgpack.encode(replay(whole, [talked(5000, 20260503)])) == msgspec.msgpack.encode(kept)


async def test_a_long_history_is_read_in_pages(
    client: Client, store: Personalities, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Each change once, in order, and never many at once."""
    monkeypatch.setattr("core.store.personalities.PAGE", 7)
    await store.append(MIRA, [BORN, *(talked(n) for n in range(20))])
    pages, do = list[int](), client.do

    async def counted(*words: Any) -> Any:
        found = await do(*words)
        pages.append(len(found))
        return found

    monkeypatch.setattr(client, "do", counted)
    found = [entry.change.id for entry in await store.history(MIRA)]

    assert ["born", *(f"t{n}" for n in range(20))] == found
    assert [7, 7, 7, 0] == pages


async def test_any_day_can_be_shown(store: Personalities) -> None:
    """As it ended; a day on which nothing happened is as the one before, and before the first there is none."""
    days = [20260501, 20260502, 20260505]
    await store.append(MIRA, [BORN, *(talked(n, day, by=0.1) for n, day in enumerate(days))])

    found = [await store.on(MIRA, day) for day in (20260430, 20260501, 20260504, 20260505, 20260601)]

    assert [None, 0.6, 0.7, 0.8, 0.8] == [state and pytest.approx(state.traits["warmth"]) for state in found]
    assert [20260501, 20260502] == await store.days(MIRA)


@pytest.mark.parametrize("snapshot", [True, False])
async def test_a_stream_that_was_cut_is_noticed_and_said(
    snapshot: bool, client: Client, store: Personalities, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left counts from the latest snapshot on; it is said once, in the log and in the history."""
    await store.append(MIRA, [BORN, *(talked(n) for n in range(EVERY if snapshot else 0))])
    before = (await store.read(MIRA)).state
    await store.append(MIRA, [talked(n) for n in range(500, 510)])
    stream = keys.SELF(str(MIRA))
    rows = await client.do("XREVRANGE", stream, "+", "-", "COUNT", 8)
    await client.do("XDEL", stream, *(row[0] for row in rows[:4]))

    with caplog.at_level(logging.WARNING, "limen.personality"):
        seen = await store.read(MIRA)
        again = await store.read(MIRA)

    mended = [entry.change for entry in await store.history(MIRA) if isinstance(entry.change, Mended)]
    assert (4, 0, 4) == (seen.lost, again.lost, mended[0].lost)
    assert 1 == len(mended) == len(caplog.records)
    assert (before.events + 7, before.events + 7) == (seen.state.events, again.state.events)
    assert pytest.approx(before.drift.get("warmth", 0.0) + 0.006) == again.state.drift["warmth"]


async def test_what_cannot_be_read_is_left_out_and_said(client: Client, store: Personalities) -> None:
    """A change of which only a part is left, and a snapshot of which nothing is; closed days stand in."""
    await store.append(MIRA, [BORN, *(talked(n) for n in range(EVERY)), talked(900, 20260502)])
    await store.read(MIRA)
    await store.append(MIRA, [talked(901, 20260502), talked(902, 20260502)])
    stream, at = keys.SELF(str(MIRA)), keys.SELF_AT(str(MIRA))
    await client.do_all([("XADD", stream, "*", "b", b"\x81\xa4ty"), ("HINCRBY", at, "written", 1)])
    await client.do_all([("HSET", at, "state", b"\xff\xff"), ("XTRIM", stream, "MAXLEN", 4)])

    seen = await store.read(MIRA)

    assert 1 == seen.lost
    assert pytest.approx(0.103) == seen.state.drift["warmth"]
    assert (0, seen.state) == ((await store.read(MIRA)).lost, (await store.read(MIRA)).state)


async def test_a_stream_that_is_gone_leaves_the_snapshot(client: Client, store: Personalities) -> None:
    """The personality is as it was then."""
    await store.append(MIRA, [BORN, *(talked(n) for n in range(EVERY))])
    await store.read(MIRA)
    await store.append(MIRA, [talked(900)])
    await client.do("DEL", keys.SELF(str(MIRA)))

    seen = await store.read(MIRA)
    await store.append(MIRA, [talked(901)])

    assert 1 == seen.lost
    assert pytest.approx(0.101) == (await store.read(MIRA)).state.drift["warmth"]


async def test_a_count_that_is_gone_is_counted_anew(client: Client, store: Personalities) -> None:
    """With the snapshot beside it; nothing of the state is lost, and it is noted."""
    await store.append(MIRA, [BORN, *(talked(n) for n in range(EVERY))])
    before = (await store.read(MIRA)).state
    await client.do("DEL", keys.SELF_AT(str(MIRA)))

    seen, again = await store.read(MIRA), await store.read(MIRA)

    assert (before.drift, before.people) == (seen.state.drift, seen.state.people)
    assert (EVERY + 2, seen.state, 0) == (again.state.events, again.state, again.lost)


async def test_only_one_begins(store: Personalities) -> None:
    """Whoever saw an older end has to look again."""
    first, second = await store.read(MIRA), await store.read(MIRA)

    assert [True, False] == [await store.begin(MIRA, BORN, first.end), await store.begin(MIRA, BORN, second.end)]
    assert 1 == (await store.read(MIRA)).state.events


async def test_whoever_is_forgotten_leaves_only_numbers(client: Client, store: Personalities) -> None:
    """In the stream, the snapshot and the days; what it has become stays, and so do the others."""
    ann, bob = "discord:77:ann", "discord:77:bob"
    talk = [talked(n, 20260501 + n // 60) for n in range(EVERY + 20)]
    rated = Rated(id="r", time=2000.0, day=20260503, person=ann, causes=("x",), reply="r1", pushes={"warmth": 0.1})
    reflected = Reflected(id="f", time=2001.0, day=20260503, about="Ann is my friend.", bonds={ann: (1.0, 1.0)})
    await store.append(
        MIRA, [BORN, *talk, msgspec.structs.replace(talked(7, person=bob), name="Bob"), rated, reflected]
    )
    before = (await store.read(MIRA)).state
    rolled = Rolled(id="b", time=2002.0, day=20260503, to=20260501, after=60, people=before.people)
    await store.append(MIRA, [rolled])
    before = (await store.read(MIRA)).state

    assert [MIRA] == await store.about(ann)
    assert EVERY + 21 == await store.forget(ann, MIRA)

    rows = await client.do("XRANGE", keys.SELF(str(MIRA)), "-", "+")
    kept = repr([rows, await client.do("HGETALL", keys.SELF_AT(str(MIRA)))])
    days = [await store.on(MIRA, day) for day in await store.days(MIRA)]
    after = (await store.read(MIRA)).state
    assert "bob" in kept
    assert not [name for name in ("ann", "Ann") if name in kept]
    assert [bob] == [*after.people]
    assert (before.drift, before.events) == (after.drift, after.events)
    assert all(state and ann not in state.people and not state.about for state in days)
    assert (0, []) == ((await store.read(MIRA)).lost, await store.about(ann))


async def test_a_persona_keeps_to_itself(store: Personalities) -> None:
    """The same card in another scope knows nothing of it."""
    await store.append(MIRA, [BORN, talked(1)])

    other = await store.read(msgspec.structs.replace(MIRA, scope="discord:77:channel:other"))

    assert State() == other.state
