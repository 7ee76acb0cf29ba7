"""A Discord on this machine, over real sockets: REST and gateway, with a server, channels, threads, DMs and a memory.

It is as particular as the real one where that has cost others dearly: its JSON has no charset; a 429 is believed only
with a `Via`; a nonce is taken once; nobody but the bot edits its messages; mentions ring unless they are forbidden.
What happens is dispatched to every session, and kept for the one that resumes.
"""

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from adapters.discord.client import Discord
from core.events import Kind, Place

Body = dict[str, Any]

ME, GUILD, CHANNEL, OTHER, DM = "4200000000000000001", "7", "901", "902", "300"
TOKEN = f"{b64encode(ME.encode()).decode().rstrip('=')}.fake.token"
_USER: dict[str, Any] = {"discriminator": "0", "avatar": None, "public_flags": 0, "flags": 0, "primary_guild": None}
TOM = {"id": "230869302276784128", "username": "tom", "global_name": "Tom", **_USER}
ANN = {"id": "230869302276784129", "username": "ann", "global_name": "Ann", **_USER}
BOT = {"id": ME, "username": "limen", "global_name": None, "bot": True, **_USER}
OTHER_BOT = {**BOT, "id": "4200000000000000002", "username": "rival"}
EPOCH_MS = 1_420_070_400_000
MESSAGE_CONTENT = 1 << 15
_MASS = re.compile(r"@everyone|@here|<@&\d+>")


@dataclass
class Call:
    """A REST call as it came."""

    method: str
    path: str
    body: Body
    status: int = 0


@dataclass
class Trouble:
    """How the next calls of a kind go wrong: `times` of them, those whose path matches."""

    method: str
    path: str
    status: int
    times: int = 1
    code: int = 0
    retry_after: float = 0.01
    after: bool = False  # it is done all the same; only the answer is lost


@dataclass
class Session:
    """One client's place in the stream of dispatches: whoever resumes gets what it has missed."""

    id: str
    shard: int
    shards: int
    log: list[str] = field(default_factory=list)
    out: "asyncio.Queue[str | int | None] | None" = None

    def hears(self, guild: str) -> bool:
        """Servers are dealt out by their id; what is in none goes to the first."""
        return (int(guild) >> 22) % self.shards == self.shard

    def tell(self, kind: str, data: Any) -> None:
        """Dispatch to this session, now or when it is back."""
        self.log.append(json.dumps({"op": 0, "t": kind, "s": len(self.log) + 1, "d": data}))
        if self.out is not None:
            self.out.put_nowait(self.log[-1])


class Fake:
    """The server. `say`, `react` and so on are what people do; `shown` is what they see."""

    def __init__(self) -> None:
        self.channels: dict[str, Body] = {
            CHANNEL: _channel(CHANNEL, "general"),
            OTHER: _channel(OTHER, "garden"),
            DM: {"id": DM, "type": 1, "last_message_id": None, "recipients": [TOM]},
        }
        self.messages: dict[str, dict[str, Body]] = {}
        self.nonces: dict[tuple[str, str], str] = {}
        self.commands: list[Body] = []
        self.responses: dict[str, list[Body]] = {}  # by interaction token: what only one person sees
        self.callbacks: dict[str, Body] = {}
        self._pressed: dict[str, Body] = {}  # what the button that was pressed is below, by token
        self.files: dict[str, bytes] = {}
        self.typing: list[str] = []
        self.rung: list[str] = []  # what has notified everyone, a role, or a person
        self.calls: list[Call] = []
        self.troubles: list[Trouble] = []
        self.sessions: dict[str, Session] = {}
        self.handshakes: list[str] = []  # identify and resume, as they came
        self.allows_content = True
        self.shards = 1
        self.permissions: dict[str, int] = {"The Garden": 1 << 3}  # ours, in each server
        self.rights: dict[str, int] = {}  # what people may do, by user id
        self.roles: dict[str, list[str]] = {}
        self.app: Body = {}  # what else is said of the application
        self.token = TOKEN
        self.url = self.gateway = ""
        self._waiting: list[tuple[str, Any]] = []  # happened before anybody listened
        self._last_id = 0
        self._beats: asyncio.Queue[None] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._port = 0
        self._sockets: set[web.WebSocketResponse] = set()

    async def start(self) -> "Fake":
        """On a free port of the loopback."""
        app = web.Application(client_max_size=32 * 2**20)
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/attachments/{name}", self._file)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
        self.url, self.gateway = f"http://127.0.0.1:{self._port}/api/v10", f"ws://127.0.0.1:{self._port}/gateway"
        return self

    async def away(self) -> None:
        """Nobody is at its address, until it is `back`. What happens meanwhile is kept."""
        assert self._site is not None
        await self._site.stop()
        self.drop()
        await self.wait(lambda: not self._sockets)

    async def back(self) -> None:
        """At the same address."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()

    async def stop(self) -> None:
        """For good."""
        self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Until it holds; an error after so many seconds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)

    # What people do.

    def say(self, text: str, channel: str = CHANNEL, author: Body = TOM, **more: Any) -> str:
        """Somebody says something. The id of it."""
        message = self._kept(channel, author, {"content": text, **more})
        self._dispatch("MESSAGE_CREATE", message)
        return str(message["id"])

    def edit(self, message_id: str, text: str, channel: str = CHANNEL) -> None:
        """Somebody says it differently."""
        self._edited(self.messages[channel][message_id], text)

    def delete(self, *message_ids: str, channel: str = CHANNEL) -> None:
        """Somebody takes messages away: one by one, or several at once."""
        for message_id in message_ids:
            self.messages[channel].pop(message_id)
        where = self._where(channel)
        if len(message_ids) == 1:
            self._dispatch("MESSAGE_DELETE", {"id": message_ids[0], **where})
        else:
            self._dispatch("MESSAGE_DELETE_BULK", {"ids": list(message_ids), **where})

    def react(
        self, message_id: str, emoji: str, channel: str = CHANNEL, by: Body = TOM, *, removed: bool = False
    ) -> None:
        """Somebody puts an emoji on a message, or takes it back. Whose message it is, is left out, as often happens."""
        name, _, emoji_id = emoji.partition(":")
        member = {} if removed or channel == DM else {"member": {"user": by, "nick": None}}
        self._dispatch(
            f"MESSAGE_REACTION_{'REMOVE' if removed else 'ADD'}",
            {"user_id": by["id"], "message_id": message_id, "emoji": {"name": name, "id": emoji_id or None},
             "type": 0, "burst": False, **member, **self._where(channel)},
        )  # fmt: skip

    def thread(self, name: str = "aside", channel: str = CHANNEL, *, tell: bool = True) -> str:
        """Somebody opens a thread. Untold, it is like one archived before we came."""
        thread = {
            "id": self._id(), "type": 11, "guild_id": GUILD, "parent_id": channel, "owner_id": TOM["id"], "name": name,
            "last_message_id": None, "message_count": 0, "member_count": 1, "rate_limit_per_user": 0, "flags": 0,
            "thread_metadata": {"archived": not tell, "auto_archive_duration": 1440, "locked": False,
                                "archive_timestamp": "2026-02-01T03:37:39+00:00"},
        }  # fmt: skip
        self.channels[thread["id"]] = thread
        if tell:
            self._dispatch("THREAD_CREATE", thread)
        return str(thread["id"])

    def command(self, name: str, channel: str = CHANNEL, by: Body = TOM, **options: Any) -> str:
        """Somebody uses a slash command. The token under which it is answered."""
        given = [
            {"name": key, "type": 5 if isinstance(value, bool) else 3, "value": value} for key, value in options.items()
        ]
        return self._interact({"type": 2, "data": {"id": "1", "type": 1, "name": name, "options": given}}, channel, by)

    def press(self, custom_id: str, channel: str = CHANNEL, by: Body = TOM, below: Body | None = None) -> str:
        """Somebody presses a button: below a message, or below what only they see."""
        flags = 64 if below is None or "id" not in below else 0
        message = {"id": self._id(), "content": "?", "flags": flags, **(below or {})}
        data = {"component_type": 2, "custom_id": custom_id}
        token = self._interact({"type": 3, "data": data, "message": message}, channel, by)
        self._pressed[token] = message if below is None else below
        return token

    def type(self, name: str, option: str, typed: str, channel: str = CHANNEL, by: Body = TOM) -> str:
        """Somebody is filling in an option of a slash command."""
        options = [{"name": option, "type": 3, "value": typed, "focused": True}]
        return self._interact(
            {"type": 4, "data": {"id": "1", "type": 1, "name": name, "options": options}}, channel, by
        )

    def _interact(self, what: Body, channel: str, by: Body) -> str:
        interaction_id = self._id()
        token = f"token-{interaction_id}"
        rank = {"permissions": str(self.rights.get(by["id"], 1 << 11)), "roles": self.roles.get(by["id"], [])}
        user = {"user": by} if channel == DM else {"member": {"user": by, "nick": None, **rank}}
        self.responses[token] = []
        self._dispatch(
            "INTERACTION_CREATE",
            {"id": interaction_id, "application_id": ME, "token": token, "version": 1,
             "channel": self.channels[channel], **what, **user, **self._where(channel)},
        )  # fmt: skip
        return token

    def remove_channel(self, channel: str) -> None:
        """A moderator deletes it."""
        gone = self.channels.pop(channel)
        self.messages.pop(channel, None)
        self._dispatch("CHANNEL_DELETE", gone)

    def dispatch(self, kind: str, data: Any) -> None:
        """Anything at all, well-formed or not."""
        self._dispatch(kind, data)

    # What people see, and what the test asks of it.

    def shown(self, channel: str = CHANNEL, author: str = ME) -> list[str]:
        """What stands in a channel, of one author."""
        return [m["content"] for m in self.messages.get(channel, {}).values() if m["author"]["id"] == author]

    def ours(self, channel: str = CHANNEL) -> list[Body]:
        """The bot's messages there."""
        return [m for m in self.messages.get(channel, {}).values() if m["author"]["id"] == ME]

    def made(self, method: str, path: str) -> list[Call]:
        """The calls whose path matches."""
        return [call for call in self.calls if call.method == method and re.search(path, call.path)]

    # How it fails.

    def fail(self, method: str, path: str, status: int, **how: Any) -> None:
        """The next calls of this kind go wrong."""
        self.troubles.append(Trouble(method, path, status, **how))

    def drop(self) -> None:
        """The connection is gone without a word. Sessions are kept."""
        for socket in list(self._sockets):
            if socket._req is not None and socket._req.transport is not None:  # no goodbye: as if a cable was cut
                socket._req.transport.abort()

    def hang_up(self, code: int) -> None:
        """Close every gateway with this code."""
        for session in self.sessions.values():
            if session.out is not None:
                session.out.put_nowait(code)

    def invalidate(self) -> None:
        """Every session is over and cannot be resumed; what happens before the next one is told to nobody."""
        for session in self.sessions.values():
            session.id = "over"
            if session.out is not None:
                session.out.put_nowait(json.dumps({"op": 9, "d": False}))
                session.out = None

    async def read(self) -> None:
        """Until the client has taken all that was dispatched: it answers a heartbeat asked for behind it."""
        await self.wait(lambda: any(session.out for session in self.sessions.values()))
        while not self._beats.empty():
            self._beats.get_nowait()
        for session in self.sessions.values():
            if session.out is not None:
                session.out.put_nowait(json.dumps({"op": 1, "d": None}))
        await asyncio.wait_for(self._beats.get(), 10)

    # The gateway.

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        out: asyncio.Queue[str | int | None] = asyncio.Queue()
        out.put_nowait(json.dumps({"op": 10, "d": {"heartbeat_interval": 41_250}}))
        writer = asyncio.create_task(self._write(socket, out))
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._hear(json.loads(frame.data), out)
        finally:
            for session in self.sessions.values():
                session.out = None if session.out is out else session.out
            writer.cancel()
            self._sockets.discard(socket)
            self._changed.set()
        return socket

    async def _write(self, socket: web.WebSocketResponse, out: "asyncio.Queue[str | int | None]") -> None:
        with suppress(ConnectionError):
            while (frame := await out.get()) is not None:
                if isinstance(frame, int):
                    await socket.close(code=frame)
                    return
                await socket.send_str(frame)

    def _hear(self, frame: Body, out: "asyncio.Queue[str | int | None]") -> None:
        match frame["op"]:
            case 1:
                out.put_nowait(json.dumps({"op": 11}))
                self._beats.put_nowait(None)
            case 2:
                self._identify(frame["d"], out)
            case 6:
                self._resume(frame["d"], out)
        self._changed.set()

    def _identify(self, data: Body, out: "asyncio.Queue[str | int | None]") -> None:
        self.handshakes.append("identify")
        self.sessions = {name: one for name, one in self.sessions.items() if one.id != "over"}
        if data["token"] != self.token:
            out.put_nowait(4004)
            return
        if data["intents"] & MESSAGE_CONTENT and not self.allows_content:
            out.put_nowait(4014)
            return
        shard, shards = data.get("shard", [0, 1])
        session = self.sessions[self._id()] = Session(f"s{self._last_id}", shard, shards, out=out)
        session.tell(
            "READY",
            {"v": 10, "user": BOT, "guilds": [{"id": GUILD, "unavailable": True}], "session_id": session.id,
             "resume_gateway_url": self.gateway, "shard": [shard, shards],
             "application": {"id": ME, "flags": 0}, "private_channels": [], "presences": [], "relationships": []},
        )  # fmt: skip
        if session.hears(GUILD):
            session.tell("GUILD_CREATE", self._guild())
        for kind, what in self._waiting:
            session.tell(kind, what)
        self._waiting.clear()

    def _resume(self, data: Body, out: "asyncio.Queue[str | int | None]") -> None:
        self.handshakes.append("resume")
        session = next((one for one in self.sessions.values() if one.id == data["session_id"]), None)
        if session is None:
            out.put_nowait(json.dumps({"op": 9, "d": False}))
            return
        for frame in session.log[data["seq"] :]:
            out.put_nowait(frame)
        session.out = out
        session.tell("RESUMED", {})

    def _dispatch(self, kind: str, data: Any) -> None:
        if not self.sessions:
            self._waiting.append((kind, data))
        guild = data.get("guild_id") if isinstance(data, dict) else None
        for session in self.sessions.values():
            if session.hears(str(guild or "0")):
                session.tell(kind, data)
        self._changed.set()

    def _guild(self) -> Body:
        threads = [one for one in self.channels.values() if one["type"] == 11]
        mine = {"id": "77", "name": "limen", "tags": {"bot_id": ME}, "managed": True, **_ROLE}
        return {
            "id": GUILD, "name": "The Garden", "owner_id": TOM["id"], "unavailable": False, "member_count": 3,
            "joined_at": "2026-02-01T03:34:22+00:00", "roles": [{"id": GUILD, "name": "@everyone", **_ROLE}, mine],
            "channels": [one for one in self.channels.values() if one["type"] == 0], "members": [],
            "threads": [one for one in threads if not one["thread_metadata"]["archived"]],
            "emojis": [], "stickers": [], "features": [], "voice_states": [], "presences": [], "stage_instances": [],
            "guild_scheduled_events": [], "soundboard_sounds": [], "system_channel_id": CHANNEL, "premium_tier": 0,
            "preferred_locale": "en-US", "verification_level": 0, "nsfw_level": 0, "mfa_level": 0, "afk_timeout": 300,
            "default_message_notifications": 0, "explicit_content_filter": 0, "system_channel_flags": 0,
        }  # fmt: skip

    # REST.

    async def _file(self, request: web.Request) -> web.Response:
        """Under an address that has not run out."""
        content = self.files.get(request.match_info["name"])
        if content is None or request.query.get("ex") != "now":
            return web.Response(status=404)
        return web.Response(body=content)

    def attachment(self, name: str, content: bytes, *, is_fresh: bool = True) -> str:
        """The address of a file that somebody attached."""
        self.files[name] = content
        return f"{self.url.removesuffix('/api/v10')}/attachments/{name}?ex={'now' if is_fresh else 'then'}"

    def _refresh(self, body: Body) -> tuple[int, Any]:
        return 200, {
            "refreshed_urls": [
                {"original": url, "refreshed": url.replace("ex=then", "ex=now")} for url in body["attachment_urls"]
            ]
        }

    async def _rest(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        call = Call(request.method, path, await self._body(request))
        self.calls.append(call)
        trouble = self._trouble(call)
        if trouble is None or trouble.after:
            call.status, answer = self._answer(request, call)
        if trouble is not None:
            call.status, answer = trouble.status, {"message": "trouble", "code": trouble.code}
        self._changed.set()
        if call.status == 429:
            assert trouble is not None
            body = {"message": "You are being rate limited.", "retry_after": trouble.retry_after, "global": False}
            return _json(429, body, {"Via": "1.1 google", "Retry-After": "1", "X-RateLimit-Scope": "user"})
        return _json(call.status, answer)

    def _trouble(self, call: Call) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.times and trouble.method == call.method and re.search(trouble.path, call.path):
                trouble.times -= 1
                return trouble
        return None

    async def _body(self, request: web.Request) -> Body:
        if request.content_type.startswith("multipart/"):
            form = await request.post()
            for part in form.values():
                if isinstance(part, web.FileField):
                    self.files[part.filename] = part.file.read()
            payload: Body = json.loads(str(form["payload_json"]))
            return payload
        text = await request.text()
        read = json.loads(text) if text else dict(request.query)
        return read if isinstance(read, dict) else {"list": read}

    def _answer(self, request: web.Request, call: Call) -> tuple[int, Any]:
        if request.headers.get("Authorization") != f"Bot {self.token}":
            return 401, {"message": "401: Unauthorized", "code": 0}
        for method, pattern, act in _ROUTES:
            if method == call.method and (found := re.fullmatch(pattern, call.path)):
                answered: tuple[int, Any] = act(self, call.body, *found.groups())
                return answered
        return 404, {"message": "404: Not Found", "code": 0}

    def _me(self, body: Body) -> tuple[int, Any]:
        return 200, BOT

    def _application(self, body: Body) -> tuple[int, Any]:
        owner = {key: TOM[key] for key in ("id", "username", "global_name", "discriminator", "avatar")}
        return 200, {
            "id": ME, "name": "limen", "icon": None, "description": "", "bot_public": True,
            "bot_require_code_grant": False, "verify_key": "0", "owner": owner, "team": None, "rpc_origins": [],
            "flags": 1 << 19 if self.allows_content else 0, **self.app,
        }  # fmt: skip

    def _guilds(self, body: Body) -> tuple[int, Any]:
        return 200, [{"id": GUILD, "name": name, "permissions": str(may)} for name, may in self.permissions.items()]

    def _gateway_bot(self, body: Body) -> tuple[int, Any]:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return 200, {"url": self.gateway, "shards": self.shards, "session_start_limit": limit}

    def _get_channel(self, body: Body, channel: str) -> tuple[int, Any]:
        return (200, self.channels[channel]) if channel in self.channels else _unknown("Channel", 10003)

    def _get_messages(self, body: Body, channel: str) -> tuple[int, Any]:
        if channel not in self.channels:
            return _unknown("Channel", 10003)
        newest_first = sorted(self.messages.get(channel, {}).values(), key=lambda message: -int(message["id"]))
        without = ("guild_id", "member", "channel_type")  # the gateway tells these, REST does not
        after, limit = int(body.get("after", 0)), int(body.get("limit", 50))
        told = [{k: v for k, v in one.items() if k not in without} for one in newest_first if int(one["id"]) > after]
        return 200, told[-limit:]

    def _post_message(self, body: Body, channel: str) -> tuple[int, Any]:
        if channel not in self.channels:
            return _unknown("Channel", 10003)
        if wrong := self._wrong(body):
            return 400, wrong
        nonce = (channel, str(body.get("nonce", "")))
        if body.get("enforce_nonce") and nonce in self.nonces:
            return 200, self.messages[channel][self.nonces[nonce]]
        replied = (body.get("message_reference") or {}).get("message_id")
        if replied and replied not in self.messages.get(channel, {}):
            if body["message_reference"].get("fail_if_not_exists", True):
                return 400, {"message": "Invalid Form Body", "code": 50035}
            body = {key: value for key, value in body.items() if key != "message_reference"}
        message = self._kept(channel, BOT, {**body, "type": 19 if "message_reference" in body else 0})
        self.nonces[nonce] = message["id"]
        self._ring(body)
        self._dispatch("MESSAGE_CREATE", message)
        return 200, message

    def _patch_message(self, body: Body, channel: str, message_id: str) -> tuple[int, Any]:
        if channel not in self.channels:
            return _unknown("Channel", 10003)
        message = self.messages.get(channel, {}).get(message_id)
        if message is None:
            return _unknown("Message", 10008)
        if message["author"]["id"] != ME:
            return 403, {"message": "Cannot edit a message authored by another user", "code": 50005}
        if set(body) == {"components"}:
            message |= body
            return 200, message
        if wrong := self._wrong(body):
            return 400, wrong
        self._ring(body)
        self._edited(message, body["content"])
        return 200, message

    def _delete_message(self, body: Body, channel: str, message_id: str) -> tuple[int, Any]:
        if message_id not in self.messages.get(channel, {}):
            return _unknown("Message", 10008)
        self.delete(message_id, channel=channel)
        return 204, None

    def _put_reaction(self, body: Body, channel: str, message_id: str, emoji: str) -> tuple[int, Any]:
        if message_id not in self.messages.get(channel, {}):
            return _unknown("Message", 10008)
        self.messages[channel][message_id].setdefault("reactions", []).append(emoji)
        self.react(message_id, emoji, channel, BOT)
        return 204, None

    def _post_typing(self, body: Body, channel: str) -> tuple[int, Any]:
        self.typing.append(channel)
        return 204, None

    def _callback(self, body: Body, interaction: str, token: str) -> tuple[int, Any]:
        if token not in self.responses or token in self.callbacks:
            return _unknown("interaction", 10062)
        self.callbacks[token] = body
        if body["type"] == 7:
            self._pressed[token] |= body["data"]
        return 204, None

    def _original(self, body: Body, token: str) -> tuple[int, Any]:
        if token not in self.callbacks:
            return _unknown("Webhook", 10015)
        if wrong := self._wrong(body):
            return 400, wrong
        if self.callbacks[token]["type"] == 6:  # in place of what the button is below
            self._pressed[token] |= body
        self.responses[token][:1] = [body]
        return 200, {"id": self._id(), **body}

    def _followup(self, body: Body, token: str) -> tuple[int, Any]:
        if token not in self.callbacks:
            return _unknown("Webhook", 10015)
        self.responses[token].append(body)
        return 200, {"id": self._id(), **body}

    def _get_commands(self, body: Body) -> tuple[int, Any]:
        return 200, self.commands

    def _put_commands(self, body: Body) -> tuple[int, Any]:
        self.commands = [{"id": self._id(), "version": "1", "nsfw": False, **command} for command in body["list"]]
        return 200, self.commands

    def _wrong(self, body: Body) -> Body | None:
        """What Discord would not take."""
        content, rows = body.get("content") or "", body.get("components") or []
        ids = [one["custom_id"] for row in rows for one in row["components"]]
        most = [len(row["components"]) for row in rows]
        if (
            len(rows) > 5
            or not all(0 < n <= 5 for n in most)
            or len(ids) > len(set(ids))
            or max(map(len, ids), default=0) > 100
        ):
            return {"message": "Invalid Form Body", "code": 50035}
        if not content.strip() and "attachments" not in body:
            return {"message": "Cannot send an empty message", "code": 50006}
        if len(content) > 2000 or len(str(body.get("nonce", ""))) > 25:
            return {"message": "Invalid Form Body", "code": 50035}
        return None

    def _ring(self, body: Body) -> None:
        allowed = body.get("allowed_mentions", {"parse": ["everyone", "roles", "users"], "replied_user": True})
        if allowed.get("parse") and _MASS.search(body["content"]):
            self.rung.append(body["content"])
        if allowed.get("replied_user", True) and "message_reference" in body:
            self.rung.append("the one replied to")

    # What is kept.

    def _id(self) -> str:
        """Later ones are greater, and tell their time."""
        self._last_id = max(self._last_id + 1, (int(time.time() * 1000) - EPOCH_MS) << 22)
        return str(self._last_id)

    def _where(self, channel: str) -> Body:
        return {"channel_id": channel} if channel == DM else {"channel_id": channel, "guild_id": GUILD}

    def _kept(self, channel: str, author: Body, body: Body) -> Body:
        mentions = [who for who in (TOM, ANN, BOT) if f"<@{who['id']}>" in (body.get("content") or "")]
        message = {
            "id": self._id(), "type": 0, "author": author, "mentions": mentions, "mention_roles": [],
            "mention_everyone": False, "attachments": [], "embeds": [], "pinned": False, "tts": False, "flags": 0,
            "components": [], "timestamp": datetime.now(UTC).isoformat(), "edited_timestamp": None,
            "channel_type": self.channels[channel]["type"], **self._where(channel), **body,
        }  # fmt: skip
        message.pop("allowed_mentions", None)
        if channel != DM:
            message["member"] = {"nick": None, "roles": [], "joined_at": "2026-02-01T03:34:22+00:00"}
        self.messages.setdefault(channel, {})[message["id"]] = message
        return message

    def _edited(self, message: Body, text: str) -> None:
        message |= {"content": text, "edited_timestamp": f"2026-02-01T03:35:38.{self._id()[-6:]}+00:00"}
        self._dispatch("MESSAGE_UPDATE", message)


_ROLE: Body = {
    "color": 0, "hoist": False, "position": 0, "permissions": "0", "mentionable": False, "flags": 0,
    "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
}  # fmt: skip
_N = r"(\d+)"
_ROUTES: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
    ("GET", r"/users/@me", Fake._me),
    ("GET", r"/users/@me/guilds", Fake._guilds),
    ("GET", r"/oauth2/applications/@me", Fake._application),
    ("GET", r"/gateway/bot", Fake._gateway_bot),
    ("POST", r"/attachments/refresh-urls", Fake._refresh),
    ("GET", rf"/channels/{_N}", Fake._get_channel),
    ("GET", rf"/channels/{_N}/messages", Fake._get_messages),
    ("POST", rf"/channels/{_N}/messages", Fake._post_message),
    ("PATCH", rf"/channels/{_N}/messages/{_N}", Fake._patch_message),
    ("DELETE", rf"/channels/{_N}/messages/{_N}", Fake._delete_message),
    ("PUT", rf"/channels/{_N}/messages/{_N}/reactions/([^/]+)/@me", Fake._put_reaction),
    ("POST", rf"/channels/{_N}/typing", Fake._post_typing),
    ("POST", rf"/interactions/{_N}/([^/]+)/callback", Fake._callback),
    ("PATCH", rf"/webhooks/{_N}/([^/]+)/messages/@original", lambda fake, body, _, token: fake._original(body, token)),
    ("POST", rf"/webhooks/{_N}/([^/]+)", lambda fake, body, _, token: fake._followup(body, token)),
    ("GET", rf"/applications/{_N}/commands", lambda fake, body, _: fake._get_commands(body)),
    ("PUT", rf"/applications/{_N}/commands", lambda fake, body, _: fake._put_commands(body)),
]


def _channel(channel: str, name: str) -> Body:
    return {
        "id": channel, "type": 0, "name": name, "guild_id": GUILD, "position": 0, "permission_overwrites": [],
        "parent_id": None, "nsfw": False, "topic": None, "last_message_id": None, "rate_limit_per_user": 0, "flags": 0,
    }  # fmt: skip


def _unknown(what: str, code: int) -> tuple[int, Any]:
    return 404, {"message": f"Unknown {what}", "code": code}


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """The library reads JSON only under exactly this content type."""
    if status == 204:
        return web.Response(status=204)
    return web.Response(
        status=status, body=json.dumps(body).encode(), headers={"Content-Type": "application/json", **(headers or {})}
    )


class AtDiscord:
    """Somebody in a DM with the bot: a driver for `tests/contract`. Close its adapter when all is said."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.adapter = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway)
        self.place = Place("discord", "dm", DM, kind=Kind.DM)
        self._tokens: list[str] = []
        self._leaving: asyncio.Task[None] | None = None

    def say(self, text: str) -> None:
        """Everything in a DM is meant for us."""
        self.fake.say(text, DM)

    def command(self, name: str, args: str = "") -> None:
        """From the menu."""
        options: Body = {f"option{number}": word for number, word in enumerate(args.split())}
        self._tokens.append(self.fake.command(name, DM, **options))

    def react(self, message: str, emoji: str) -> None:
        """As the person of the DM."""
        self.fake.react(message, emoji, DM)

    def shown(self) -> str:
        """Messages, and what only that person sees."""
        answers = [body["content"] for token in self._tokens for body in self.fake.responses[token]]
        return "\n".join([*self.fake.shown(DM), *answers])

    def leave(self) -> None:
        """When all that was said has been heard."""
        self._leaving = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        await self.fake.read()
        self.adapter.stop()
