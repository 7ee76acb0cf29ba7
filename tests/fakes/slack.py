"""A Slack workspace on this machine: its Web API over HTTP, Socket Mode over a WebSocket, and people in it.

It keeps what Slack keeps (messages, threads, edits, reactions, files), refuses what Slack refuses, and tells the app
what Slack would tell it. `limit`, `fail`, `lose`, `hold`, `drop` and `refresh` make the day a bad one.
"""

import asyncio
import hashlib
import hmac
import html
import itertools
import json
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web
from emoji import demojize

from adapters.emoji import canonical
from adapters.slack.client import Listening, Slack
from adapters.slack.manifest import SCOPES
from adapters.slack.view import Us
from core.errors import InputError
from core.events import Kind, Place

Json = dict[str, Any]

BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-1-fake", "xapp-1-fake", "5ec2e7"
TEAM, BOT_USER, BOT_ID, APP = "T1", "UBOT", "BBOT", "A1"
TONES = "🏻🏼🏽🏾🏿"
POSTED_JSON = {
    "chat.postMessage",
    "chat.update",
    "chat.postEphemeral",
    "chat.delete",
    "assistant.threads.setStatus",
    "views.publish",
}
_MASS = re.compile(r"<!(channel|here|everyone|subteam\^\w+)[^>]*>", re.IGNORECASE)
_BARE = re.compile(r"(?<![\w.+-])@(channel|here|everyone)\b", re.IGNORECASE)
BLOCKS = {"markdown", "section", "rich_text", "header", "divider", "context", "actions", "image"}


class No(Exception):
    """A method says no: Slack's word for why."""


@dataclass
class Channel:
    """A channel, or a DM with one person."""

    id: str
    members: set[str]
    archived: bool = False

    @property
    def is_im(self) -> bool:
        return self.id.startswith("D")


@dataclass
class Asked:
    """A call as it came: every value a string, unless it came as JSON."""

    method: str
    verb: str
    arguments: Json


@dataclass
class Envelope:
    """Something the app must acknowledge."""

    id: str
    kind: str
    payload: Json
    attempt: int = 0
    acked: bool = False


@dataclass(eq=False)
class Socket:
    """One connection of Socket Mode, and what is to go out on it."""

    ws: web.WebSocketResponse
    transport: asyncio.Transport
    out: asyncio.Queue[Json] = field(default_factory=asyncio.Queue)


@dataclass
class Fake:
    """The workspace. Look at `messages`, `whispers`, `pinged`, `asked`."""

    url: str = ""
    users: dict[str, Json] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[tuple[str, str], Json] = field(default_factory=dict)
    whispers: list[Json] = field(default_factory=list)  # what one person alone sees
    statuses: list[tuple[str, str, str]] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)  # what people sent, by name
    homes: dict[str, str] = field(default_factory=dict)  # what somebody sees on the app's page
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    pinged: list[str] = field(default_factory=list)  # mass mentions that got through: there may be none
    asked: list[Asked] = field(default_factory=list)
    revisions: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # ts → what it has said
    sockets: list[Socket] = field(default_factory=list)
    envelopes: dict[str, Envelope] = field(default_factory=dict)
    scopes_missing: set[str] = field(default_factory=set)  # methods that the app has no scope for
    edits_allowed: bool = True
    quiet_about_authors: bool = False  # reactions come without `item_user`

    def __post_init__(self) -> None:
        self._number = itertools.count(1)
        self._changed = asyncio.Event()
        self._limits: dict[str, deque[int]] = defaultdict(deque)
        self._fails: dict[str, deque[str]] = defaultdict(deque)
        self._loses: Counter[str] = Counter()
        self._held: dict[str, asyncio.Event] = {}
        self._tickets: set[str] = set()
        self._uploads: dict[str, Json] = {}
        self._connected = 0
        self._add_user(BOT_USER, "mira", is_bot=True)

    # The workspace, and the people in it.

    def person(self, user: str, name: str, **profile: Any) -> str:
        """Somebody."""
        self._add_user(user, name, **profile)
        return user

    def _add_user(self, user: str, name: str, is_bot: bool = False) -> None:
        profile = {"display_name": name, "real_name": name.title()}
        self.users[user] = {"id": user, "team_id": TEAM, "name": name.lower(), "is_bot": is_bot, "profile": profile}

    def channel(self, channel: str, *members: str, bot: bool = True) -> str:
        """A channel, with the bot in it or not."""
        self.channels[channel] = Channel(channel, {*members, *([BOT_USER] if bot else [])})
        return channel

    def dm(self, user: str) -> str:
        """The DM of somebody with the bot."""
        return self.channel(f"D{user[1:]}", user)

    def ts(self) -> str:
        """The next one: they grow."""
        return f"{int(time.time())}.{next(self._number):06d}"

    def say(self, channel: str, user: str, text: str, thread: str = "", **fields: Any) -> str:
        """Somebody says something, as people type it. The app hears `message`, and `app_mention` if it is called."""
        written = text if "<" in text else text.replace("&", "&amp;")
        message = {
            "type": "message",
            "user": user,
            "ts": self.ts(),
            "text": demojize(written, language="alias"),
            "team": TEAM,
        }
        message["client_msg_id"] = f"c-{message['ts']}"
        if thread:
            message |= {"thread_ts": thread, "parent_user_id": self.messages[channel, thread].get("user", "")}
        self._keep(channel, message | fields)
        self._tell(self._message_event(channel, message | fields))
        if f"<@{BOT_USER}>" in text and not fields.get("subtype"):
            self._tell({**message, "type": "app_mention", "channel": channel, "event_ts": message["ts"]})
        return str(message["ts"])

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Its author changes it."""
        old = dict(self.messages[channel, ts])
        self.messages[channel, ts] |= {"text": text, "edited": {"user": old["user"], "ts": self.ts()}}
        self._tell_changed(channel, old, self.messages[channel, ts])

    def unfurl(self, channel: str, ts: str) -> None:
        """Slack shows what is behind a link: it tells so as of an edit."""
        old = dict(self.messages[channel, ts])
        self.messages[channel, ts] |= {"attachments": [{"fallback": "a page", "from_url": "https://a.b"}]}
        self._tell_changed(channel, old, self.messages[channel, ts])

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes it."""
        old = self.messages.pop((channel, ts))
        self._changed.set()
        now = self.ts()
        self._tell({"type": "message", "subtype": "message_deleted", "hidden": True, "channel": channel, "ts": now,
                    "event_ts": now, "deleted_ts": ts, "previous_message": old, **self._kind(channel)})  # fmt: skip

    def react(self, channel: str, ts: str, user: str, name: str, removed: bool = False) -> None:
        """Somebody puts an emoji on a message, by Slack's name for it, or takes it away."""
        message = self.messages.get((channel, ts), {})
        names = message.setdefault("reactions", {}).setdefault(name, [])
        names.remove(user) if removed else names.append(user)
        event = {"type": "reaction_removed" if removed else "reaction_added", "user": user, "reaction": name,
                 "item": {"type": "message", "channel": channel, "ts": ts}, "event_ts": self.ts()}  # fmt: skip
        if message.get("user") and not self.quiet_about_authors:
            event["item_user"] = message["user"]
        self._tell(event)

    def join(self, channel: str, user: str) -> None:
        """Somebody enters."""
        self.channels[channel].members.add(user)
        self._tell({"type": "member_joined_channel", "user": user, "channel": channel, "channel_type": "C",
                    "team": TEAM, "event_ts": self.ts()})  # fmt: skip

    def seen(self, channel: str, user: str) -> list[Json]:
        """What somebody sees of us there: messages, and what is for them alone; oldest first."""
        ours = [{**message, "channel": channel} for message in self.replies(channel)]
        theirs = [one for one in self.whispers if (one["channel"], one["user"]) == (channel, user)]
        return sorted([*ours, *theirs], key=lambda one: str(one["ts"]))

    def buttons(self, message: Json) -> list[tuple[str, Json]]:
        """The buttons below one: label, and the button."""
        rows = [block for block in message.get("blocks") or () if block["type"] == "actions"]
        return [(one["text"]["text"], one) for row in rows for one in row["elements"]]

    def press(self, channel: str, user: str, label: str) -> None:
        """Somebody presses the newest button of that label."""
        found = [(m, b) for m in self.seen(channel, user) for name, b in self.buttons(m) if name == label]
        self._send("interactive", self.pressing(channel, user, *found[-1]))

    def pressing(self, channel: str, user: str, message: Json, button: Json) -> Json:
        """What Slack tells of it."""
        alone = "user" in message and message["user"] != BOT_USER
        where = {"message_ts": message["ts"], "channel_id": channel, "is_ephemeral": alone, "type": "message"}
        thread = message.get("thread_ts") or message.get("thread")
        return {"type": "block_actions", "user": {"id": user, "username": self.users[user]["name"], "team_id": TEAM},
                "api_app_id": APP, "token": "x", "trigger_id": f"t-{next(self._number)}",
                "container": where | ({"thread_ts": thread} if thread else {}), "team": {"id": TEAM, "domain": "fake"},
                "channel": {"id": channel, "name": "room"}, "is_enterprise_install": False, "enterprise": None,
                **({} if alone else {"message": message}), "state": {"values": {}},
                "response_url": f"{self.url}/commands/{message['ts']}/{channel}/{user}",
                "actions": [{**button, "block_id": "limen", "action_ts": self.ts()}]}  # fmt: skip

    def command(self, channel: str, user: str, text: str, command: str = "/limen") -> None:
        """Somebody gives a slash command."""
        self._send("slash_commands", self._command(channel, user, text, command))

    def _command(self, channel: str, user: str, text: str, command: str) -> Json:
        trigger = f"t-{next(self._number)}"
        return {"token": "x", "team_id": TEAM, "team_domain": "fake", "channel_id": channel, "channel_name": "room",
                "user_id": user, "user_name": self.users[user]["name"], "command": command, "text": text,
                "api_app_id": APP, "is_enterprise_install": "false", "trigger_id": trigger,
                "response_url": f"{self.url}/commands/{trigger}/{channel}/{user}"}  # fmt: skip

    def open_home(self, user: str, tab: str = "home") -> None:
        """Somebody opens the app's page."""
        event = {"type": "app_home_opened", "user": user, "channel": self.dm(user), "tab": tab, "event_ts": self.ts()}
        self._tell(event)

    def shown(self, channel: str) -> list[str]:
        """What people read in a channel and its threads, in the order in which it was said."""
        rows = [(ts, said(message)) for (of, ts), message in self.messages.items() if of == channel]
        return [text for _, text in sorted(rows)]

    def replies(self, channel: str) -> list[Json]:
        """Our messages there."""
        return [m for (of, _), m in sorted(self.messages.items()) if of == channel and m.get("user") == BOT_USER]

    def calls(self, method: str) -> list[Json]:
        """What it was called with."""
        return [call.arguments for call in self.asked if call.method == method]

    async def wait(self, holds: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Until it holds, and what it is then; an error after so many seconds."""
        async with asyncio.timeout(seconds):
            while not (what := holds()):
                self._changed.clear()
                await self._changed.wait()
        return what

    # A bad day.

    def limit(self, method: str, times: int, after: int = 0) -> None:
        """The next calls are too many."""
        self._limits[method].extend([after] * times)

    def fail(self, method: str, *errors: str) -> None:
        """The next calls are refused so; `html` is a proxy's page, with 503."""
        self._fails[method].extend(errors)

    def lose(self, method: str, times: int = 1) -> None:
        """The next calls are carried out, and their answers lost."""
        self._loses[method] += times

    def hold(self, method: str) -> asyncio.Event:
        """Calls take until this is set."""
        return self._held.setdefault(method, asyncio.Event())

    def drop(self) -> None:
        """Every socket breaks, without a word."""
        for socket in self.sockets:
            socket.transport.abort()

    async def refresh(self) -> None:
        """Slack wants the app to connect anew, and then hangs up."""
        for socket in list(self.sockets):
            await socket.ws.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "x"}}
            )

    def again(self, envelope: Envelope) -> None:
        """Slack thinks that an event was not acknowledged, and tells it once more."""
        envelope.attempt, envelope.acked = envelope.attempt + 1, False
        self._deliver(envelope)

    async def call(self, url: str, event: Json, secret: str = SECRET, age: float = 0.0) -> int:
        """Slack tells of an event over HTTP. The status of the answer."""
        return (await self._call(url, json.dumps(self._body(event)), "application/json", secret, age))[0]

    async def verify(self, url: str) -> str:
        """Slack asks whether somebody is there, when the address is set. What they say."""
        return (await self._call(url, '{"type": "url_verification", "challenge": "3eZbrw1a"}', "application/json"))[1]

    async def call_command(self, url: str, channel: str, user: str, text: str) -> int:
        """Somebody gives a slash command, and Slack tells of it over HTTP: as a form."""
        body = urlencode(self._command(channel, user, text, "/limen"))
        return (await self._call(url, body, "application/x-www-form-urlencoded"))[0]

    async def call_button(
        self, url: str, channel: str, user: str, below: Json, button: Json, secret: str = SECRET
    ) -> int:
        """Somebody presses a button, and Slack tells of it over HTTP: JSON in a form."""
        body = urlencode({"payload": json.dumps(self.pressing(channel, user, below, button))})
        return (await self._call(url, body, "application/x-www-form-urlencoded", secret))[0]

    async def _call(self, url: str, body: str, kind: str, secret: str = SECRET, age: float = 0.0) -> tuple[int, str]:
        stamp = str(int(time.time() - age))
        signature = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    # What it tells the app.

    def _keep(self, channel: str, message: Json) -> None:
        self.messages[channel, message["ts"]] = message
        self.revisions[message["ts"]].append(said(message))
        root = self.messages.get((channel, message.get("thread_ts", "")))
        if root is not None:
            root["thread_ts"] = root["ts"]
            root["reply_count"] = root.get("reply_count", 0) + 1
        self._changed.set()

    def _kind(self, channel: str) -> Json:
        return {"channel_type": "im" if channel.startswith("D") else "channel"}

    def _message_event(self, channel: str, message: Json) -> Json:
        return {**message, "channel": channel, "event_ts": message["ts"], **self._kind(channel)}

    def _tell_changed(self, channel: str, old: Json, new: Json) -> None:
        self.revisions[new["ts"]].append(said(new))
        self._changed.set()
        now = self.ts()
        self._tell({"type": "message", "subtype": "message_changed", "hidden": True, "channel": channel, "ts": now,
                    "event_ts": now, "message": dict(new), "previous_message": old, **self._kind(channel)})  # fmt: skip

    def _body(self, event: Json) -> Json:
        return {"token": "x", "team_id": TEAM, "context_team_id": TEAM, "api_app_id": APP, "event": event,
                "type": "event_callback", "event_id": f"Ev{next(self._number):08d}", "event_time": int(time.time()),
                "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER, "is_bot": True,
                                    "is_enterprise_install": False}], "is_ext_shared_channel": False}  # fmt: skip

    def _tell(self, event: Json) -> None:
        """Only what happens where the app's bot is."""
        where = event.get("channel") or event["item"]["channel"]
        if where in self.channels and BOT_USER in self.channels[where].members:
            self._send("events_api", self._body(event))

    def _send(self, kind: str, payload: Json) -> None:
        envelope = Envelope(f"e-{next(self._number)}", kind, payload)
        self.envelopes[envelope.id] = envelope
        self._deliver(envelope)

    def _deliver(self, envelope: Envelope) -> None:
        if self.sockets:
            self._queue(self.sockets[-1], envelope)

    def _queue(self, socket: Socket, envelope: Envelope) -> None:
        socket.out.put_nowait(
            {"envelope_id": envelope.id, "payload": envelope.payload, "type": envelope.kind,
             "accepts_response_payload": envelope.kind != "events_api", "retry_attempt": envelope.attempt,
             "retry_reason": "timeout" if envelope.attempt else ""}
        )  # fmt: skip

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """A connection of Socket Mode, by a ticket that is good for one. What was not acknowledged comes again."""
        if request.query.get("ticket") not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(request.query["ticket"])
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport
        socket = Socket(ws, request.transport)
        await ws.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP},
                            "debug_info": {"host": "fake", "approximate_connection_time": 18060}})  # fmt: skip
        for envelope in self.envelopes.values():
            if not envelope.acked:
                envelope.attempt += 1 if self._connected else 0
                self._queue(socket, envelope)
        self.sockets.append(socket)
        self._connected += 1
        self._changed.set()
        sending = asyncio.create_task(_pour(socket))
        try:
            async for frame in ws:
                if frame.type == WSMsgType.TEXT:
                    self.envelopes[json.loads(frame.data)["envelope_id"]].acked = True
                    self._changed.set()
        finally:
            sending.cancel()
            self.sockets.remove(socket)
            self._changed.set()
        return ws

    # The Web API.

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await self._arguments(request, method)
        self.asked.append(Asked(method, request.method, arguments))
        self._changed.set()
        if method in self._held:
            await self._held[method].wait()
        if self._limits[method]:
            headers = {"Retry-After": str(self._limits[method].popleft())}
            return self._answer({"ok": False, "error": "ratelimited"}, 429, headers)
        error = self._fails[method].popleft() if self._fails[method] else ""
        if error == "html":
            return web.Response(status=503, text="<html>upstream</html>", content_type="text/html")
        if error:
            return self._answer({"ok": False, "error": error})
        answer = self._do(method, arguments, request.headers.get("Authorization", ""))
        if self._loses[method]:
            self._loses[method] -= 1
            assert request.transport
            request.transport.abort()
        return answer

    def _do(self, method: str, arguments: Json, authorization: str) -> web.Response:
        token = authorization.removeprefix("Bearer ")
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        act = getattr(self, "_" + method.replace(".", "_"), None)
        try:
            if act is None:
                raise No("unknown_method")
            if token != wanted:
                raise No("not_allowed_token_type" if token in (APP_TOKEN, BOT_TOKEN) else "invalid_auth")
            if method in self.scopes_missing:
                return self._answer(
                    {"ok": False, "error": "missing_scope", "needed": f"{method}:read", "provided": "x"}
                )
            headers = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
            return self._answer({"ok": True, **(act(arguments) or {})}, headers=headers)
        except No as no:
            return self._answer({"ok": False, "error": str(no)})

    async def _arguments(self, request: web.Request, method: str) -> Json:
        """Slack takes JSON for some methods only; for the others it is as if nothing had been sent."""
        arguments: Json = dict(request.query)
        if request.content_type == "application/json" and request.can_read_body:
            body = await request.json()
            arguments |= body if method in POSTED_JSON else {}
        elif request.content_type == "application/x-www-form-urlencoded":
            arguments |= dict(await request.post())
        return arguments

    def _answer(self, body: Json, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    def _auth_test(self, _: Json) -> Json:
        return {"url": "https://fake.slack.com/", "team": "Fake", "user": "mira", "team_id": TEAM, "user_id": BOT_USER,
                "bot_id": BOT_ID, "is_enterprise_install": False}  # fmt: skip

    def _apps_connections_open(self, _: Json) -> Json:
        ticket = f"k-{next(self._number)}"
        self._tickets.add(ticket)
        return {"url": f"{self.url.replace('http', 'ws')}/link/?ticket={ticket}&app_id={APP}"}

    def _users_info(self, a: Json) -> Json:
        if a.get("user") not in self.users:
            raise No("user_not_found")
        return {"user": self.users[a["user"]]}

    def _conversations_info(self, a: Json) -> Json:
        channel = self._channel(a)
        return {"channel": {"id": channel.id, "is_im": channel.is_im, "is_archived": channel.archived, "name": "room"}}

    def _conversations_open(self, a: Json) -> Json:
        if a.get("users") not in self.users:
            raise No("user_not_found")
        return {"channel": {"id": self.dm(a["users"])}}

    def _conversations_history(self, a: Json) -> Json:
        rows = [m for m in self._said_in(a) if m.get("thread_ts", m["ts"]) == m["ts"]]
        return {"messages": rows[::-1][: int(a.get("limit", 100))], "has_more": False}

    def _conversations_replies(self, a: Json) -> Json:
        if (a.get("channel"), a.get("ts")) not in self.messages:
            raise No("thread_not_found")
        root = self.messages[a["channel"], a["ts"]].get("thread_ts", a["ts"])
        rows = [m for m in self._said_in(a) if root in (m["ts"], m.get("thread_ts"))]
        return {"messages": rows[: int(a.get("limit", 100))], "has_more": False}

    def _said_in(self, a: Json) -> list[Json]:
        """Oldest first; the metadata only for those who ask."""
        channel, oldest = self._channel(a), float(a.get("oldest", 0))
        rows = [m for (of, ts), m in sorted(self.messages.items()) if of == channel.id and float(ts) > oldest]
        hidden = () if str(a.get("include_all_metadata")).lower() in ("1", "true") else ("metadata",)
        return [{key: value for key, value in m.items() if key not in hidden} for m in rows]

    def _channel(self, a: Json) -> Channel:
        if a.get("channel") not in self.channels:
            raise No("channel_not_found")
        return self.channels[a["channel"]]

    def _speaking(self, a: Json) -> Channel:
        channel = self._channel(a)
        if channel.archived:
            raise No("is_archived")
        if BOT_USER not in channel.members:
            raise No("not_in_channel")
        return channel

    def _chat_postMessage(self, a: Json) -> Json:
        channel = self._speaking(a)
        self._check(a, 40_000)
        if a.get("thread_ts") and (channel.id, a["thread_ts"]) not in self.messages:
            raise No("thread_not_found")
        message = {"type": "message", "user": BOT_USER, "bot_id": BOT_ID, "app_id": APP, "team": TEAM, "ts": self.ts(),
                   **{key: a[key] for key in ("text", "blocks", "thread_ts", "metadata") if a.get(key)}}  # fmt: skip
        self._keep(channel.id, message)
        self._tell(self._message_event(channel.id, {key: value for key, value in message.items() if key != "metadata"}))
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _chat_update(self, a: Json) -> Json:
        channel = self._speaking(a)
        message = self.messages.get((channel.id, a.get("ts", "")))
        if message is None:
            raise No("message_not_found")
        if message.get("user") != BOT_USER:
            raise No("cant_update_message")
        if not self.edits_allowed:
            raise No("edit_window_closed")
        self._check(a, 4_000)
        old = dict(message)
        message |= {"text": a.get("text", ""), "blocks": a.get("blocks", [])}
        self._tell_changed(channel.id, old, message)
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"]}

    def _chat_delete(self, a: Json) -> Json:
        key = (self._channel(a).id, a.get("ts", ""))
        if key not in self.messages:
            raise No("message_not_found")
        if self.messages[key].get("user") != BOT_USER:
            raise No("cant_delete_message")
        self.delete(*key)
        return {"channel": key[0], "ts": key[1]}

    def _chat_postEphemeral(self, a: Json) -> Json:
        channel = self._speaking(a)
        if a.get("user") not in channel.members:
            raise No("user_not_in_channel")
        self._check(a, 40_000)
        return {"message_ts": self._whisper(channel.id, a["user"], a)}

    def _whisper(self, channel: str, user: str, a: Json) -> str:
        ts = self.ts()
        self.whispers.append({"channel": channel, "user": user, "text": said(a), "thread": a.get("thread_ts", ""),
                              "ts": ts, "blocks": a.get("blocks", [])})  # fmt: skip
        self._changed.set()
        return ts

    def _reactions_add(self, a: Json) -> Json:
        channel = self._channel(a)
        message = self.messages.get((channel.id, a.get("timestamp", "")))
        if message is None:
            raise No("message_not_found")
        try:
            canonical(a["name"])
        except InputError:
            raise No("invalid_name") from None
        if BOT_USER in message.get("reactions", {}).get(a["name"], ()):
            raise No("already_reacted")
        self.react(channel.id, a["timestamp"], BOT_USER, a["name"])
        self._changed.set()
        return {}

    def _assistant_threads_setStatus(self, a: Json) -> Json:
        channel = self._channel({"channel": a.get("channel_id")})
        self.statuses.append((channel.id, a["thread_ts"], a["status"]))
        return {}

    def _views_publish(self, a: Json) -> Json:
        if a.get("user_id") not in self.users:
            raise No("user_not_found")
        blocks = a["view"]["blocks"]
        if (
            a["view"]["type"] != "home"
            or len(blocks) > 100
            or any(b["type"] == "markdown" or not _fits(b) for b in blocks)
        ):
            raise No("invalid_arguments")
        self.homes[a["user_id"]] = said(a["view"])
        self._changed.set()
        return {"view": a["view"]}

    def _files_getUploadURLExternal(self, a: Json) -> Json:
        number = f"F{next(self._number)}"
        self._uploads[number] = {"id": number, "name": a["filename"], "length": int(a["length"])}
        return {"file_id": number, "upload_url": f"{self.url}/upload/{number}"}

    def _files_completeUploadExternal(self, a: Json) -> Json:
        files = json.loads(a["files"])
        for one in files:
            where = {"channel": a.get("channel_id"), "thread": a.get("thread_ts", ""), "said": a.get("initial_comment")}
            self.files.append({**self._uploads.pop(one["id"]), **where})
        self._changed.set()
        return {"files": files}

    async def _upload(self, request: web.Request) -> web.Response:
        data = await request.read()
        upload = self._uploads[request.match_info["id"]]
        if len(data) != upload["length"]:
            return web.Response(status=400, text="bad length")
        upload["content"] = data.decode(errors="replace")
        return web.Response(text=f"OK - {len(data)}")

    async def _file(self, request: web.Request) -> web.Response:
        """To whoever has the app's token; others are led to where one signs in."""
        content = self.sent.get(request.match_info["name"])
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}" or "files:read" not in self.scopes:
            return web.Response(status=302, headers={"Location": f"{self.url}/signin"})
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _respond(self, request: web.Request) -> web.Response:
        """What a slash command's `response_url` takes."""
        body, where = await request.json(), request.match_info
        if body.get("replace_original") or body.get("delete_original"):
            self._replace(where["trigger"], where["channel"], body)
            return web.Response(text="ok")
        self._check(body, 40_000)
        if body.get("response_type") == "ephemeral":
            self._whisper(where["channel"], where["user"], body)
        return web.Response(text="ok")

    def _replace(self, ts: str, channel: str, body: Json) -> None:
        """What a button was below says something else now, or is gone."""
        message = self.messages.get((channel, ts)) or next(one for one in self.whispers if one["ts"] == ts)
        if body.get("delete_original"):
            self.messages.pop((channel, ts), None)
            self.whispers = [one for one in self.whispers if one["ts"] != ts]
        else:
            self._check(body, 40_000)
            message |= {"text": said(body), "blocks": body.get("blocks", [])}
        self._changed.set()

    def _check(self, a: Json, most: int) -> None:
        """What Slack says of a message before it takes it; and whom it would ping."""
        text, blocks = a.get("text", ""), a.get("blocks", [])
        if not isinstance(text, str) or not isinstance(blocks, list):
            raise No("invalid_arguments")
        if not text and not blocks:
            raise No("no_text")
        if len(text) > most:
            raise No("msg_too_long")
        if len(blocks) > 50 or any(block.get("type") not in BLOCKS or not _fits(block) for block in blocks):
            raise No("invalid_blocks")
        if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > 12_000:
            raise No("msg_blocks_too_long")
        self.pinged += pings(a)


async def _pour(socket: Socket) -> None:
    with suppress(ConnectionError):
        while True:
            await socket.ws.send_json(await socket.out.get())


def _fits(block: Json) -> bool:
    if block["type"] == "actions":
        ids = [one["action_id"] for one in block["elements"]]
        fits = all(0 < len(one["text"]["text"]) <= 75 and len(one["value"]) <= 2_000 for one in block["elements"])
        return 0 < len(ids) <= 25 and len(ids) == len(set(ids)) and fits
    if block["type"] == "markdown":
        return isinstance(block.get("text"), str) and bool(block["text"])
    if block["type"] == "section":
        return 0 < len(block["text"]["text"]) <= 3_000
    return True


def said(message: Json) -> str:
    """What people read of a message."""
    texts = [block.get("text", "") for block in message.get("blocks") or ()]
    texts = [text["text"] if isinstance(text, dict) else text for text in texts]
    return "\n".join(texts) or str(message.get("text", ""))


def pings(message: Json) -> list[str]:
    """The mass mentions in it, read as ill as can be: entities undone, backslashes gone."""
    found: list[str] = []
    links = bool(message.get("link_names")) or message.get("parse", "client") == "full"
    texts = [message.get("text", ""), *(b["text"] for b in message.get("blocks") or () if b.get("type") == "markdown")]
    for text in texts:
        plain = html.unescape(text).replace("\\", "")
        found += _MASS.findall(text) + _MASS.findall(plain) + (_BARE.findall(plain) if links else [])
    return found


@asynccontextmanager
async def slack() -> AsyncIterator[Fake]:
    """A workspace for as long as the block lasts: Ann and Bob, a room, and Ann's DM."""
    it = Fake()
    app = web.Application(client_max_size=2**24)
    app.add_routes([
        web.route("*", "/api/{method}", it._api), web.get("/link/", it._socket),
        web.get("/files-pri/{name}", it._file),
        web.post("/upload/{id}", it._upload), web.post("/commands/{trigger}/{channel}/{user}", it._respond),
    ])  # fmt: skip
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    it.person("UANN", "Ann")
    it.person("UBOB", "Bob")
    it.channel("C1", "UANN", "UBOB")
    it.dm("UANN")
    try:
        yield it
    finally:
        for event in it._held.values():
            event.set()
        await runner.cleanup()


class Driver:
    """What the contract suite asks of a platform, in Ann's DM."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        us = Us(TEAM, BOT_USER, BOT_ID, "mira")
        self.adapter = Slack(us, BOT_TOKEN, Listening(app_token=APP_TOKEN, ping=1.0), f"{fake.url}/api/", every=0.0)
        self.place = Place("slack", TEAM, "DANN", kind=Kind.DM)
        self._leaving: asyncio.Task[None] | None = None

    def say(self, text: str) -> None:
        """Ann says this."""
        self.fake.say("DANN", "UANN", text)

    def command(self, name: str, args: str = "") -> None:
        """Ann gives a command."""
        self.fake.command("DANN", "UANN", f"{name} {args}")

    def react(self, message: str, emoji: str) -> None:
        """Ann puts an emoji on our message."""
        bare, tone = emoji.rstrip(TONES), emoji[-1:] if emoji[-1:] in TONES else ""
        name = demojize(bare, language="alias").strip(":") + (f"::skin-tone-{TONES.index(tone) + 2}" if tone else "")
        self.fake.react("DANN", message, "UANN", name)

    def shown(self) -> str:
        """What Ann sees."""
        return "\n".join([*self.fake.shown("DANN"), *(whisper["text"] for whisper in self.fake.whispers)])

    def leave(self) -> None:
        """The connection is closed when everything has been told."""
        self._leaving = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        await self.fake.wait(lambda: all(envelope.acked for envelope in self.fake.envelopes.values()))
        self.adapter.close()

    async def done(self) -> None:
        """The test is over."""
        await self.adapter.leave()
