"""What people meet wherever they are: one tale, told on Discord, on Slack and on Telegram, over the real libraries."""

import time
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("discord")
pytest.importorskip("slack_bolt")
pytest.importorskip("telegram")

from core.privacy import WORDING
from core.settings import Consent, Discord
from core.store import keys
from core.store.consents import Purpose
from tests.fakes.jobs import until
from tests.fakes.stage import ANN, BOB, PLATFORMS, Stage, playing, shared, stage

ASKS = shared(consent=Consent())


@pytest.fixture(params=PLATFORMS)
async def on(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Each platform in turn."""
    async with stage(request.param) as it:
        yield it


# Buttons.


async def test_what_cannot_be_undone_is_asked_with_buttons(on: Stage, redis_url: str) -> None:
    """Keep it, and nothing happens; erase it, and it is done. Either way the buttons go."""
    async with playing(on, redis_url) as it:
        on.say("remember me", dm=True)
        await on.wait(lambda: any("remember me" in text for text in on.room(dm=True)))
        on.command("forget", dm=True)
        await on.wait(lambda: {"Erase it", "Keep it"} <= set(on.labels(dm=True)))
        on.press("Keep it", dm=True)
        await on.wait(lambda: not {"Erase it", "Keep it"} & set(on.labels(dm=True)))
        assert await it.p.client.scan(f"*{on.people[ANN]}*")

        on.command("forget everything", dm=True)
        await on.wait(lambda: "Erase it" in on.labels(dm=True))
        on.press("Erase it", dm=True)
        await on.wait(lambda: any("Forgotten: " in text for text in [*on.room(dm=True), *on.alone(ANN)]))
        await on.wait(lambda: "Erase it" not in on.labels(dm=True))
        assert not await it.p.client.scan(f"*{on.people[ANN]}:talks*")


async def test_whom_to_talk_to_can_be_chosen_by_a_button(on: Stage, redis_url: str) -> None:
    """Who says /switch alone is shown whom there is."""
    async with playing(on, redis_url) as it:
        on.command("switch", dm=True)
        await on.wait(lambda: len(on.labels(dm=True)) == 8)
        on.press("Orrin Vale" if "Orrin Vale" in on.labels(dm=True) else on.labels(dm=True)[-1], dm=True)
        await on.wait(lambda: any("You are talking to" in text for text in [*on.room(dm=True), *on.alone(ANN)]))
        assert 1 == len(await it.p.client.scan("limen:cast:*"))


async def test_another_reply_can_be_asked_for_below_it(on: Stage, redis_url: str) -> None:
    """By anybody, where the setting is on; below one that is not the last any more it is declined."""
    async with playing(on, redis_url, shared(buttons="regenerate")):
        on.say("hello")
        await on.wait(lambda: ["↻ Another"] == on.labels(BOB))
        on.press("↻ Another", BOB)
        await on.wait(lambda: 2 == sum("hello" in text for text in on.room()))
        await on.wait(lambda: "↻ Another" in on.labels(BOB))


async def test_quiet_by_default(on: Stage, redis_url: str) -> None:
    """No button below a reply that nobody asked for."""
    async with playing(on, redis_url):
        on.say("hello")
        await on.wait(lambda: any("hello" in text for text in on.room()))
    assert [] == on.labels(BOB)


# Consent.


async def test_a_newcomer_is_asked_once_in_private(on: Stage, redis_url: str) -> None:
    """After the first reply, in the persona's voice, with a yes and a no; what was asked is kept with its date."""
    async with playing(on, redis_url, ASKS) as it:
        on.say("hello", dm=True)
        asked = await on.wait(lambda: [text for text in on.room(dm=True) if "matey: may I learn" in text])
        assert WORDING[Purpose.TRAIN] in asked[0]
        assert "hello" in on.room(dm=True)[0]
        assert "" == await it.p.privacy.basis(on.people[ANN])
        on.press("Yes, learn from me", dm=True)
        await on.wait(lambda: not on.labels(dm=True))
        await until(lambda: it.p.privacy.basis(on.people[ANN]))
        kept = (await it.p.privacy.export(on.people[ANN]))["consent"]
        on.say("and again", dm=True)
        await on.wait(lambda: any("and again" in text for text in on.room(dm=True)))
        assert sum("may I learn" in text for text in on.room(dm=True)) <= 1

    assert ("asked", WORDING[Purpose.TRAIN]) == (kept["basis"], kept["wording"])
    assert abs(time.time() - int(kept["asked"])) < 60
    assert "matey: may I learn" in kept["asked_wording"]


async def test_a_no_is_a_no_and_a_silence_too(on: Stage, redis_url: str) -> None:
    """Nobody is asked again, by no process."""
    async with playing(on, redis_url, ASKS) as it:
        for who in (ANN, BOB):
            on.say("hello", who)
            await until(lambda who=who: it.p.client.do("HGET", keys.CONSENT(on.people[who]), "asked"))
        on.command("privacy train no", ANN)
        await until(lambda: it.p.client.do("HEXISTS", keys.CONSENT(on.people[ANN]), "basis"))
        before = len([text for text in [*on.room(), *on.alone(ANN), *on.alone(BOB)] if "may I learn" in text])
    async with playing(on, redis_url, ASKS) as it:
        for who in (ANN, BOB):
            on.say("me again", who)
        await on.wait(lambda: 2 == sum("me again" in text for text in on.room()))
        assert ["", ""] == [await it.p.privacy.basis(on.people[who]) for who in (ANN, BOB)]
        after = len([text for text in [*on.room(), *on.alone(ANN), *on.alone(BOB)] if "may I learn" in text])
    assert before == after


async def test_in_a_room_the_question_is_for_one(on: Stage, redis_url: str) -> None:
    """Seen by them alone where the platform can do that; else a hint, and the question behind a button."""
    async with playing(on, redis_url, ASKS) as it:
        on.say("hello", ANN)
        if it.adapter.limits.whispers:
            await on.wait(lambda: any("may I learn" in text for text in on.alone(ANN)))
            assert not any("may I learn" in text for text in [*on.room(), *on.alone(BOB)])
        else:
            await on.wait(lambda: any("/privacy tells you all" in text for text in on.room()))
            assert not any("Yes, learn" in label for label in on.labels(ANN))
            on.press("What does that mean?", ANN)
        await on.wait(lambda: "Yes, learn from me" in on.labels(ANN))
        on.press("Yes, learn from me", ANN)
        await until(lambda: it.p.privacy.basis(on.people[ANN]))
        on.command("privacy", ANN)
        await on.wait(lambda: any("You were asked on" in text for text in on.alone(ANN)))
        assert "" == await it.p.privacy.basis(on.people[BOB])


async def test_nobody_is_asked_where_the_setting_says_so(on: Stage, redis_url: str) -> None:
    """In rooms, or at all."""
    async with playing(on, redis_url, shared(consent=Consent(ask="private"))) as it:
        on.say("hello", ANN)
        await on.wait(lambda: any("hello" in text for text in on.room()))
        on.say("hello", BOB, dm=True)
        await until(lambda: it.p.client.do("HGET", keys.CONSENT(on.people[BOB]), "asked"))
        assert None is await it.p.client.do("HGET", keys.CONSENT(on.people[ANN]), "asked")


# Who may change a character that all share.


async def test_only_who_runs_the_place_changes_the_character_of_all(on: Stage, redis_url: str) -> None:
    """By the platform's own roles. Whoever is refused hears why; in private everybody is master of their own."""
    async with playing(on, redis_url):
        on.command("switch orrin", ANN)
        await on.wait(lambda: any("administrator" in text for text in on.alone(ANN)))
        on.promote(BOB)
        on.command("switch orrin", BOB)
        await on.wait(lambda: any("You are talking to Orrin" in text for text in on.alone(BOB)))
        on.command("switch bram", ANN, dm=True)
        await on.wait(lambda: any("You are talking to Bram" in text for text in [*on.room(dm=True), *on.alone(ANN)]))


async def test_the_settings_name_operators_too(on: Stage, redis_url: str) -> None:
    """Whom the platform would refuse."""
    async with playing(on, redis_url, shared(operators=on.people[ANN])):
        on.command("switch orrin", ANN)
        await on.wait(lambda: any("You are talking to Orrin" in text for text in on.alone(ANN)))


async def test_what_a_platform_does_not_tell_counts_as_a_no(on: Stage, redis_url: str) -> None:
    """It is broken, or will not say: nobody gets in by that; and it is asked again."""
    on.promote(BOB)
    match on.fake:
        case _ if "telegram" in on.account:
            from tests.fakes.telegram import No, Trouble

            on.fake.trouble.append(Trouble("getChatMember", No(400, "Bad Request: member list is inaccessible")))
        case _ if "slack" in on.account:
            on.fake.users["UBOB"] |= {"is_admin": "yes"}  # whatever that means
        case _:
            on.fake.rights = {}
    async with playing(on, redis_url):
        on.command("switch orrin", BOB)
        await on.wait(lambda: any("administrator" in text for text in on.alone(BOB)))
        if "telegram" in on.account:
            on.command("switch orrin", BOB)
            await on.wait(lambda: any("You are talking to Orrin" in text for text in on.alone(BOB)))


async def test_a_role_of_the_server_makes_an_operator(redis_url: str) -> None:
    """One that the settings name, on Discord."""
    async with stage("discord") as on, playing(on, redis_url, shared(discord=Discord(operator_roles="5 66"))):
        on.fake.roles[on.people[ANN].partition(":")[2]] = ["66"]
        on.command("switch orrin", ANN)
        await on.wait(lambda: any("You are talking to Orrin" in text for text in on.alone(ANN)))
