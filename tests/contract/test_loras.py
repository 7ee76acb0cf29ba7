"""Which LoRA a persona serves with: promotion, trial, rollback and trouble, each one step in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from core.errors import LoraError
from core.events import PersonaKey
from core.store import keys
from core.store.client import Client
from core.store.loras import LONGEST_REASON, Due, Loras, Made, Serving, common, family, preferred

MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
ELSEWHERE = PersonaKey("discord:b1", "mira", "discord:77:channel:other")


class Desk(Loras):
    """Loras, and the Redis they are on."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.client = client

    async def nights(self, *versions: str) -> None:
        """A promotion each night."""
        for version in versions:
            await self.promote(MIRA, version, "night")

    async def past(self) -> list[tuple[str, str]]:
        """(version, why), newest first."""
        return [(one.version, one.why) for one in (await self.serving(MIRA)).history]


@pytest.fixture
async def on(redis_url: str) -> AsyncIterator[Desk]:
    """On an empty Redis."""
    client = Client(redis_url)
    yield Desk(client)
    await client.close()


async def test_nobody_has_a_lora_at_first(on: Desk) -> None:
    """The base serves, and looking writes nothing."""
    assert Serving() == await on.serving(MIRA)
    assert "base" == (await on.serving(MIRA)).live
    assert {} == await on.everyone()
    assert [] == await on.client.scan("*")


async def test_a_promotion_is_for_one_persona_alone(on: Desk) -> None:
    """The same card in another scope stays what it is."""
    await on.nights("m/1")

    assert "m/1" == (await on.serving(MIRA)).live
    assert Serving() == await on.serving(ELSEWHERE)
    assert [MIRA] == [*await on.everyone()]


async def test_history_says_what_went_live_when_and_why(on: Desk) -> None:
    """Newest first."""
    await on.nights("m/1", "m/2")
    await on.promote(MIRA, "m/3", "command")

    assert [("m/3", "command"), ("m/2", "night"), ("m/1", "night")] == await on.past()
    times = [one.time for one in (await on.serving(MIRA)).history]
    assert times == sorted(times, reverse=True)
    assert times[-1] > 1.7e9


async def test_to_promote_what_is_live_changes_nothing(on: Desk) -> None:
    """A command whose answer was lost may be said again."""
    await on.nights("m/1", "m/1")

    assert (("m/1", "night"),) == tuple(await on.past())
    assert () == (await on.serving(MIRA)).before


async def test_rollbacks_lead_back_step_by_step_to_the_base(on: Desk) -> None:
    """A version that was rolled back is never gone back to; at the end nothing more happens."""
    await on.nights("m/1", "m/2", "m/3")
    await on.rollback(MIRA)
    await on.promote(MIRA, "m/4", "night")

    assert ["m/2", "m/1", "base", "base"] == [await on.rollback(MIRA) for _ in range(4)]
    assert [("base", "rollback"), ("m/1", "rollback"), ("m/2", "rollback"), ("m/4", "night")] == (await on.past())[:4]


async def test_a_rollback_of_nothing_writes_nothing(on: Desk) -> None:
    """A persona without LoRAs does not become one with some."""
    assert "base" == await on.rollback(MIRA)
    assert {} == await on.everyone()


async def test_a_rollback_ends_a_trial_even_over_the_base(on: Desk) -> None:
    """Whoever rolls back wants no reply more with what is new."""
    await on.canary(MIRA, "m/1", 0.5)

    assert "base" == await on.rollback(MIRA)
    assert Serving() == msgspec.structs.replace(serving := await on.serving(MIRA), touched=0.0)
    assert time.time() - 60 < serving.touched <= time.time()


async def test_a_rollback_during_a_trial_ends_only_that(on: Desk) -> None:
    """The old voice, at once, is the live one; another rollback goes further back."""
    await on.nights("m/1", "m/2")
    await on.canary(MIRA, "m/3", 0.5)

    assert "m/2" == await on.rollback(MIRA)
    assert ("", ("m/1",)) == ((serving := await on.serving(MIRA)).canary, serving.before)
    assert "m/1" == await on.rollback(MIRA)


async def test_the_base_can_be_gone_back_to_like_any_version(on: Desk) -> None:
    """Where somebody chose it, a rollback finds it again."""
    await on.nights("m/1", "base", "m/2")

    assert ("base", "m/1") == (await on.serving(MIRA)).before
    assert ["base", "m/1", "base"] == [await on.rollback(MIRA) for _ in range(3)]


async def test_a_version_that_returns_is_gone_back_to_once(on: Desk) -> None:
    """No doubles among those before."""
    await on.nights("m/1", "m/2", "m/1")

    assert ("m/2",) == (await on.serving(MIRA)).before


async def test_a_trial_leaves_what_is_live(on: Desk) -> None:
    """It has a share, and is no part of the history; another one takes its place."""
    await on.nights("m/1")
    await on.canary(MIRA, "m/2", 0.1)
    await on.canary(MIRA, "m/3", 0.25)
    serving = await on.serving(MIRA)

    assert ("m/1", "m/3", 0.25) == (serving.live, serving.canary, serving.share)
    assert [("m/1", "night")] == await on.past()


async def test_a_persona_on_the_base_can_try_its_first_lora(on: Desk) -> None:
    """And ends that by itself."""
    await on.canary(MIRA, "m/1", 1)

    assert [MIRA] == [*await on.everyone()]
    await on.drop_canary(MIRA)
    assert Serving() == msgspec.structs.replace(await on.serving(MIRA), touched=0.0)


@pytest.mark.parametrize("act", ["promote", "again", "rollback", "drop", "withdraw"])
async def test_a_trial_ends_with_any_change_of_what_is_live(act: str, on: Desk) -> None:
    """It was one against what was live before."""
    await on.nights("m/1", "m/2")
    await on.canary(MIRA, "m/3", 0.5)
    await {
        "promote": lambda: on.promote(MIRA, "m/3", "night"),
        "again": lambda: on.promote(MIRA, "m/2", "command"),
        "rollback": lambda: on.rollback(MIRA),
        "drop": lambda: on.drop_canary(MIRA),
        "withdraw": lambda: on.withdraw(MIRA, "m/3"),
    }[act]()

    assert ("", 0.0) == ((serving := await on.serving(MIRA)).canary, serving.share)
    assert ("m/3" if act == "promote" else "m/2") == serving.live


async def test_a_share_that_is_none_is_refused(on: Desk) -> None:
    """Before it is written."""
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(AssertionError):
            await on.canary(MIRA, "m/1", share)

    assert {} == await on.everyone()


async def test_what_is_withdrawn_serves_in_no_role(on: Desk) -> None:
    """Live: the one before takes over; earlier: no rollback leads there. Others stay."""
    await on.nights("m/1", "m/2", "m/3")

    assert "m/3" == await on.withdraw(MIRA, "m/2")
    assert "m/1" == await on.withdraw(MIRA, "m/3")
    assert [("m/1", "removed"), ("m/3", "night")] == (await on.past())[:2]
    assert "base" == await on.rollback(MIRA)


async def test_what_is_kept_is_bounded(on: Desk) -> None:
    """A promotion every night for years costs no more than one of a few weeks."""
    await on.nights(*(f"m/{number}" for number in range(70)))
    serving = await on.serving(MIRA)

    assert (50, 10) == (len(serving.history), len(serving.before))
    assert ("m/69", "m/68", "m/68") == (serving.live, serving.before[0], serving.history[1].version)


async def test_promotions_at_the_same_time_all_count(on: Desk) -> None:
    """None is lost between reading and writing."""
    await asyncio.gather(*(on.promote(MIRA, f"m/{number}", "night") for number in range(10)))
    serving = await on.serving(MIRA)

    assert {f"m/{number}" for number in range(10)} == {serving.live, *serving.before}
    assert serving.live == serving.history[0].version


async def test_the_name_of_a_removed_version_is_not_free(on: Desk) -> None:
    """Not while a worker may have it in memory; its trouble is over."""
    await on.faulty("m/1", "NaN")
    await on.removed("m/1")
    await on.client.do("ZADD", keys.LORAS_GONE.pattern, 1000, "m/old")
    await on.removed("m/2")

    assert {"m/1", "m/2"} == await on.gone()
    assert [] == await on.faults()


async def test_trouble_with_a_version_is_known_for_a_day(on: Desk) -> None:
    """Latest first, once per version, with the latest reason; a reason may quote anything."""
    await on.faulty("m/1", "cut short")
    await on.faulty("m/2", "NaN")
    await on.faulty("m/1", "gone \ud800" + "x" * 5000)
    faults = await on.faults()

    assert ["m/1", "m/2"] == [fault.version for fault in faults]
    assert "gone ?x" == faults[0].reason[:7]
    assert LONGEST_REASON == len(faults[0].reason)
    assert 0 < await on.client.do("TTL", keys.LORA_FAULT("m/1")) <= keys.DAY


async def test_trouble_ends_when_it_is_mended_or_old(on: Desk) -> None:
    """Old entries leave no trace in the list either."""
    for version in ("m/1", "m/2", "m/3"):
        await on.faulty(version, "NaN")
    await on.mended("m/1")
    await on.client.do("ZADD", keys.LORA_FAULTS.pattern, 1000, "m/2")

    assert ["m/3"] == [fault.version for fault in await on.faults()]
    await on.faulty("m/4", "NaN")
    assert 2 == await on.client.do("ZCARD", keys.LORA_FAULTS.pattern)


async def test_trouble_that_is_told_again_is_as_old_as_it_is(on: Desk) -> None:
    """Until it was not heard of for a day, or is mended."""
    await on.faulty("m/1", "NaN")
    first = (await on.faults())[0]
    await on.faulty("m/1", "cut short")
    again = (await on.faults())[0]

    assert first.since == again.since <= first.time <= again.time
    await on.client.do("ZADD", keys.LORA_FAULTS.pattern, 1000, "m/1")
    await on.faulty("m/1", "NaN")
    assert (lapsed := (await on.faults())[0]).since > again.time
    await on.mended("m/1")
    await on.faulty("m/1", "NaN")
    assert (await on.faults())[0].since > lapsed.since


async def test_a_trial_knows_when_it_began(on: Desk) -> None:
    """Another share does not begin it anew, another version does; when it ends, so does that."""
    await on.canary(MIRA, "m/1", 0.1)
    began = (await on.serving(MIRA)).began
    await on.canary(MIRA, "m/1", 0.5)

    assert began > 1.7e9
    assert (began, 0.5) == ((serving := await on.serving(MIRA)).began, serving.share)
    await on.canary(MIRA, "m/2", 0.5)
    assert (await on.serving(MIRA)).began > began
    await on.drop_canary(MIRA)
    assert 0.0 == (await on.serving(MIRA)).began


@pytest.mark.parametrize("won", [True, False])
async def test_a_trial_is_decided_and_history_says_why(won: bool, on: Desk) -> None:
    """The winner is live, and a rollback finds the loser; one that lost is only remembered."""
    await on.nights("m/1")
    await on.canary(MIRA, "m/2", 0.5)
    live = await on.settle(MIRA, "m/2", won, "trial: reactions say so")
    serving = await on.serving(MIRA)

    assert ("m/2" if won else "m/1") == live == serving.live
    assert ("", 0.0, 0.0) == (serving.canary, serving.share, serving.began)
    assert (("m/1",) if won else ()) == serving.before
    assert [("m/2", "trial: reactions say so"), ("m/1", "night")] == await on.past()


async def test_a_trial_that_is_over_is_not_decided_again(on: Desk) -> None:
    """Somebody may have put another version on trial while the votes were counted."""
    await on.nights("m/1")
    await on.canary(MIRA, "m/3", 0.5)

    for version in ("m/2", "m/1", ""):
        assert "m/1" == await on.settle(MIRA, version, True, "trial: late")
    assert "m/3" == (await on.serving(MIRA)).canary


async def test_no_night_changes_what_is_pinned(on: Desk) -> None:
    """Neither at once nor by a trial; it says what to do."""
    await on.nights("m/1")
    await on.canary(MIRA, "m/2", 0.5)
    await on.pin(MIRA, "m/1")

    for act in (on.promote(MIRA, "m/3", "night"), on.canary(MIRA, "m/3", 0.5, "night")):
        with pytest.raises(LoraError, match="is pinned to m/1") as told:
            await act
        assert "pin --off" in told.value.hint
    serving = await on.serving(MIRA)
    assert ("m/1", "", True) == (serving.live, serving.canary, serving.pinned)


async def test_people_change_what_is_pinned_and_the_pin_stays(on: Desk) -> None:
    """To pin another one makes it live; a promotion and a rollback by hand keep the pin until it is taken off."""
    await on.nights("m/1")
    await on.pin(MIRA, "m/2")
    await on.promote(MIRA, "m/3", "command")
    await on.rollback(MIRA)

    assert ("m/2", True) == ((serving := await on.serving(MIRA)).live, serving.pinned)
    await on.unpin(MIRA)
    await on.nights("m/4")
    assert ("m/4", False) == ((serving := await on.serving(MIRA)).live, serving.pinned)


async def test_a_pin_ends_with_what_it_held(on: Desk) -> None:
    """Else no night could ever help."""
    await on.pin(MIRA, "m/1")
    await on.pin(MIRA, "m/2")
    await on.withdraw(MIRA, "m/1")
    assert (await on.serving(MIRA)).pinned

    await on.withdraw(MIRA, "m/2")
    assert ("base", False) == ((serving := await on.serving(MIRA)).live, serving.pinned)


CARD = common(MIRA)
NOBODYS = {
    "nothing yet": [],
    "on trial": [("canary", "own/1", 0.5)],
    "trial lost": [("canary", "own/1", 0.5), ("settle", "own/1", False, "trial: worse: 1 of 9 liked")],
    "trial over": [("canary", "own/1", 0.5), ("settle", "own/1", False, "trial: over: no answer")],
    "the base lost its trial": [("canary", "base", 0.5), ("settle", "base", False, "trial: worse: 1 of 9 liked")],
    "rolled back": [("promote", "own/1", "night"), ("rollback",)],
    "rolled back, and again on trial": [("promote", "own/1", "night"), ("rollback",), ("canary", "own/2", 0.5)],
    "removed": [("promote", "own/1", "night"), ("withdraw", "own/1")],
}
CHOSEN = {
    "pinned": [("pin", "base")],
    "by command": [("promote", "own/1", "night"), ("promote", "base", "command")],
    "by command, and rolled back to": [
        ("promote", "own/1", "night"), ("promote", "base", "command"), ("promote", "own/2", "night"), ("rollback",),
    ],
    "by its trial": [("promote", "own/1", "night"), ("canary", "base", 0.5), ("settle", "base", True, "trial: better")],
}  # fmt: skip


@pytest.mark.parametrize("acts", NOBODYS.values(), ids=NOBODYS.keys())
async def test_what_has_nothing_of_its_own_speaks_with_the_cards(acts: list[Any], on: Desk) -> None:
    """Neither a trial, nor a lost one, nor the rollback of the only own version ends that; a trial comes on top."""
    await on.promote(CARD, "card/1", "night")
    await on.canary(CARD, "card/2", 0.5)
    for name, *args in acts:
        await getattr(on, name)(MIRA, *args)
    own, really = await on.serving(MIRA), await on.spoken(MIRA, pool=True)

    assert own.untaught
    assert own == await on.spoken(MIRA, pool=False)
    assert ("card/1",) == preferred(really, 0.9)
    assert (own.canary or "card/2", "card/1") == preferred(really, 0.1)  # one trial at a time


@pytest.mark.parametrize("acts", CHOSEN.values(), ids=CHOSEN.keys())
async def test_a_base_that_somebody_chose_stays(acts: list[Any], on: Desk) -> None:
    """However much the card has learned."""
    await on.promote(CARD, "card/1", "night")
    for name, *args in acts:
        await getattr(on, name)(MIRA, *args)

    assert ("base", False) == ((own := await on.serving(MIRA)).live, own.untaught)
    assert own == await on.spoken(MIRA, pool=True)


class Kept:
    """Versions with people in them."""

    OWN, NEXT, OTHER, CARD = (
        f"{family(key)}/20261121-{number}"
        for key, number in ((MIRA, 1), (MIRA, 2), (ELSEWHERE, 1), (PersonaKey("discord:b1", "mira", "*"), 1))
    )


async def keep(on: Desk, version: str, persona: PersonaKey, *people: str, parent: str = "") -> None:
    await on.made(version, Made(str(persona), "hash", parent), people)


async def test_what_has_somebodys_rows_serves_no_more_at_once(on: Desk) -> None:
    """In no role; the latest clean version does, else the base; others' do not change."""
    clean = "mira/clean"
    await keep(on, Kept.OWN, MIRA, "ann", "bob")
    await keep(on, Kept.NEXT, MIRA, "ann")
    await keep(on, Kept.OTHER, ELSEWHERE, "bob")
    await on.nights(clean, Kept.OWN, Kept.NEXT)
    await on.promote(ELSEWHERE, Kept.OTHER, "night")
    await on.canary(ELSEWHERE, Kept.NEXT, 0.5)

    assert sorted([Kept.OWN, Kept.NEXT]) == [*(stopped := await on.taint("ann")).versions]
    assert {MIRA, ELSEWHERE} == stopped.personas
    serving, other = await on.serving(MIRA), await on.serving(ELSEWHERE)
    assert (clean, ()) == (serving.live, serving.before)
    assert ("forgotten", clean) == (serving.history[0].why, serving.history[0].version)
    assert (Kept.OTHER, "") == (other.live, other.canary)
    assert (clean, Kept.OTHER) == await on.clean([Kept.OWN, clean, Kept.NEXT, Kept.OTHER])


async def test_nobody_brings_back_what_was_forgotten(on: Desk) -> None:
    """Not a night that had begun before, not a command."""
    await keep(on, Kept.OWN, MIRA, "ann")
    await on.taint("ann")

    for act in (
        on.promote(MIRA, Kept.OWN, "night"),
        on.promote(MIRA, Kept.OWN, "command"),
        on.canary(MIRA, Kept.OWN, 0.5),
        on.pin(MIRA, Kept.OWN),
    ):
        with pytest.raises(LoraError, match="asked to be forgotten"):
            await act
    assert {} == await on.everyone()


async def test_forgotten_by_one_persona_the_others_keep_theirs(on: Desk) -> None:
    """Its own go, and the card's, which may have learned from it, and whatever began with that one."""
    await keep(on, Kept.OWN, MIRA, "ann")
    await keep(on, Kept.CARD, PersonaKey("discord:b1", "mira", "*"), "ann")
    await keep(on, Kept.OTHER, ELSEWHERE, "ann")

    assert sorted([Kept.OWN, Kept.CARD]) == await on.of_person("ann", MIRA)
    await keep(on, Kept.OTHER, ELSEWHERE, "ann", parent=Kept.CARD)
    assert sorted([Kept.OWN, Kept.CARD, Kept.OTHER]) == [*(await on.taint("ann", MIRA)).versions]


async def test_what_is_tainted_waits_to_be_rebuilt_until_its_files_are_gone(on: Desk) -> None:
    """The longest waiting first; to forget again does not put it back."""
    await keep(on, Kept.OWN, MIRA, "ann")
    await on.taint("ann")
    since = (await on.rebuild_due())[0].since
    await keep(on, Kept.OTHER, ELSEWHERE, "ann")
    await on.taint("ann")

    due = await on.rebuild_due()
    assert Due(Kept.OWN, since, MIRA) == due[0]
    assert [(Kept.OTHER, ELSEWHERE)] == [(one.version, one.persona) for one in due[1:]]
    await on.removed(Kept.OWN, ["ann"])
    assert [Kept.OTHER] == [one.version for one in await on.rebuild_due()]
    assert ([Kept.OTHER], None) == (await on.of_person("ann"), await on.origin(Kept.OWN))


async def test_an_old_serving_is_still_read(on: Desk) -> None:
    """What a version of limen before pins and trials wrote."""
    old = {"live": "m/1", "canary": "m/2", "share": 0.5, "before": [], "history": []}
    await on.client.do("SET", keys.LORA(str(MIRA)), msgspec.msgpack.encode(old))

    assert ("m/2", 0.0, False) == ((serving := await on.serving(MIRA)).canary, serving.began, serving.pinned)
    assert "m/2" == await on.settle(MIRA, "m/2", True, "trial: over")
