"""A night's LoRA in the store and in Redis: kept, forgotten while it was trained, and cleared away."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core.errors import LoraError
from core.events import Person, PersonaKey, Place
from core.feedback import Fact
from core.nights import Manifest, Outcome
from core.store import loras as desk
from core.store.client import Client
from core.store.keys import DAY
from core.store.ledger import Ledger, Record
from core.store.loras import Loras, Made, family
from tests.fakes.loras import write
from tests.fakes.manifests import manifest
from worker.lora import manifest as manifests
from worker.lora.keeping import clear_old, clear_tainted, introduce, keep_night, remove
from worker.lora.store import LoraStore

ROOM = Place("discord", "77", "room")
MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")


class Shop:
    """A store of each kind, on one Redis, with two replies: Ann spoke in both, and Bob rated the second."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.loras, self.ledger, self.client = Loras(client), Ledger(client), client
        self.store = LoraStore(str(folder / "store"), folder / "cache")
        self.made = write(folder / "made")

    async def reply(self, name: str, *people: str) -> None:
        record = Record(
            id=name, persona=MIRA, conversation=MIRA.conversation(ROOM), place=ROOM, author=Person("ann"),
            answers=(), time=1e9, text="hi", sections=(), roles=(), people=people,
        )  # fmt: skip
        await self.ledger.keep(record, [])

    async def keep(self, day: str = "20261127", **changes: Any) -> Manifest:
        return await keep_night(self.store, self.loras, self.ledger, MIRA, day, self.made, manifest(**changes))


@pytest.fixture
async def shop(redis_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    client = Client(redis_url)
    shop = Shop(client, tmp_path)
    await shop.reply("r-1", "ann")
    await shop.reply("r-2", "ann")
    await shop.ledger.rate("r-2", Fact("x", "bob", "👍", 1e9))
    yield shop
    await client.close()


async def test_what_a_night_made_is_kept_with_where_it_comes_from(shop: Shop) -> None:
    """Files, manifest with its new name, base, and for each person the versions that have their rows."""
    kept = await shop.keep(base_hash="abc")

    assert f"{family(MIRA)}/20261127-1" == kept.version
    assert kept == manifests.read(shop.store.folder(kept.version))
    assert Made(str(MIRA), "abc") == await shop.loras.origin(kept.version)
    assert [[kept.version], [kept.version], []] == [await shop.loras.of_person(who) for who in ("ann", "bob", "cat")]
    assert f"{family(MIRA)}/20261127-2" == (await shop.keep()).version


async def test_what_is_kept_is_tried_first(shop: Shop) -> None:
    """Or live at once, where nothing is to be tried; a pin and a request to be forgotten hold against a night."""
    kept = await shop.keep()

    assert Outcome.TRIAL == await introduce(shop.loras, MIRA, kept.version, 0.5)
    assert kept.version == (await shop.loras.serving(MIRA)).canary
    assert Outcome.PROMOTED == await introduce(shop.loras, MIRA, kept.version, 0)
    assert (kept.version, "night") == ((past := (await shop.loras.serving(MIRA)).history[0]).version, past.why)
    await shop.loras.pin(MIRA, kept.version)
    for share in (0.5, 0):
        with pytest.raises(LoraError, match="is pinned"):
            await introduce(shop.loras, MIRA, "m/2", share)


@pytest.mark.parametrize("share", [0.5, 0])
@pytest.mark.parametrize("act", ["promote", "rollback", "try", "end the trial"])
async def test_what_was_changed_while_it_was_trained_stays(act: str, share: float, shop: Shop) -> None:
    """It was judged against something else; it lies in the store, for whoever wants it."""
    for version in ("m/1", "m/2"):
        await shop.loras.promote(MIRA, version, "night")
    if act == "end the trial":
        await shop.loras.canary(MIRA, "m/3", 0.5)
    begun = await shop.loras.serving(MIRA)
    await {
        "promote": lambda: shop.loras.promote(MIRA, "m/3", "command"),
        "rollback": lambda: shop.loras.rollback(MIRA),
        "try": lambda: shop.loras.canary(MIRA, "m/3", 0.5),
        "end the trial": lambda: shop.loras.drop_canary(MIRA),
    }[act]()
    kept, changed = await shop.keep(), await shop.loras.serving(MIRA)

    with pytest.raises(LoraError, match="was changed meanwhile") as told:
        await introduce(shop.loras, MIRA, kept.version, share, begun)
    assert kept.version in str(told.value)
    assert changed == await shop.loras.serving(MIRA)
    assert [kept.version] == shop.store.versions()
    assert await introduce(shop.loras, MIRA, kept.version, share, changed) in (Outcome.TRIAL, Outcome.PROMOTED)


async def test_weights_that_began_with_others_have_their_people_too(shop: Shop) -> None:
    """The card's LoRA, say: whoever is in that is in this one, and forgetting finds both."""
    first = await shop.keep()
    second = await shop.keep(people=("ann",), rows=("r-1",), parent=first.version)

    assert ("ann", "bob") == second.people
    assert sorted([first.version, second.version]) == [*(await shop.loras.taint("bob")).versions]


@pytest.mark.parametrize("how", ["reply", "vote", "parent"])
async def test_who_is_forgotten_while_it_is_trained_is_in_no_weights(how: str, shop: Shop) -> None:
    """Nothing is kept then, and nothing of them is left in Redis."""
    first = await shop.keep(people=("ann",), rows=("r-1",))
    match how:
        case "reply":
            for entry in await shop.ledger.entries(["r-1", "r-2"]):
                await shop.ledger.erase(entry)
        case "vote":
            await shop.ledger.withdraw("r-2", "bob")
        case "parent":
            await shop.loras.taint("ann")

    with pytest.raises(LoraError, match="was forgotten while it was trained"):
        await shop.keep(parent=first.version if how == "parent" else "")
    assert [first.version] == shop.store.versions()
    assert [] == await shop.loras.of_person("bob")


async def test_a_disk_that_is_full_leaves_nothing_half_known(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is in neither place, and its name is not given again."""

    def full(*_: object) -> None:
        raise LoraError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shop.store, "add", full)
        with pytest.raises(LoraError, match="No space left"):
            await shop.keep()

    assert ([], []) == (shop.store.versions(), await shop.loras.of_person("ann"))
    assert (await shop.keep()).version.endswith("-2")


async def test_tainted_files_go_once_the_night_is_over(shop: Shop) -> None:
    """Only this persona's; clean ones stay, and others who are named in it are no longer listed for it."""
    kept, clean = await shop.keep(), await shop.keep(people=("ann",), rows=("r-1",))
    await shop.loras.taint("bob")
    other = PersonaKey("discord:b1", "mira", "discord:77:channel:other")

    assert [] == await clear_tainted(shop.store, shop.loras, other)
    assert [kept.version] == await clear_tainted(shop.store, shop.loras, MIRA)
    assert [clean.version] == shop.store.versions()
    assert [] == await shop.loras.rebuild_due()
    assert [clean.version] == await shop.loras.of_person("ann")


LONG_AGO = time.time() - 200 * DAY


@pytest.fixture
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done meanwhile is done long ago; Redis has the time of now."""
    monkeypatch.setattr(desk.time, "time", lambda: LONG_AGO)


async def kept_then(shop: Shop, count: int, day: str = "20260101", **changes: Any) -> list[str]:
    return [(await shop.keep(day=day, base_hash="abc", **changes)).version for _ in range(count)]


@pytest.mark.usefixtures("_then")
async def test_old_versions_that_nobody_goes_back_to_are_deleted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live, on trial, within reach of a rollback, begun with, or too young: all these stay. Histories say what went."""
    lost, untold, grand, parent, first, *steps, last, tried = await kept_then(shop, 17)
    (young,) = await kept_then(shop, 1, f"{datetime.now(UTC):%Y%m%d}")
    (middle,) = await kept_then(shop, 1, parent=grand)
    (child,) = await kept_then(shop, 1, f"{datetime.now(UTC):%Y%m%d}", parent=middle)
    by_hand = (await shop.keep(day="20260101")).version  # it says nothing of a base
    await shop.loras.canary(MIRA, lost, 0.5, "night")
    await shop.loras.settle(MIRA, lost, won=False, why="trial: worse")
    for version in (first, *steps, last):
        await shop.loras.promote(MIRA, version, "night")
    await shop.loras.canary(MIRA, tried, 0.5, "night")
    monkeypatch.undo()

    assert sorted(steps) == sorted((await shop.loras.serving(MIRA)).before)
    assert [] == await clear_old(shop.store, shop.loras, 3650)
    assert sorted([lost, untold, parent, first]) == await clear_old(shop.store, shop.loras, 90)
    assert sorted({grand, middle, child, *steps, last, tried, young, by_hand}) == shop.store.versions()
    assert {lost, first} == {one.version for one in (await shop.loras.serving(MIRA)).history if one.gone}
    for version in (lost, untold):
        for act in (shop.loras.promote(MIRA, version, "command"), shop.loras.canary(MIRA, version, 0.5)):
            with pytest.raises(LoraError, match="were deleted"):
                await act


@pytest.mark.parametrize("act", ["rollback", "try", "end the trial", "pin", "promote"])
async def test_what_people_did_by_hand_lately_can_be_undone(act: str, shop: Shop, monkeypatch) -> None:
    """What they went back from, or tried, is there for as long again, however old it is."""
    with monkeypatch.context() as patch:
        patch.setattr(desk.time, "time", lambda: LONG_AGO)
        old, live = await kept_then(shop, 2)
        for version in (old, live):
            await shop.loras.promote(MIRA, version, "night")
        await shop.loras.canary(MIRA, old, 0.5, "night")
    await {
        "rollback": lambda: _twice(shop),
        "try": lambda: shop.loras.canary(MIRA, old, 0.2),
        "end the trial": lambda: shop.loras.drop_canary(MIRA),
        "pin": lambda: shop.loras.pin(MIRA, live),
        "promote": lambda: shop.loras.promote(MIRA, "base", "rollback to 2026-01-01"),
    }[act]()

    assert [] == await clear_old(shop.store, shop.loras, 90)
    assert sorted([old, live]) == shop.store.versions()


async def _twice(shop: Shop) -> None:
    for _ in range(2):
        await shop.loras.rollback(MIRA)


@pytest.mark.usefixtures("_then")
async def test_a_version_that_is_promoted_just_before_it_would_be_deleted_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody goes back to it between the look and the deletion; so it is with a record that is just moving."""
    gone, kept = await kept_then(shop, 2)
    await shop.loras.promote(MIRA, "m/1", "night")
    let_go = shop.loras.let_go

    async def late(persona: PersonaKey, version: str, days: int) -> bool:
        if version == kept:
            await shop.loras.promote(MIRA, version, "night")
        return await let_go(persona, version, days)

    monkeypatch.setattr(shop.loras, "let_go", late)

    assert not await let_go(replace(MIRA, scope="discord:77:channel:new"), kept, 90)
    assert [gone] == await clear_old(shop.store, shop.loras, 90)
    assert [kept] == shop.store.versions()


@pytest.mark.usefixtures("_then")
async def test_one_that_cannot_be_deleted_keeps_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again the next time."""
    first, second = await kept_then(shop, 2)
    await shop.loras.promote(MIRA, "m/1", "night")

    def denied(version: str) -> None:
        if version == first:
            raise LoraError("AccessDenied")
        LoraStore.remove(shop.store, version)

    with monkeypatch.context() as patch:
        patch.setattr(shop.store, "remove", denied)
        assert [second] == await clear_old(shop.store, shop.loras, 90)
    assert [first] == await clear_old(shop.store, shop.loras, 90)


async def test_a_version_whose_manifest_cannot_be_read_can_be_removed(shop: Shop) -> None:
    """Else it would lie there for ever."""
    kept = await shop.keep()
    (shop.store.folder(kept.version) / "manifest.json").write_text("{")
    await remove(shop.store, shop.loras, kept.version)

    assert [] == shop.store.versions()
