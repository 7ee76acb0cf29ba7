"""worker/night/leftovers.py: what a killed training left is reached by forgetting, on whichever machine it lies."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots import nights
from bots.assemble import Parts
from core.events import Person, PersonaKey, Place
from core.store import keys
from core.store.ledger import Record, Told
from core.store.loras import common
from core.store.nights import Last
from tests.fakes.commands import meanwhile, opened
from worker.night.leftovers import LEFT_FOR, folder

ANN, ROOM = "discord:1", Place("discord", "77", "room")
MIRA, NOA = (PersonaKey("discord:b1", card, "discord:77:channel:room") for card in ("mira", "noa"))


@pytest.fixture
async def p(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    """Mira has talked with Ann, Noa with Bob; trainings of both, and of Mira's card, were killed."""
    for name, value in {"REDIS_URL": redis_url, "LIMEN_HOME": str(home), "LIMEN_TESTING": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LIMEN_MODEL__REF", "echo:")
    async with opened(redis_url, home) as found:
        for key, who in ((MIRA, ANN), (NOA, "discord:2")):
            record = Record(
                id=key.card, persona=key, conversation=key.conversation(ROOM), place=ROOM, author=Person(who),
                answers=("m1",), time=time.time(), text="Aye", sections=(), roles=(), people=(who,),
            )  # fmt: skip
            await found.ledger.keep(record, [Told("user", "hello")])
        for key in (MIRA, common(MIRA), NOA):
            folder(home, key).mkdir(parents=True)
            (folder(home, key) / "whole.pt").write_bytes(b"half a LoRA")
        await found.nights.ran(Last(time.time(), time.time()))  # none is due
        yield found


def left(p: Parts) -> set[PersonaKey]:
    """Of whom something is still there."""
    return {key for key in (MIRA, common(MIRA), NOA) if folder(p.settings.home, key).exists()}


async def look(p: Parts) -> None:
    """As a worker does every ten minutes."""
    clock = await nights.clock(p)
    assert clock
    await clock.look()


async def test_limen_forget_deletes_it_at_once(p: Parts) -> None:
    """Of the persona and of its card; others' stay to go on from."""
    said = await meanwhile("forget", "--user", ANN, "--yes")

    assert (0, {NOA}) == (said.status, left(p)), said.err


async def test_who_is_forgotten_in_a_chat_is_reached_by_the_next_look(p: Parts) -> None:
    """By one persona alone, too."""
    await look(p)
    assert {MIRA, common(MIRA), NOA} == left(p)
    await p.privacy.forget(ANN, MIRA)
    await look(p)

    assert {NOA} == left(p)


async def test_by_the_next_night_it_is_gone(p: Parts) -> None:
    """Whoever's night that is."""
    await p.privacy.forget(ANN)
    said = await meanwhile("night", "--now", "--persona", "noa", "--account", NOA.account, "--scope", NOA.scope)

    assert (0, {NOA}) == (said.status, left(p)), said.err  # the echo trains nothing, so it has nothing to go on from


async def test_a_training_at_work_keeps_its_own(p: Parts) -> None:
    """Until it ends, or has died."""
    lease = await p.nights.lease(str(MIRA), "elsewhere:1:1")
    assert lease
    await p.privacy.forget(ANN)
    await look(p)
    assert {MIRA, NOA} == left(p)
    await lease.end()
    await look(p)

    assert {NOA} == left(p)
    assert "" == await p.nights.holder(str(MIRA))


async def test_what_nobody_goes_on_from_goes_anyway(p: Parts) -> None:
    """Sooner than it is forgotten that somebody was: a machine that was off for long has nothing left of them."""
    home = p.settings.home
    for key, age in ((MIRA, LEFT_FOR + 60), (NOA, LEFT_FOR - 60)):
        for path in (folder(home, key) / "whole.pt", folder(home, key)):
            os.utime(path, (time.time() - age,) * 2)
    await look(p)

    assert {common(MIRA), NOA} == left(p)
    assert LEFT_FOR < keys.FORGOT_FOR
