"""Slack's Web API as we need it: patient where it must be, and its ways of saying no told apart. Knows no reply."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient
from yarl import URL

from adapters.slack.pace import Pace
from adapters.slack.view import Us
from core.errors import ConfigError, LimenError

log = logging.getLogger("limen.slack")

BASE_URL = "https://slack.com/api/"
TIMEOUT = aiohttp.ClientTimeout(total=30)
_SLOW = 30.0  # seconds between tries at the most, unless Slack asks for more
_BUSY = ("ratelimited", "rate_limited")
_TOKEN = {
    "account_inactive": "The app was removed from the workspace, or its bot user switched off: install it again.",
    "invalid_auth": "Look at OAuth & Permissions of your app: the token there may have been renewed.",
    "not_allowed_token_type": "The bot token begins with xoxb-, the app-level token with xapp-: are they exchanged?",
    "not_authed": "No token was given.",
    "org_login_required": "The workspace has moved into an organisation: install the app again.",
    "team_access_not_granted": "The organisation has not granted the app this workspace.",
    "token_expired": "Install the app again for a new one.",
    "token_revoked": "Somebody revoked it: install the app again.",
}
_PASSING = {
    "accesslimited",
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}

Call = Callable[..., Awaitable[AsyncSlackResponse]]
Pause = Callable[[float], Awaitable[None]]


class Busy(LimenError):
    """Slack wants us to wait for so many seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"Slack is busy for {wait:g} s")
        self.wait = wait


class Unsure(LimenError):
    """No answer: it may have been done, or not."""


class Refused(LimenError):
    """Slack will not do it, however often it is asked. `error` is its word for why."""

    def __init__(self, error: str, needed: str = "") -> None:
        hint = f"Add the scope {needed} under OAuth & Permissions and install the app again." if needed else ""
        super().__init__(f"Slack refuses: {error}", hint)
        self.error = error


class Web:
    """One bot token's view of the Web API. The session is made with the first call, and ended by `close`.

    `pause` is how a patient call waits between its tries.
    """

    def __init__(self, token: str, base_url: str = "", every: float = 1.2, pause: Pause = asyncio.sleep) -> None:
        self.client = AsyncWebClient(token=token, base_url=base_url or BASE_URL, retry_handlers=[])
        self.pace = Pace(every)
        self._pause = pause

    async def call(
        self, method: Call, patient: bool = True, repeatable: bool = True, **arguments: Any
    ) -> dict[str, Any]:
        """What Slack answers. Patient: it waits for as long as it takes. What is not `repeatable` is tried once.

        Raises Refused; Busy if it is not patient, Unsure if it is neither or not repeatable; ConfigError where the
        token is no good.
        """
        self.session()
        wait = 0.5
        while True:
            try:
                answer = await _asked(method, arguments)
                return answer.data if isinstance(answer.data, dict) else {}
            except Busy as busy:
                self.pace.refused(time.monotonic(), busy.wait)
                if not patient:
                    raise
                await self._pause(busy.wait)
            except Unsure:
                if not (patient and repeatable):
                    raise
                await self._pause(wait)
                wait = min(2 * wait, _SLOW)

    async def who(self) -> Us:
        """Whose token it is."""
        told = await self.call(self.client.auth_test)
        return Us(told["team_id"], told["user_id"], told.get("bot_id") or "", told.get("user") or "")

    async def granted(self) -> set[str]:
        """The scopes that the token has. Raises ConfigError or Unsure."""
        self.session()
        headers = (await _asked(self.client.auth_test, {})).headers
        given = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), "")
        return {scope.strip() for scope in given.split(",")}

    async def respond(self, url: str, body: dict[str, Any]) -> bool:
        """Answer to the one who gave a slash command or pressed a button. False if the address is not good any more."""
        hook = AsyncWebhookClient(url, session=self.session(), retry_handlers=[])
        kept = ("text", "blocks", "replace_original", "delete_original")
        try:
            told = await hook.send(
                **{key: body[key] for key in kept if body.get(key) is not None}, response_type="ephemeral"
            )
        except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("the answer to a command goes another way: %s", type(error).__name__)
            return False
        return told.status_code == 200

    @property
    def origin(self) -> URL:
        """The host of the calls."""
        return URL(self.client.base_url).origin()

    def session(self) -> aiohttp.ClientSession:
        """The connections that all calls share."""
        if self.client.session is None or self.client.session.closed:
            self.client.session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self.client.session

    async def close(self) -> None:
        """Let go of the connections."""
        if self.client.session:
            await self.client.session.close()


async def _asked(method: Call, arguments: dict[str, Any]) -> AsyncSlackResponse:
    """Ask once, and say what a no means."""
    try:
        return await method(**arguments)
    except SlackApiError as error:
        raise _meaning(error.response) from error
    except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unsure(f"Slack cannot be reached: {type(error).__name__}") from error


def _meaning(answer: object) -> LimenError:
    """A proxy's page instead of an answer, an answer without a reason and one that promises better times are all the
    same: nobody knows whether it was done."""
    if not isinstance(answer, AsyncSlackResponse) or not isinstance(answer.data, dict):
        return Unsure("Slack did not answer as it should")
    error = str(answer.data.get("error") or "")
    if answer.status_code == 429 or error in _BUSY:
        return Busy(_wait(answer))
    if answer.status_code >= 500 or not error or error in _PASSING:
        return Unsure(f"Slack has trouble: {error or answer.status_code}")
    if error in _TOKEN:
        return ConfigError(f"Slack does not accept the token: {error}", _TOKEN[error])
    return Refused(error, str(answer.data.get("needed") or "") if error == "missing_scope" else "")


def _wait(answer: AsyncSlackResponse) -> float:
    given = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), "1")
    return float(given) if given.isdecimal() else 1.0
