"""Discord's two doors, through discord.py: REST calls, which it paces, and the gateway, which it keeps open.

We read dispatches as they come and send JSON of our own. The library keeps what is slow to keep: the connection and
its resumption, rate limits, and which servers, channels, threads and roles there are.
"""

import asyncio
import json
import logging
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from adapters.discord.library import DiscordWebSocket, HTTPClient, Route, discord, hushed
from core.errors import ConfigError, LimenError
from core.text import shorten

log = logging.getLogger("limen.discord")

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
IDENTIFY_WAIT = 5.0
FAREWELL = 2.0  # seconds that the other side has to say goodbye, too
PATIENCE = 600.0  # seconds that a call is tried again which Discord cannot take just now
TOKEN_HINT = "take a new one at https://discord.com/developers/applications → Bot → Reset Token; set DISCORD_TOKEN"
INTENT_HINT = (
    "switch on Message Content Intent at https://discord.com/developers/applications → Bot → Privileged Gateway Intents"
)

# What the library is to follow; everything else we read ourselves, or not at all.
_FOLLOWED = ("READY", "RESUMED", "USER_UPDATE", "GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE")
_FOLLOWED_GROUPS = ("CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE", "THREAD_", "GUILD_ROLE_")
_UNAVAILABLE = (OSError, aiohttp.ClientError, TimeoutError)


class Refused(LimenError):
    """Discord did not do it. `status` is HTTP's, `code` Discord's own."""

    def __init__(self, error: discord.HTTPException) -> None:
        super().__init__(f"Discord refused it: {shorten(error.text, 200) or error.status}")
        self.status, self.code = error.status, error.code

    @property
    def will_pass(self) -> bool:
        """Too much at once, or something is wrong over there: the same call may do later."""
        return self.status == 429 or self.status >= 500


class Unreachable(LimenError):
    """Discord did not answer."""


class Dispatch(msgspec.Struct, frozen=True):
    """What the gateway says: `t` names the kind, `s` counts within a session, `d` is the payload."""

    op: int
    t: str | None = None
    s: int | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


class Upload(NamedTuple):
    """A file to be sent along."""

    name: str
    content: bytes
    media_type: str


Heard = Callable[[Dispatch], None]
_frame = msgspec.json.Decoder(Dispatch)


class _Http(HTTPClient):
    """The library's REST client, at an address of ours. It outlives the gateway: replies may still be on their way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, api_base: str, gateway_url: str) -> None:
        super().__init__(loop)
        self._base = api_base.rstrip("/")
        if self._base.endswith("/api"):
            self._base += "/v10"
        self._gateway = gateway_url
        self.told_gateway = ""  # the one that Discord named, for where no other is set
        self._me: Any = None

    async def static_login(self, token: str) -> Any:
        """Once: each time opens a session anew."""
        self._me = self._me or await super().static_login(token)
        return self._me

    async def request(self, route: Route, **options: Any) -> Any:
        if self._base:
            route.url = self._base + route.url.removeprefix(Route.BASE)
        return await super().request(route, **options)

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        asked = URL(url)
        is_default = asked.host == DiscordWebSocket.DEFAULT_GATEWAY.host
        if other := self._gateway or (self.told_gateway if is_default else ""):
            url = str(URL(other).with_query(asked.query))
        return await super().ws_connect(url, compress=compress)

    async def close(self) -> None:
        """The gateway's client has been closed: nothing yet. See `end`."""

    async def end(self) -> None:
        """Nothing more is sent."""
        await super().close()


class _Ears(discord.Client):
    """The gateway, told as it comes. What the library cannot read must not end it."""

    def __init__(self, http: _Http, heard: Heard, **options: Any) -> None:
        self._ours, self._heard = http, heard
        self._lines: weakref.WeakSet[DiscordWebSocket] = weakref.WeakSet()
        super().__init__(
            intents=discord.Intents(
                guilds=True, guild_messages=True, dm_messages=True, message_content=True, guild_reactions=True,
                dm_reactions=True,
            ),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            enable_debug_events=True,  # this is how it hands on what it receives
            **options,
        )  # fmt: skip

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Discord lets one session begin in five seconds."""
        if not initial:
            await asyncio.sleep(IDENTIFY_WAIT)

    def _get_state(self, **options: Any) -> Any:
        self.http = self._ours
        state: Any = super()._get_state(**options)
        state._update_references = self._lines.add  # told of each connection; the library needs that for voice alone
        state.parsers = {
            kind: _guarded(kind, parse)
            for kind, parse in state.parsers.items()
            if kind in _FOLLOWED or kind.startswith(_FOLLOWED_GROUPS)
        }
        return state

    async def hang_up(self) -> None:
        """End every connection, also those of which the library has lost sight: it lets go of one that breaks on
        nonsense, or is not all made when we leave, and a thread of its own would beat the heart of that for ever."""
        for line in list(self._lines):
            with suppress(TimeoutError):
                await asyncio.wait_for(line.close(1000), FAREWELL)

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        if event != "socket_raw_receive":
            if event != "socket_event_type":  # of every dispatch, for nobody
                super().dispatch(event, *args, **kwargs)
            return
        try:
            self._heard(_frame.decode(args[0]))
        except Exception:  # the library reads on behind this call: what is raised here would end the connection
            log.warning("Discord sent something that cannot be read", exc_info=True)


class _ManyEars(_Ears, discord.AutoShardedClient):
    """The same for a bot in so many servers that Discord wants several connections."""


def _guarded(kind: str, parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parsed(data: Any) -> Any:
        try:
            return parse(data)
        except Exception:
            if kind == "READY":  # without it there is no connection
                raise
            log.warning("Discord sent a %s that cannot be read", kind, exc_info=True)
            return None

    return parsed


class Api:
    """One bot account's connection. It logs in with the first call; `heard` is told every dispatch.

    `shards`: (the first, the one behind the last, how many in all), where several processes share the servers.
    """

    def __init__(
        self,
        token: str,
        heard: Heard,
        api_base: str = "",
        gateway_url: str = "",
        shards: tuple[int, int, int] | None = None,
    ) -> None:
        self._token, self._heard, self._shards = token, heard, shards
        self._api_base, self._gateway_url = api_base, gateway_url
        self._http: _Http | None = None
        self._client: _Ears | None = None
        self._opening = asyncio.Lock()

    @property
    def origin(self) -> URL:
        """The host of the REST calls."""
        return URL(self._api_base or Route.BASE).origin()

    @property
    def client(self) -> _Ears:
        """What the library knows of servers and channels. Only once it is open."""
        assert self._client is not None
        return self._client

    async def open(self) -> discord.ClientUser:
        """Log in, once, and say who we are. Waits for a Discord that is away; ConfigError if the token is none."""
        async with self._opening:
            if self._client is None:
                await patiently(self._login)
        user = self.client.user
        assert user is not None
        return user

    async def _login(self) -> None:
        http = _Http(asyncio.get_running_loop(), self._api_base, self._gateway_url)
        try:
            client = await self._logged_in(http)
        except BaseException:
            await http.end()
            raise
        self._http, self._client = http, client

    async def _logged_in(self, http: _Http) -> _Ears:
        try:
            client = await self._ears(http)
            await client.login(self._token)
        except discord.LoginFailure as error:
            raise ConfigError("Discord does not accept the token", TOKEN_HINT) from error
        except discord.HTTPException as error:
            raise Refused(error) from error
        except _UNAVAILABLE as error:
            raise Unreachable(f"Discord does not answer: {error!r}") from error
        return client

    async def _ears(self, http: _Http) -> _Ears:
        """As many connections as Discord advises. One alone is the plain client: it also resumes after a failed try."""
        await http.static_login(self._token)
        advised = await self._advised(http)
        if self._shards:
            first, end, count = self._shards
            return _ManyEars(http, self._heard, shard_ids=list(range(first, end)), shard_count=count)
        return _Ears(http, self._heard) if advised == 1 else _ManyEars(http, self._heard, shard_count=advised)

    async def _advised(self, http: _Http) -> int:
        """How many connections, and where."""
        try:
            told: dict[str, Any] = await http.request(Route("GET", "/gateway/bot"))
        except discord.NotFound:  # a stand-in may not have it
            return 1
        http.told_gateway = told["url"]
        return int(told.get("shards", 1))

    async def listen(self) -> None:
        """Hold the gateway open until `leave`. Raises ConfigError for what only its operator can put right."""
        await self.open()
        client = self.client
        try:
            while await self._connect(client):
                await client.hang_up()
                await asyncio.sleep(FIRST_WAIT)
        finally:
            await client.hang_up()

    async def _connect(self, client: _Ears) -> bool:
        """Until the gateway is closed for good. True if it broke on nonsense, and may be opened again."""
        try:
            await client.connect()
        except (KeyError, TypeError, ValueError, AttributeError):
            log.warning("Discord sent what the library cannot read: connecting anew", exc_info=True)
            if client.is_closed():
                client.clear()
            return True
        except discord.PrivilegedIntentsRequired as error:
            raise ConfigError("Discord does not let us read what people write", INTENT_HINT) from error
        except discord.ConnectionClosed as error:
            if error.code == 4004:
                raise ConfigError("Discord no longer accepts the token", TOKEN_HINT) from error
            raise Unreachable(f"Discord closed the connection: {error}") from error
        return False

    async def leave(self) -> None:
        """Close the gateway. Calls still work. The library would wait half a minute for the other side's goodbye."""
        if self._client is not None and not self._client.is_closed():
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._client.close()

    async def close(self) -> None:
        """Nothing more is heard or sent."""
        await self.leave()
        if self._http is not None:
            await self._http.end()
        self._client = self._http = None

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        upload: Upload | None = None,
        query: dict[str, Any] | None = None,
        /,
        **ids: str,
    ) -> Any:
        """One REST call, in Discord's pace. Raises Refused or Unreachable."""
        await self.open()
        assert self._http is not None
        route = Route(method, path, **ids)
        try:
            if upload is not None:
                return await self._http.request(route, form=_form(body, upload))
            options = {"json": body, "params": query}
            return await self._http.request(route, **{k: given for k, given in options.items() if given is not None})
        except discord.HTTPException as error:
            raise Refused(error) from error
        except _UNAVAILABLE as error:
            raise Unreachable(hushed(f"Discord does not answer: {error!r}")) from error


def _form(body: Any, upload: Upload) -> list[dict[str, Any]]:
    content = {"name": "files[0]", "value": upload.content, "filename": upload.name, "content_type": upload.media_type}
    return [{"name": "payload_json", "value": json.dumps(body)}, content]


async def patiently(call: Callable[[], Awaitable[Any]]) -> Any:
    """The result of `call`, tried again while Discord is away, and for ten minutes while it cannot take it."""
    wait, began = FIRST_WAIT, asyncio.get_running_loop().time()
    while True:
        try:
            return await call()
        except (Refused, Unreachable) as error:
            late = asyncio.get_running_loop().time() - began > PATIENCE
            if isinstance(error, Refused) and (not error.will_pass or late):
                raise
            log.warning("%s; trying again in %.1f s", error, wait)
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
