"""Our calls of the Bot API, over python-telegram-bot. Every error that leaves here is ours: wait, try again, or never.

Telegram knows no idempotency key: a message whose answer got lost on its way may be said twice. An edit may not.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import httpx
import msgspec

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library complains of how it tells spans of time by default

from telegram import (
    Bot,
    BotCommand,
    ChatMember,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    MessageEntity,
    ReactionTypeCustomEmoji,
    ReactionTypeEmoji,
    ReplyParameters,
)
from telegram.constants import ChatAction, ReactionEmoji
from telegram.error import BadRequest, ChatMigrated
from telegram.request import HTTPXRequest

from adapters.telegram.events import PLATFORM, Me
from adapters.telegram.payloads import KINDS
from adapters.telegram.text import Piece
from adapters.telegram.trouble import Missing, Refused, Unreachable, bad_token, translated
from core.events import Place
from core.files import File

log = logging.getLogger("limen.telegram")
T = TypeVar("T")
Buttons = Sequence[Sequence[tuple[str, str]]]  # (label, what it carries), row by row

OFFICIAL = "https://api.telegram.org"
_PICTURES = ("image/jpeg", "image/png", "image/webp")
UNASKED = LinkPreviewOptions(is_disabled=True)  # nobody asked the model for a preview of what it links to
# A 400 that has one of these in it is not about the format of a text.
_NOT_FORMAT = ("not found", "not modified", "can't be edited", "rights", "too long", "closed", "empty", "deactivated")


class About(NamedTuple):
    """How a bot is set up: does it hear everything in groups, may it be added to any, and who is called of updates?"""

    me: Me
    reads_all: bool
    joins_groups: bool
    hook: str = ""
    trouble: str = ""
    pending: int = 0


class _Line(Bot):
    """The library's bot, and updates as they came: its own objects are made twice as slowly, and know less."""

    async def updates(self, offset: int, seconds: int, limit: int) -> Any:
        asked = {"offset": offset, "timeout": seconds, "limit": limit, "allowed_updates": list(KINDS)}
        return await self._post("getUpdates", asked, read_timeout=seconds + 10.0)


class Wire:
    """One bot account's calls. `base_url` is another server's address, with or without the `/bot` at its end.

    What we say follows a group that became a supergroup; what happens to a message does not, for its number would be
    another message's there. `migrated` is told if that is how we learn of it.
    """

    def __init__(self, token: str, base_url: str = "", migrated: Callable[[str, str], None] | None = None) -> None:
        bot_id, _, secret = token.partition(":")
        if not (bot_id.isascii() and bot_id.isdigit() and secret):
            raise bad_token()
        # It logs the address of every request, and the token is in that.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._server = server = (base_url or OFFICIAL).rstrip("/").removesuffix("/bot")
        self.id = int(bot_id)
        self._migrated = migrated or _nobody
        self._moved: dict[str, str] = {}  # groups that became supergroups while we spoke in them
        self._calls = HTTPXRequest(connection_pool_size=64, read_timeout=30.0, pool_timeout=30.0)
        self._polls = HTTPXRequest(connection_pool_size=1, pool_timeout=30.0)
        self._bot = _Line(
            token,
            base_url=f"{server}/bot",
            base_file_url=f"{server}/file/bot",
            request=self._calls,
            get_updates_request=self._polls,
        )

    async def close(self) -> None:
        """No more calls. The library's bot would leave its connections open if we never asked who we are."""
        await self._calls.shutdown()
        await self._polls.shutdown()

    # Who we are, and what happened.

    async def me(self) -> Me:
        """Who we are."""
        with translated():
            await self._bot.initialize()
            user = self._bot.bot
        return Me(user.id, user.username or "", user.first_name)

    async def about(self) -> About:
        """How we are set up."""
        me = await self.me()
        with translated():
            user, hook = self._bot.bot, await self._bot.get_webhook_info()
        return About(
            me, bool(user.can_read_all_group_messages), bool(user.can_join_groups),
            hook.url, hook.last_error_message or "", hook.pending_update_count,
        )  # fmt: skip

    async def manages(self, chat: str, user: str) -> bool:
        """Is somebody an administrator of a group?"""
        with translated():
            member = await self._bot.get_chat_member(int(self._moved.get(chat, chat)), int(user))
        return member.status in (ChatMember.ADMINISTRATOR, ChatMember.OWNER)

    async def hook(self, url: str, secret: str) -> None:
        """From now on Telegram calls this address, one call at a time."""
        with translated():
            await self._bot.set_webhook(url, secret_token=secret, allowed_updates=list(KINDS), max_connections=1)

    async def unhook(self) -> None:
        """From now on updates are for whoever asks. What waits is not lost."""
        with translated():
            await self._bot.delete_webhook(drop_pending_updates=False)

    async def updates(self, offset: int, seconds: int = 0, limit: int = 100) -> list[Any]:
        """What happened since, waiting so long for something. Those before `offset` are done with for good."""
        with translated():
            return list(await self._bot.updates(offset, seconds, limit))

    async def menu(self, commands: Sequence[tuple[str, str]]) -> bool:
        """Show these (name, help) in people's menu. False: it shows them already."""
        with translated():
            wanted = tuple(BotCommand(name, told[:256]) for name, told in commands)
            if await self._bot.get_my_commands() == wanted:
                return False
            await self._bot.set_my_commands(wanted)
            return True

    # What we say.

    async def say(self, place: Place, piece: Piece, answers: str = "", buttons: Buttons = ()) -> str:
        """Say something, with buttons below; its message id. Plain, if the format is refused.

        What it answers is left out where that was said in the group as it was before.
        """

        async def send(piece: Piece) -> str:
            sent = await self._bot.send_message(
                self._chat(place),
                piece.text,
                entities=_entities(piece),
                message_thread_id=_thread(place),
                reply_parameters=self._answering(place, answers),
                reply_markup=_keyboard(buttons),
                link_preview_options=UNASKED,
            )
            return str(sent.message_id)

        return await self._following(place, lambda: self._formatted(piece, send))

    async def change(self, place: Place, message: str, piece: Piece) -> None:
        """Let a message of ours read differently; that it does so already is no error."""

        async def edit(piece: Piece) -> None:
            await self._bot.edit_message_text(
                piece.text, int(place.channel), int(message), entities=_entities(piece), link_preview_options=UNASKED
            )

        with translated():
            try:
                await self._formatted(piece, edit)
            except ChatMigrated as moved:  # what was said there stays there
                self._learned(place, moved)
                raise Missing(moved.message) from moved
            except BadRequest as error:
                if "not modified" not in error.message:
                    raise

    async def _formatted(self, piece: Piece, act: Callable[[Piece], Awaitable[T]]) -> T:
        try:
            return await act(piece)
        except BadRequest as error:
            if not piece.entities or any(words in error.message.lower() for words in _NOT_FORMAT):
                raise
            log.warning("a text was refused with its format, and is sent without: %s", error.message)
            return await act(Piece(piece.text))

    async def noted(self, pressed: str, note: str) -> None:
        """A button that was pressed stops turning, and whoever pressed it may read a note."""
        with translated():
            await self._bot.answer_callback_query(pressed, note or None)

    async def unbutton(self, place: Place, message: str) -> None:
        """Take the buttons below a message of ours away."""
        with translated():
            await self._bot.edit_message_reply_markup(int(place.channel), int(message))

    async def button(self, place: Place, message: str, buttons: Buttons) -> None:
        """Put buttons below a message of ours."""
        with translated():
            await self._bot.edit_message_reply_markup(int(place.channel), int(message), reply_markup=_keyboard(buttons))

    async def unsay(self, place: Place, message: str) -> None:
        """Delete a message of ours."""
        with translated():
            await self._bot.delete_message(int(place.channel), int(message))

    async def feel(self, place: Place, message: str, emoji: str) -> bool:
        """Put an emoji on a message. False: it is not one of those that Telegram lets bots use."""
        kind, _, custom = emoji.partition(":")
        if kind != PLATFORM and emoji not in _ALLOWED:
            return False
        with translated():
            reaction = ReactionTypeCustomEmoji(custom) if kind == PLATFORM else ReactionTypeEmoji(_ALLOWED[emoji])
            await self._bot.set_message_reaction(int(place.channel), int(message), [reaction])
            return True

    async def fetch(self, file: str, most: int) -> bytes | None:
        """A file that somebody sent, by its id; None if it is longer, whatever they said it was."""
        with translated():
            found = await self._bot.get_file(file)
            if (found.file_size or 0) > most:
                return None
            if not (found.file_path or "").startswith(f"{self._server}/file/bot"):  # a server beside us: a path on disk
                content = bytes(await found.download_as_bytearray())
                return content if len(content) <= most else None
        return await self._read(str(found.file_path), most)

    async def _read(self, url: str, most: int) -> bytes | None:
        """Only as much as is allowed, whatever they said it was, and nothing unpacked. The address has the token in it:
        no error tells it."""
        content = b""
        try:
            async with (
                httpx.AsyncClient(timeout=30.0, headers={"Accept-Encoding": "identity"}) as line,
                line.stream("GET", url) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise Refused(f"the file is not there any more ({response.status_code})")
                async for piece in response.aiter_raw(65_536):
                    content += piece
                    if len(content) > most:
                        return None
        except httpx.HTTPError as error:
            raise Unreachable(f"the file did not come: {type(error).__name__}") from None
        return content

    async def typing(self, place: Place) -> None:
        """For five seconds, or until something is said."""
        with translated():
            await self._bot.send_chat_action(self._chat(place), ChatAction.TYPING, message_thread_id=_thread(place))

    async def hand(self, place: Place, file: File, caption: str, answers: str = "") -> str:
        """Give a file to whoever is there: a picture is shown. Its message id."""

        async def give() -> str:
            chat, sent = self._chat(place), InputFile(file.content, file.name)
            common: dict[str, Any] = {
                "caption": caption, "message_thread_id": _thread(place),
                "reply_parameters": self._answering(place, answers),
            }  # fmt: skip
            if file.media_type in _PICTURES:
                return str((await self._bot.send_photo(chat, sent, **common)).message_id)
            return str((await self._bot.send_document(chat, sent, **common)).message_id)

        return await self._following(place, give)

    def move(self, old: str, new: str) -> None:
        """A group has another id from now on."""
        self._moved[old] = new

    def current(self, place: Place) -> Place:
        """The place by the id that its chat has now: so Telegram will name it when somebody reacts there."""
        chat = self._moved.get(place.channel)
        return msgspec.structs.replace(place, workspace=chat, channel=chat) if chat else place

    async def _following(self, place: Place, act: Callable[[], Awaitable[T]]) -> T:
        """Do it; once more in the chat that it is by now, if it was another."""
        with translated():
            try:
                return await act()
            except ChatMigrated as moved:
                self._learned(place, moved)
                return await act()

    def _learned(self, place: Place, moved: ChatMigrated) -> None:
        old, new = place.channel, str(moved.new_chat_id)
        if self._moved.get(old) != new:
            self.move(old, new)
            self._migrated(old, new)

    def _answering(self, place: Place, answers: str) -> ReplyParameters | None:
        return _reply(answers) if place.channel not in self._moved else None

    def _chat(self, place: Place) -> int:
        return int(self.current(place).channel)


def _nobody(old: str, new: str) -> None:
    """Nobody wants to know."""


_ALLOWED = {str(emoji.value).replace("\ufe0f", ""): str(emoji.value) for emoji in ReactionEmoji}


def _entities(piece: Piece) -> list[MessageEntity] | None:
    return list(MessageEntity.de_list([entity.to_dict() for entity in piece.entities], None)) or None


def _keyboard(buttons: Buttons) -> InlineKeyboardMarkup | None:
    rows = [[InlineKeyboardButton(label, callback_data=data) for label, data in row] for row in buttons]
    return InlineKeyboardMarkup(rows) if rows else None


def _thread(place: Place) -> int | None:
    return int(place.thread) if place.thread else None


def _reply(answers: str) -> ReplyParameters | None:
    """A reply to a message that has been deleted meanwhile is said all the same."""
    return ReplyParameters(int(answers), allow_sending_without_reply=True) if answers.isdecimal() else None
