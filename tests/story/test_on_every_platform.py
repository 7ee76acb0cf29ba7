"""What people meet wherever they are: one tale, told on Discord, on Slack and on Telegram, over the real libraries."""

from collections.abc import AsyncIterator

import pytest

pytest.importorskip("discord")
pytest.importorskip("slack_bolt")
pytest.importorskip("telegram")

from core.settings import Discord
from tests.fakes.stage import ANN, BOB, PLATFORMS, Stage, playing, shared, stage


@pytest.fixture(params=PLATFORMS)
async def on(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Each platform in turn."""
    async with stage(request.param) as it:
        yield it


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
