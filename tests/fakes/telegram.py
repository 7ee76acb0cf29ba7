"""Telegram on this machine, over real sockets: chats with people in them, and the part of the Bot API that we use.

It remembers what was said, refuses what Telegram refuses, and does what `trouble` says first: flood control, broken
servers, answers that get lost. What it is asked and what it tells is checked against the published API (`faults`).
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from adapters.telegram.client import Telegram
from adapters.telegram.pace import Pace, Rate
from adapters.telegram.payloads import KINDS
from core.events import Kind, Place
from tests.fakes.telegram_spec import Spec

Body = dict[str, Any]
TOKEN = "111111111:AA-secret"
ME: Body = {"id": 111111111, "is_bot": True, "first_name": "Mira", "username": "MiraBot"}
ANN: Body = {"id": 7, "is_bot": False, "first_name": "Ann", "username": "ann"}
BOB: Body = {"id": 8, "is_bot": False, "first_name": "Bob"}
DM: Body = {"id": 7, "type": "private", "first_name": "Ann", "username": "ann"}
GROUP: Body = {"id": -100500, "type": "supergroup", "title": "Pirates", "is_forum": True}

UNASKED = {"message_reaction", "message_reaction_count", "chat_member"}  # told only to those who name them
_REACTIONS = "❤👍👎🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏"
_ENTITIES = {
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic", "underline",
    "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre", "text_link", "text_mention",
    "custom_emoji",
}  # fmt: skip


class No(Exception):
    """The server will not."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status, self.parameters = status, parameters

    @property
    def body(self) -> Body:
        """As it is sent."""
        told: Body = {"ok": False, "error_code": self.status, "description": str(self)}
        return {**told, "parameters": self.parameters} if self.parameters else told


@dataclass
class Trouble:
    """What happens to the next call of `method`: `no` is answered; or it is `done`, and its answer gets lost."""

    method: str
    no: No | None = None
    done: bool = False
    hold: asyncio.Event | None = None
    raw: str = ""
    status: int = 502


@dataclass
class Call:
    """A request as it was understood."""

    method: str
    asked: Body
    at: float = field(default_factory=time.monotonic)


class Fake:
    """The server. Act as the people in its chats; look at what the bot did."""

    def __init__(self, spec: Spec | None = None) -> None:
        self.spec = spec or Spec()
        self.url = ""
        self.token = TOKEN
        self.chats: dict[int, Body] = {chat["id"]: chat for chat in (DM, GROUP)}
        self.topics = {5: "Rum"}
        self.admin = True  # in groups reactions are told to administrators
        self.blocked: set[int] = set()
        self.hushed: set[int] = set()  # chats in which the bot may not speak
        self.admins: set[int] = set()  # people who run the group
        self.messages: dict[tuple[int, int], Body] = {}
        self.feelings: dict[tuple[int, int, int], list[Body]] = {}
        self.commands: list[Body] = []
        self.notes: list[str] = []  # what those who pressed a button were told
        self.files: list[tuple[int, str, bytes]] = []
        self.moved: dict[int, int] = {}
        self.trouble: deque[Trouble] = deque()
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.typing: list[tuple[int, int]] = []
        self.wants: set[str] | None = None
        self.pending: list[Body] = []
        self.confirmed = 0
        self.hook: Body = {}
        self.hook_trouble = ""
        self.setup = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        self.uploads: dict[str, bytes] = {}
        self.lies: dict[str, int] = {}  # what is said of a file's length, where that is not true
        self.pushed: list[tuple[int, int]] = []  # (update, what the webhook answered)
        self._pusher: asyncio.Task[None] | None = None
        self.on_quiet: Callable[[], None] | None = None
        self._number = 0
        self._update = 1000
        self._polls = 0
        self._changed = asyncio.Event()

    # What people do.

    def say(self, text: str, who: Body = ANN, chat: Body = DM, **fields: Any) -> int:
        """Somebody says something; its message id."""
        kind = "channel_post" if chat["type"] == "channel" else "message"
        message = self._keep(chat["id"], {"from": who, **({"text": text} if text else {}), **fields})
        self.tell(kind, message)
        return int(message["message_id"])

    def edit(self, number: int, text: str, chat: Body = DM) -> None:
        """They change it."""
        message = self.messages[chat["id"], number]
        message |= {"text": text, "edit_date": int(time.time())}
        self.tell("edited_message", message)

    def caption(self, number: int | str, text: str, chat: Body = GROUP) -> None:
        """They change what stands below a file."""
        message = self.messages[chat["id"], int(number)]
        message |= {"caption": f"@MiraBot {text}", "edit_date": int(time.time())}
        self.tell("edited_message", message)

    def react(self, number: int, *emoji: str, who: Body = ANN, chat: Body = DM) -> None:
        """They feel this about it now, and nothing else."""
        key = (chat["id"], number, who["id"])
        old, new = self.feelings.get(key, []), [{"type": "emoji", "emoji": one} for one in emoji]
        self.feelings[key] = new
        if chat["type"] == "private" or self.admin:
            what = {"chat": chat, "message_id": number, "user": who, "date": int(time.time())}
            self.tell("message_reaction", {**what, "old_reaction": old, "new_reaction": new})

    def tell(self, kind: str, what: Body) -> None:
        """An update, to whoever asked for such."""
        self._update += 1
        update = {"update_id": self._update, kind: json.loads(json.dumps(what))}
        self.faults += self.spec.faults("Update", update)
        if kind in self.wants if self.wants is not None else kind not in UNASKED:
            self.pending.append(update)
        self._changed.set()

    def press(self, label: str, who: Body = ANN, chat: Body = DM) -> None:
        """They press the newest button of that label."""
        rows = [(one, row) for one in self.ours(chat) for row in one.get("reply_markup", {}).get("inline_keyboard", ())]
        message, data = [(one, b["callback_data"]) for one, row in rows for b in row if b["text"] == label][-1]
        self._update += 1  # as good a number as any for what was pressed
        what = {"id": str(self._update), "from": who, "chat_instance": "c", "message": message, "data": data}
        self.tell("callback_query", what)

    def delete(self, number: int, chat: Body = DM) -> None:
        """An administrator deletes a message."""
        del self.messages[chat["id"], number]

    # What can be seen.

    def shown(self, chat: Body = DM) -> list[str]:
        """What the bot's messages read now, oldest first."""
        return [message["text"] for message in self.ours(chat)]

    def ours(self, chat: Body = DM) -> list[Body]:
        """The bot's messages there."""
        return [message for (where, _), message in self.messages.items() if where == chat["id"] and _by_us(message)]

    def called(self, method: str) -> list[Body]:
        """What a method was asked, each time."""
        return [call.asked for call in self.calls if call.method == method]

    async def wait(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        """Until it holds; an error after so many seconds, with what there is."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = [(call.method, call.asked) for call in self.calls[-5:]]
            raise AssertionError(f"it never came; the last calls were {last}") from None

    # The methods.

    async def _getMe(self, asked: Body) -> Body:
        return {**ME, **self.setup}

    async def _getChatMember(self, asked: Body) -> Body:
        chat, user = self._chat(asked), next(one for one in (ANN, BOB, ME) if one["id"] == asked["user_id"])
        if chat["type"] == "private" or user["id"] not in self.admins:
            return {"status": "member", "user": user}
        rights = ("be_edited", "manage_chat", "delete_messages", "manage_video_chats", "restrict_members")
        more = ("promote_members", "change_info", "invite_users", "post_stories", "edit_stories", "delete_stories")
        may = {f"can_{right}": True for right in (*rights, *more)}
        member = {"status": "administrator", "user": user, "is_anonymous": False, **may}
        self.faults += self.spec.faults("ChatMember", member)
        return member

    async def _setWebhook(self, asked: Body) -> bool:
        if not asked["url"].startswith(("https://", "http://127.0.0.1")):
            raise No(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        self.wants = set(asked.get("allowed_updates") or ()) or None
        self.hook = asked
        self._pusher = self._pusher or asyncio.create_task(self._push())
        return True

    async def _getWebhookInfo(self, asked: Body) -> Body:
        lost = {"last_error_date": 1, "last_error_message": self.hook_trouble} if self.hook_trouble else {}
        waiting = {"has_custom_certificate": False, "pending_update_count": len(self.pending)}
        return {"url": self.hook.get("url", ""), **waiting, **lost}

    async def _deleteWebhook(self, asked: Body) -> bool:
        self.hook = {}
        return True

    async def _push(self) -> None:
        """Call the webhook, one update after another, each until it is taken."""
        while True:
            if self.hook and self.pending:
                update = self.pending[0]
                self.pushed.append((update["update_id"], await self._pushes(update)))
                if self.pushed[-1][1] == 200:
                    self.pending.remove(update)
                self._changed.set()
            await asyncio.sleep(0.005)

    async def _pushes(self, update: Body) -> int:
        """Its answer's status; 0 if nobody is there."""
        where = urlsplit(self.hook["url"])
        body = json.dumps(update).encode()
        head = [f"POST {where.path or '/'} HTTP/1.1", f"host: {where.netloc}", "content-type: application/json"]
        head += [f"content-length: {len(body)}", "connection: close"]
        head += [f"X-Telegram-Bot-Api-Secret-Token: {self.hook.get('secret_token', '')}", "", ""]
        try:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            return 0
        try:
            writer.write("\r\n".join(head).encode() + body)
            return int((await reader.readline()).split(b" ")[1])
        except (OSError, IndexError):
            return 0
        finally:
            writer.close()

    async def _getMyCommands(self, asked: Body) -> list[Body]:
        return self.commands

    async def _setMyCommands(self, asked: Body) -> bool:
        names = [command["command"] for command in asked["commands"]]
        if any(not name.isascii() or name != name.lower() or len(name) > 32 for name in names):
            raise No(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands = asked["commands"]
        return True

    async def _getUpdates(self, asked: Body) -> list[Body]:
        if self.hook:
            raise No(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete "
                          "the webhook first")  # fmt: skip
        self._polls += 1
        mine = self._polls
        if "allowed_updates" in asked:
            self.wants = set(asked["allowed_updates"]) or None
        self.confirmed = max(self.confirmed, asked.get("offset", 0))
        self.pending = [update for update in self.pending if update["update_id"] >= self.confirmed]
        if not self.pending and self.on_quiet:
            self.on_quiet()
        self._changed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(asked.get("timeout", 0) or 0.001):
                while not self.pending and mine == self._polls:
                    await asyncio.sleep(0.005)
        if mine != self._polls:
            raise No(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
                          "running")  # fmt: skip
        return self.pending[: asked.get("limit", 100)]

    async def _sendMessage(self, asked: Body) -> Body:
        chat = self._chat(asked)
        text, entities = _formatted(asked)
        fields: Body = {"from": ME, "text": text, **({"entities": entities} if entities else {})}
        if thread := asked.get("message_thread_id"):
            if thread not in self.topics or not chat.get("is_forum"):
                raise No(400, "Bad Request: message thread not found")
            fields |= {"message_thread_id": thread, "is_topic_message": True}
        _marked(fields, asked)
        if reply := asked.get("reply_parameters"):
            answered = self.messages.get((chat["id"], reply["message_id"]))
            if answered:
                fields["reply_to_message"] = {k: v for k, v in answered.items() if k != "reply_to_message"}
            elif not reply.get("allow_sending_without_reply"):
                raise No(400, "Bad Request: message to be replied not found")
        return self._keep(chat["id"], fields)

    async def _editMessageText(self, asked: Body) -> Body:
        message = self.messages.get((self._chat(asked)["id"], asked["message_id"]))
        if message is None:
            raise No(400, "Bad Request: message to edit not found")
        if not _by_us(message):
            raise No(400, "Bad Request: message can't be edited")
        text, entities = _formatted(asked)
        if (text, entities) == (message["text"], message.get("entities", [])):
            raise No(400, "Bad Request: message is not modified: specified new message content and reply markup are "
                          "exactly the same as a current content and reply markup of the message")  # fmt: skip
        message.pop("entities", None)
        message |= {"text": text, "edit_date": int(time.time()), **({"entities": entities} if entities else {})}
        return message

    async def _answerCallbackQuery(self, asked: Body) -> bool:
        self.notes.append(asked.get("text", ""))
        return True

    async def _editMessageReplyMarkup(self, asked: Body) -> Body:
        message = self.messages[self._chat(asked)["id"], asked["message_id"]]
        if message.get("reply_markup") == asked.get("reply_markup"):
            raise No(400, "Bad Request: message is not modified")
        message.pop("reply_markup", None)
        return _marked(message, asked)

    async def _deleteMessage(self, asked: Body) -> bool:
        if self.messages.pop((self._chat(asked)["id"], asked["message_id"]), None) is None:
            raise No(400, "Bad Request: message to delete not found")
        return True

    async def _setMessageReaction(self, asked: Body) -> bool:
        key = (self._chat(asked)["id"], asked["message_id"])
        if key not in self.messages:
            raise No(400, "Bad Request: message to react not found")
        if any(one["type"] != "emoji" or one["emoji"] not in _REACTIONS for one in asked["reaction"]):
            raise No(400, "Bad Request: REACTION_INVALID")
        self.feelings[(*key, ME["id"])] = asked["reaction"]
        return True

    async def _sendChatAction(self, asked: Body) -> bool:
        self.typing.append((self._chat(asked)["id"], asked.get("message_thread_id", 0)))
        return True

    async def _getFile(self, asked: Body) -> Body:
        if asked["file_id"] not in self.uploads:
            raise No(400, "Bad Request: invalid file_id")
        size = self.lies.get(asked["file_id"], len(self.uploads[asked["file_id"]]))
        return {"file_id": asked["file_id"], "file_unique_id": "u", "file_size": size, "file_path": asked["file_id"]}

    async def _sendPhoto(self, asked: Body) -> Body:
        chat, (name, content) = self._chat(asked), asked["photo"]
        self.files.append((chat["id"], name, content))
        size = {"file_id": "P", "file_unique_id": "p", "width": 9, "height": 9}
        return self._keep(chat["id"], {"from": ME, "text": asked.get("caption", ""), "photo": [size]})

    async def _sendDocument(self, asked: Body) -> Body:
        chat, (name, content) = self._chat(asked), asked["document"]
        self.files.append((chat["id"], name, content))
        document = {"file_id": "F", "file_unique_id": "f"}
        return self._keep(chat["id"], {"from": ME, "text": asked.get("caption", ""), "document": document})

    def _chat(self, asked: Body) -> Body:
        number = asked["chat_id"]
        if number in self.moved:
            there = self.moved[number]
            said = "Bad Request: group chat was upgraded to a supergroup chat"
            raise No(400, said, migrate_to_chat_id=there)
        if number in self.blocked:
            raise No(403, "Forbidden: bot was blocked by the user")
        if number not in self.chats:
            raise No(400, "Bad Request: chat not found")
        if number in self.hushed:
            raise No(400, "Bad Request: not enough rights to send text messages to the chat")
        return self.chats[number]

    def _keep(self, chat: int, fields: Body) -> Body:
        self._number += 1
        message = {"message_id": self._number, "date": int(time.time()), "chat": self.chats[chat], **fields}
        self.messages[chat, self._number] = message
        self.faults += self.spec.faults("Message", json.loads(json.dumps(message)))
        return message

    async def close(self) -> None:
        """Call nobody any more."""
        if self._pusher:
            self._pusher.cancel()
            await asyncio.gather(self._pusher, return_exceptions=True)

    # The server.

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as it lives."""
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether the connection may go on."""
        path, form = await _request(reader)
        if path.startswith(f"/file/bot{self.token}/"):
            content = self.uploads.get(path.rpartition("/")[2])
            return await _send(writer, 404 if content is None else 200, content or b"")
        _, bot, method = path.split("/", 2)
        asked, faults = self.spec.asked(method, form)
        if bot != f"bot{self.token}":
            return await _send(writer, 401, No(401, "Unauthorized").body)
        act = getattr(self, f"_{method}", None)
        if act is None:
            return await _send(writer, 404, No(404, "Not Found").body)
        self.faults += faults
        self.calls.append(Call(method, asked))
        self._changed.set()
        trouble = self._troubled(method)
        try:
            if trouble and trouble.hold:
                await trouble.hold.wait()
            if trouble and trouble.raw:
                return await _send(writer, trouble.status, trouble.raw)
            if trouble and trouble.no:
                raise trouble.no
            result = await act(asked)
        except No as no:
            self._changed.set()
            return await _send(writer, no.status, no.body)
        self._changed.set()
        if trouble and trouble.done:
            return False
        return await _send(writer, 200, {"ok": True, "result": result})

    def _troubled(self, method: str) -> Trouble | None:
        found = next((trouble for trouble in self.trouble if trouble.method == method), None)
        if found:
            self.trouble.remove(found)
        return found


def _by_us(message: Body) -> bool:
    return bool(message.get("from", {}).get("id") == ME["id"])


def _marked(message: Body, asked: Body) -> Body:
    """With its buttons, if Telegram takes them."""
    if markup := asked.get("reply_markup"):
        for row in markup["inline_keyboard"]:
            if not row or any(not 0 < len(one["callback_data"].encode()) <= 64 for one in row):
                raise No(400, "Bad Request: BUTTON_DATA_INVALID")
        message["reply_markup"] = markup
    return message


def _formatted(asked: Body) -> tuple[str, list[Body]]:
    """Text and entities as Telegram keeps them; it refuses what is empty, too long, or badly formed."""
    raw = asked.get("text", "").encode("utf-16-le", "surrogatepass")
    if len(raw) // 2 > 4096:
        raise No(400, "Bad Request: message is too long")
    if not asked.get("text", "").strip():
        raise No(400, "Bad Request: message text is empty")
    entities = asked.get("entities", [])
    for one in entities:
        begin, end = one["offset"], one["offset"] + one["length"]
        if one["type"] not in _ENTITIES:
            raise No(400, "Bad Request: can't parse entities: Unsupported type specified")
        if not 0 <= begin < end <= len(raw) // 2:
            raise No(400, "Bad Request: can't parse entities: ENTITY_BOUNDS_INVALID")
        if any(0xDC00 <= int.from_bytes(raw[at * 2 : at * 2 + 2], "little") < 0xE000 for at in (begin, end)):
            raise No(400, f"Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset {begin}")
    return asked["text"].strip(), entities


async def _request(reader: asyncio.StreamReader) -> tuple[str, Body]:
    """Path and arguments: from a form, or from parts where there is a file."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    _, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    kind = headers.get("content-type", "")
    form: Body = dict(parse_qsl(query, keep_blank_values=True))
    if kind.startswith("multipart/"):
        return unquote(path), form | _parts(kind, data)
    assert not data or kind == "application/x-www-form-urlencoded", kind
    return unquote(path), form | dict(parse_qsl(data.decode(), keep_blank_values=True))


def _parts(kind: str, data: bytes) -> Body:
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + data)
    form: Body = {}
    for part in whole.get_payload():
        assert not isinstance(part, str)
        content, name = part.get_payload(decode=True), part.get_param("name", header="content-disposition")
        assert isinstance(content, bytes)
        form[str(name)] = (part.get_filename(), content) if part.get_filename() else content.decode()
    # A file is sent beside the form, which names it.
    return {
        name: form.get(value.removeprefix("attach://"), value) if isinstance(value, str) else value
        for name, value in form.items()
    }


async def _send(writer: asyncio.StreamWriter, status: int, body: Any) -> bool:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} So\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    return True


class AtTelegram:
    """Ann, in private with the bot: a driver for `tests/contract`. Close its adapter when all is said."""

    def __init__(self, fake: Fake) -> None:
        quick = Rate(tokens=1000, every=0.001, gap=0.0)
        self.fake = fake
        self.adapter = Telegram(TOKEN, fake.url, pace=Pace(quick, quick, quick), poll=5)
        self.place = Place("telegram", "dm", str(DM["id"]), kind=Kind.DM)
        fake.wants = set(KINDS)  # an earlier process of this bot has asked for them

    def say(self, text: str) -> None:
        """Everything in private is meant for us."""
        self.fake.say(text)

    def command(self, name: str, args: str = "") -> None:
        """Typed, or from the menu."""
        self.fake.say(f"/{name} {args}".rstrip())

    def react(self, message: str, emoji: str) -> None:
        """As Ann."""
        self.fake.react(int(message), emoji)

    def shown(self) -> str:
        """What the bot's messages read now."""
        return "\n".join(self.fake.shown())

    def leave(self) -> None:
        """When all that was said has been heard."""
        self.fake.on_quiet = self.adapter.stop


@asynccontextmanager
async def telegram() -> AsyncIterator[Fake]:
    """A server that serves until the block ends."""
    fake = Fake()
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        try:
            with suppress(asyncio.CancelledError):  # the server ends
                await fake.serve(reader, writer)
        finally:
            talks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        await fake.close()
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
