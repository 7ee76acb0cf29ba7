"""What is said when something that the app needs in Slack is missing."""

from collections.abc import AsyncIterator

import pytest

pytest.importorskip("slack_bolt")

from adapters.slack.checkup import Finding, examine
from adapters.slack.manifest import SCOPES
from core.errors import ConfigError
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, Fake, slack


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A workspace."""
    async with slack() as it:
        yield it


async def found(fake: Fake, app_token: str = APP_TOKEN) -> list[Finding]:
    """Behind the row that tells whose the token is."""
    first, *others = await examine(BOT_TOKEN, f"{fake.url}/api/", app_token)
    assert ("ok", "the token is that of @mira in the workspace T1", "") == first
    return others


async def test_all_is_well(fake: Fake) -> None:
    """And how events come is said, if we know it."""
    assert [Finding("ok", "events come by Socket Mode")] == await found(fake)
    assert [] == await found(fake, "")


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_missing_scope_is_named(fake: Fake, scope: str) -> None:
    """With the page where it is added. Without the one for a sign that a reply is coming, all else works."""
    fake.scopes.remove(scope)
    (one,) = await found(fake, "")

    assert ("warn" if scope == "assistant:write" else "fail") == one.state
    assert f"the scope {scope} is missing" in one.said
    assert "OAuth & Permissions" in one.step


async def test_bad_tokens_are_named(fake: Fake) -> None:
    """Each of them."""
    (one,) = await found(fake, "xapp-wrong")
    assert ("fail", True) == (one.state, "app-level token" in one.said)
    fake.fail("apps.connections.open", "missing_args")
    (one,) = await found(fake)
    assert ("fail", True) == (one.state, "Socket Mode" in one.said)
    fake.lose("apps.connections.open", 2)  # the library asks once more by itself
    (one,) = await found(fake)
    assert ("fail", True) == (one.state, "cannot be reached" in one.said)
    fake.fail("auth.test", "token_revoked")
    with pytest.raises(ConfigError, match="revoked"):
        await examine(BOT_TOKEN, f"{fake.url}/api/")
