"""How Slack says no, and what we make of it: against a workspace that says it."""

import time
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("slack_bolt")

from adapters.slack.acquaintances import Acquaintances
from adapters.slack.pace import MOST, Pace
from adapters.slack.recent import Recent
from adapters.slack.view import Us
from adapters.slack.web import Busy, Refused, Unsure, Web
from core.errors import ConfigError
from core.events import Command, Person, Place
from tests.fakes.slack import BOT_ID, BOT_TOKEN, BOT_USER, TEAM, Fake, slack


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A workspace."""
    async with slack() as it:
        yield it


@pytest.fixture
async def web(fake: Fake) -> AsyncIterator[Web]:
    """Its API, as the bot sees it."""
    it = Web(BOT_TOKEN, f"{fake.url}/api")
    yield it
    await it.close()


async def meet(known: Acquaintances, body: dict) -> None:
    """Ask for whatever a payload takes for granted."""
    if asks := known.lacks(body):
        await asks()


async def ask(web: Web, patient: bool = True, repeatable: bool = True) -> dict:
    """About Ann."""
    return await web.call(web.client.users_info, patient, repeatable, user="UANN")


async def test_whose_token_it_is(web: Web) -> None:
    """And what account that makes."""
    us = await web.who()

    assert Us(TEAM, BOT_USER, BOT_ID, "mira") == us
    assert "slack:T1:UBOT" == us.account


async def test_a_no_that_stays_is_told_with_its_reason(web: Web, fake: Fake) -> None:
    """And the scope that is missing, where it is that."""
    fake.fail("users.info", "user_not_visible")
    with pytest.raises(Refused, match="user_not_visible") as said:
        await ask(web)
    assert ("user_not_visible", "") == (said.value.error, said.value.hint)
    fake.scopes_missing.add("users.info")
    with pytest.raises(Refused) as said:
        await ask(web)
    assert "users.info:read" in said.value.hint


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive", "not_authed"])
async def test_a_token_that_is_no_good_is_a_matter_of_settings(web: Web, fake: Fake, error: str) -> None:
    """Whoever runs the bot can put it right."""
    fake.fail("users.info", error)
    with pytest.raises(ConfigError, match=error) as said:
        await ask(web)
    assert said.value.hint


async def test_whoever_is_patient_waits_out_a_429(web: Web, fake: Fake) -> None:
    """Ten of them; and edits become rarer by it."""
    fake.limit("users.info", 10)

    assert "Ann" == (await ask(web))["user"]["profile"]["display_name"]
    assert 11 == len(fake.asked)
    assert web.pace.every == MOST


async def test_whoever_is_not_hears_how_long_it_would_be(web: Web, fake: Fake) -> None:
    """And nothing is asked again meanwhile."""
    fake.limit("users.info", 1, after=30)
    with pytest.raises(Busy) as said:
        await ask(web, patient=False)
    assert 30 == said.value.wait
    assert web.pace.barred(time.monotonic() + 29)
    assert not web.pace.barred(time.monotonic() + 31)


@pytest.mark.parametrize("error", ["internal_error", "html"])
async def test_trouble_is_asked_again_unless_it_must_not_be(web: Web, fake: Fake, error: str) -> None:
    """Nobody knows whether it was done."""
    fake.fail("users.info", error)
    assert (await ask(web))["ok"]
    fake.fail("users.info", error)
    with pytest.raises(Unsure):
        await ask(web, repeatable=False)
    fake.lose("users.info", 2)  # the library reads once more by itself
    with pytest.raises(Unsure):
        await ask(web, patient=False)


async def test_nobody_there_is_trouble_too(web: Web) -> None:
    """The network is away."""
    away = Web(BOT_TOKEN, "http://127.0.0.1:9/api/")
    with pytest.raises(Unsure, match="cannot be reached"):
        await ask(away, patient=False)
    await away.close()


def test_edits_keep_a_pace_that_slack_bears() -> None:
    """Each refusal doubles the time between them; success brings it back, slowly."""
    pace = Pace(1.0)
    assert [True, False, True] == [pace.free(now) for now in (10.0, 10.9, 11.0)]
    pace.refused(12.0, 5)
    assert ([True, False], 2.0) == ([pace.barred(now) for now in (16.9, 17.0)], pace.every)
    assert [False, True, False, True] == [pace.free(now) for now in (16.9, 17.0, 18.0, 19.0)]
    assert 1.7 < pace.every < 2.0
    for _ in range(9):
        pace.refused(20.0, 0)
    assert MOST == pace.every
    assert [True] * 99 == [pace.free(20.0 + 16 * number) for number in range(1, 100)]
    assert 1.0 == pace.every


async def test_people_are_asked_about_once(web: Web, fake: Fake) -> None:
    """And again when they change; whom Slack will not name keeps an id."""
    known = Acquaintances(await web.who(), web)
    body = {"event": {"type": "message", "user": "UANN", "text": "<@UBOB> <@UNOBODY>", "channel": "C1"}}
    await meet(known, body)
    await meet(known, body)

    assert [Person("slack:T1:UANN", "Ann"), Person("slack:T1:UBOB", "Bob")] == list(known.people.values())
    assert ["UANN", "UBOB", "UNOBODY", "UNOBODY"] == [asked["user"] for asked in fake.calls("users.info")]
    fake.person("UANN", "Anna")
    await meet(known, {"event": {"type": "user_change", "user": fake.users["UANN"]}})
    await meet(known, body)
    assert "Anna" == known.people["UANN"].name


async def test_a_thread_is_asked_about_once(web: Web, fake: Fake) -> None:
    """Do we take part in it? Not while Slack is busy, and never in a DM."""
    known = Acquaintances(await web.who(), web)
    ours, theirs = fake.say("C1", "UANN", f"<@{BOT_USER}> hi"), fake.say("C1", "UANN", "hi")
    for root in (ours, theirs):
        body = {"event": {"type": "message", "channel": "C1", "thread_ts": root, "ts": "9.9", "text": "and?"}}
        fake.limit("conversations.replies", 1)
        for _ in range(3):
            await meet(known, body)
        assert known.view.takes_part("C1", root) == (root == ours)
    await meet(known, {"event": {"type": "message", "channel": "DANN", "thread_ts": "1.0", "ts": "9.9"}})
    assert 4 == len(fake.calls("conversations.replies"))


def test_what_was_not_needed_for_longest_is_forgotten() -> None:
    """And what is known is no news."""
    recent: Recent[str, int] = Recent(2)
    assert [True, True, False] == [recent.keep(key, 1) for key in "aba"]
    assert recent.keep("c", 1)
    assert ["a", "c"] == list(recent)
    recent.forget("c")
    recent.forget("x")
    assert ["a"] == list(recent)


async def test_who_manages_another_workspace_manages_nothing_here(web: Web, fake: Fake) -> None:
    """Who writes in a shared channel may be an admin where they come from; within an organisation, both may be one."""
    known, place = Acquaintances(Us(TEAM, BOT_USER, BOT_ID, "mira"), web), Place("slack", TEAM, "C1")
    theirs: dict[str, dict] = {"UOURS": {}, "UTHEIRS": {"team_id": "T9"}, "UORG": {"team_id": "T9"}}
    theirs["UORG"]["enterprise_user"] = {"teams": ["T9", TEAM]}
    for user, fields in theirs.items():
        fake.person(user, user.lower())
        fake.users[user] |= {"is_admin": True, **fields}
    asked = [Command(id="c", account="a", place=place, author=Person(f"slack:{TEAM}:{user}"), time=1.0, name="reset")
             for user in theirs]  # fmt: skip

    assert [True, False, True] == [(await known.ranked(command)).operator for command in asked]
