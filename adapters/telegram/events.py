"""What Telegram tells → our events. Pure: an update and who we are come in, events come out.

One update may be several events: a reaction carries the whole set before and after, a service message many members.
Message ids count anew in every chat, and a reaction does not say in which topic it happened.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from adapters.emoji import canonical, custom
from adapters.telegram.payloads import (
    Chat,
    Counted,
    Entity,
    Feeling,
    File,
    MemberChange,
    Message,
    Pressed,
    Reacted,
    Update,
    User,
)
from core import events
from core.commands.answers import Choice
from core.commands.desk import COMMANDS
from core.errors import InputError
from core.events import Addressed, AnyEvent, Attachment, Kind, Person, Place

PLATFORM = "telegram"
ANYBODY = "*"
ALIASES = {"start": "persona", "settings": "privacy"}  # every Telegram bot is expected to know these

NOBODY: Mapping[str, int] = {}

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?(?!\S)")
_FILES = {
    "document": "application/octet-stream",
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "video": "video/mp4",
    "video_note": "video/mp4",
    "animation": "video/mp4",
}


class Me(NamedTuple):
    """The bot account that hears."""

    id: int
    username: str
    name: str = ""

    @property
    def account(self) -> str:
        """Its name among bot accounts."""
        return f"{PLATFORM}:{self.id}"


def to_events(
    update: Update, me: Me, now: float = 0.0, stood: Collection[str] = (), known: Mapping[str, int] = NOBODY
) -> tuple[AnyEvent, ...]:
    """All that an update tells. `now`: a pressed button says not when. `stood`: what a `crowd` felt before. `known`:
    people's ids by their usernames in small letters."""
    return tuple(_events(update, me, now, stood, known))


def _events(update: Update, me: Me, now: float, stood: Collection[str], known: Mapping[str, int]) -> Iterator[AnyEvent]:
    for message in (update.message, update.channel_post):
        if message and not message.chat.is_direct_messages:
            yield from _said(message, me, known)
    for message in (update.edited_message, update.edited_channel_post):
        if message and not message.chat.is_direct_messages:
            yield from _edited(message, update.update_id, me)
    if update.message_reaction:
        yield from _felt(update.message_reaction, update.update_id, me)
    if update.message_reaction_count:
        yield from _counted(update.message_reaction_count, update.update_id, me, stood)
    if update.callback_query:
        yield from _pressed(update.callback_query, now, me)
    if update.my_chat_member:
        yield from _ours(update.my_chat_member, update.update_id, me)


# Where, and who.


def place_of(chat: Chat, thread: int = 0) -> Place:
    """A group is a workspace of its own, so that nobody's part of one group is their part of another."""
    private = chat.type == "private"
    kind = Kind.DM if private else Kind.THREAD if thread else Kind.CHANNEL
    return Place(PLATFORM, "dm" if private else str(chat.id), str(chat.id), str(thread) if thread else "", kind)


def _where(message: Message) -> Place:
    # Outside forums a thread id only says which message a chain of replies began with.
    return place_of(message.chat, message.message_thread_id if message.is_topic_message else 0)


def person(user: User) -> Person:
    """Somebody, by the id that is the same in every chat."""
    name = " ".join(part for part in (user.first_name, user.last_name) if part) or user.username
    return Person(f"{PLATFORM}:{user.id}", name, user.is_bot)


def _nobody(chat: Chat) -> Person:
    """A channel, or a group whose administrator speaks as the group itself."""
    name = chat.title or " ".join(part for part in (chat.first_name, chat.last_name) if part) or chat.username
    return Person(f"{PLATFORM}:{chat.id}", name)


def _author(message: Message) -> Person:
    """Who speaks: for a chat, Telegram puts a bot of its own in `from`."""
    if message.sender_chat:
        return _nobody(message.sender_chat)
    return person(message.from_) if message.from_ else _nobody(message.chat)


def _is_the_chat(message: Message) -> bool:
    """Only its administrators speak as a group or a channel itself."""
    return message.chat.type != "private" and _author(message).id == f"{PLATFORM}:{message.chat.id}"


# What was said.


def _said(message: Message, me: Me, known: Mapping[str, int]) -> Iterator[AnyEvent]:
    for user in message.new_chat_members:
        if user.id != me.id:  # of ourselves we hear by `my_chat_member`, wherever it happens
            yield events.Joined(
                id=f"{message.chat.id}.{message.message_id}.{user.id}", account=me.account, place=_where(message),
                author=person(user), time=message.date,
            )  # fmt: skip
    if command := _command(message):
        name, at, args = command
        if _for_us(message, name, at, me):
            yield events.Command(
                id=f"{message.chat.id}.{message.message_id}", account=me.account, place=_where(message),
                author=_author(message), time=message.date, name=ALIASES.get(name, name), args=args,
                operator=_is_the_chat(message),
            )  # fmt: skip
        return
    text, files = text_of(message, me), tuple(attachments(message))
    if text or files:
        yield events.Message(
            id=str(message.message_id), account=me.account, place=_where(message), author=_author(message),
            time=message.date, text=text, addressed=_addressed(message, me), attachments=files,
            reply_to=_reply_to(message), mentions=tuple(mentions(message, me, known)), room=message.chat.title,
        )  # fmt: skip


def _edited(message: Message, update: int, me: Me) -> Iterator[AnyEvent]:
    text = text_of(message, me)
    if text and not _command(message):
        yield events.Edit(
            id=f"u{update}", account=me.account, place=_where(message), author=_author(message), time=message.date,
            message_id=str(message.message_id), text=text,
        )  # fmt: skip


def _command(message: Message) -> tuple[str, str, str] | None:
    """(name, the bot it is for, arguments) of `/name@bot arguments`, by the text: not everybody marks it as one."""
    found = _COMMAND.match(message.text)
    return (found[1].lower(), (found[2] or "").lower(), message.text[found.end() :].strip()) if found else None


def _for_us(message: Message, name: str, at: str, me: Me) -> bool:
    """In a group other bots have commands, too: an unknown one without our name is not for us."""
    if at:
        return at == me.username.lower()
    return message.chat.type == "private" or name in COMMANDS or name in ALIASES


def button(choice: Choice, whose: str = ANYBODY) -> str:
    """What a button carries: whose it is (a person id, or anybody's), and the command it stands for, if any."""
    return f"{whose.rpartition(':')[2]}:{choice.name}:{choice.args}"


def theirs(pressed: Pressed) -> bool:
    """May the one who pressed it press it? In a group all see a button that is for one of them."""
    return pressed.data.startswith((f"{pressed.from_.id}:", f"{ANYBODY}:"))


def _pressed(pressed: Pressed, now: float, me: Me) -> Iterator[AnyEvent]:
    _, name, args = [*pressed.data.split(":", 2), "", ""][:3]
    if name and pressed.message and theirs(pressed):
        yield events.Command(
            id=f"q{pressed.id}", account=me.account, place=_where(pressed.message), author=person(pressed.from_),
            time=now, name=name, args=args,
        )  # fmt: skip


def text_of(message: Message, me: Me) -> str:
    """What was said, with people by name. A call of us that it begins with is no part of it, unless it is all."""
    if message.sticker:
        return message.sticker.emoji
    if message.poll:
        return "\n".join([message.poll.question, *(f"- {option.text}" for option in message.poll.options)])
    text = message.text or message.caption
    calls = [entity for entity in _entities(message) if entity.type in ("mention", "text_mention")]
    if not calls:
        return text
    units, parts, at = _units(text), list[str](), 0
    for entity in sorted(calls, key=lambda entity: entity.offset):
        before = _part(units, at, entity.offset)
        if _is_us(units, entity, me) and not "".join([*parts, before]).strip():
            at = entity.offset + entity.length
        elif entity.offset >= at:
            parts += [before, _name(units, entity)]
            at = entity.offset + entity.length
    rest = _part(units, at)
    return "".join([*parts, rest]) if parts else rest.lstrip(" ,:;–-\n") or text


def _entities(message: Message) -> list[Entity]:
    return message.entities or message.caption_entities


def _name(units: bytes, entity: Entity) -> str:
    said = _part(units, entity.offset, entity.offset + entity.length)
    return said if said.startswith("@") else f"@{said}"


def _is_us(units: bytes, entity: Entity, me: Me) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    said = _part(units, entity.offset, entity.offset + entity.length)
    return entity.type == "mention" and said.lower() == f"@{me.username.lower()}"


def mentions(message: Message, me: Me, known: Mapping[str, int]) -> Iterator[Person]:
    """Whom it calls, us left out. `known`: ids by username; whoever is not among them is `telegram:@username`."""
    if not any(entity.type in ("mention", "text_mention") for entity in _entities(message)):
        return
    units, seen = _units(message.text or message.caption), set[str]()
    for entity in _entities(message):
        one = _mentioned(units, entity, known)
        if one and one.id not in seen and not _is_us(units, entity, me):
            seen.add(one.id)
            yield one


def _mentioned(units: bytes, entity: Entity, known: Mapping[str, int]) -> Person | None:
    if entity.type == "text_mention":
        return person(entity.user) if entity.user else None
    if entity.type != "mention":
        return None
    name = _part(units, entity.offset, entity.offset + entity.length).lstrip("@")
    return Person(f"{PLATFORM}:{known.get(name.lower()) or f'@{name.lower()}'}", name)


def mentioned(message: Message) -> dict[str, str]:
    """The people that a message calls by name alone, because they have no username: name → person id."""
    units = _units(message.text or message.caption)
    return {
        _part(units, entity.offset, entity.offset + entity.length).lstrip("@"): f"{PLATFORM}:{entity.user.id}"
        for entity in _entities(message)
        if entity.type == "text_mention" and entity.user
    }


def _addressed(message: Message, me: Me) -> Addressed:
    if message.chat.type == "private":
        return Addressed.DM
    units = _units(message.text or message.caption)
    if any(_is_us(units, entity, me) for entity in _entities(message)):
        return Addressed.MENTION
    answered = message.reply_to_message
    if _reply_to(message) and answered and answered.from_ and answered.from_.id == me.id:
        return Addressed.REPLY
    return Addressed.NO


def _reply_to(message: Message) -> str:
    """The message that is answered. In a topic every message answers the one that opened the topic: that is none."""
    answered = message.reply_to_message
    if answered is None or (message.is_topic_message and answered.message_id == message.message_thread_id):
        return ""
    return str(answered.message_id)


def attachments(message: Message) -> Iterator[Attachment]:
    """Files by reference: the id under which this bot can fetch them. A photo comes in several sizes: the largest."""
    if message.photo:
        yield _attachment(message.photo[-1], "photo.jpg", "image/jpeg")
    for field, media_type in _FILES.items():
        file = getattr(message, field)
        if file and not (field == "document" and message.animation):  # an animation is told twice
            yield _attachment(file, field, media_type)
    if sticker := message.sticker:
        kind = "video/webm" if sticker.is_video else "application/x-tgsticker" if sticker.is_animated else "image/webp"
        yield Attachment("sticker", kind, sticker.file_size, f"{PLATFORM}:{sticker.file_id}")


def _attachment(file: File, name: str, media_type: str) -> Attachment:
    reference = f"{PLATFORM}:{file.file_id}"
    return Attachment(file.file_name or name, file.mime_type or media_type, file.file_size, reference)


# What was felt.


def _felt(reacted: Reacted, update: int, me: Me) -> Iterator[AnyEvent]:
    author = person(reacted.user) if reacted.user else _nobody(reacted.actor_chat or reacted.chat)
    yield from _changes(reacted, author, _keys(reacted.old_reaction), _keys(reacted.new_reaction), update, me)


def crowd(counted: Counted) -> list[str]:
    """The emoji that unnamed people have on a message now."""
    return _keys([count.type for count in counted.reactions if count.total_count > 0])


def _counted(counted: Counted, update: int, me: Me, stood: Collection[str]) -> Iterator[AnyEvent]:
    """However many they are, people whom nobody can tell apart are one voice."""
    author = Person(f"{PLATFORM}:crowd.{counted.chat.id}", "anonymous")
    yield from _changes(counted, author, stood, crowd(counted), update, me)


def _changes(
    what: Reacted | Counted, author: Person, old: Collection[str], new: Collection[str], update: int, me: Me
) -> Iterator[AnyEvent]:
    gone = [(emoji, True) for emoji in old if emoji not in new]
    came = [(emoji, False) for emoji in new if emoji not in old]
    for emoji, removed in gone + came:
        yield events.Reaction(
            id=f"u{update}{'-' if removed else '+'}{emoji}", account=me.account, place=place_of(what.chat),
            author=author, time=what.date, message_id=str(what.message_id), emoji=emoji, removed=removed,
        )  # fmt: skip


def _keys(feelings: list[Feeling]) -> list[str]:
    """Canonical emoji, each once."""
    return list(dict.fromkeys(key for feeling in feelings if (key := _key(feeling))))


def _key(feeling: Feeling) -> str:
    if feeling.type == "custom_emoji":
        return custom(PLATFORM, feeling.custom_emoji_id)
    if feeling.type == "paid":
        return custom(PLATFORM, "paid")
    try:
        return canonical(feeling.emoji)
    except InputError:  # a kind of reaction that Telegram has added since
        return ""


# Who came.


def _ours(change: MemberChange, update: int, me: Me) -> Iterator[AnyEvent]:
    """We were let in. That somebody unblocked us in private is no news to anybody."""
    came = change.new_chat_member.inside and not change.old_chat_member.inside
    if came and change.chat.type != "private":
        yield events.Joined(
            id=f"u{update}", account=me.account, place=place_of(change.chat),
            author=Person(me.account, me.name or me.username, is_bot=True), time=change.date,
        )  # fmt: skip


def left(update: Update) -> str:
    """The chat that we may no longer speak in, if that is what this update says."""
    change = update.my_chat_member
    return str(change.chat.id) if change and not change.new_chat_member.inside else ""


def deaf(update: Update) -> str:
    """The group whose reactions we shall not hear of, if this update says so: only administrators are told."""
    change = update.my_chat_member
    if change is None or change.chat.type == "private" or not change.new_chat_member.inside:
        return ""
    return "" if change.new_chat_member.status == "administrator" else change.chat.title or str(change.chat.id)


def moved(update: Update) -> tuple[Place, Place] | None:
    """A group became a supergroup: the same room under another id (from, to). It is told there and here."""
    message = update.message
    if message and message.migrate_to_chat_id:
        return place_of(message.chat), place_of(Chat(message.migrate_to_chat_id, "supergroup", message.chat.title))
    if message and message.migrate_from_chat_id:
        return place_of(Chat(message.migrate_from_chat_id, "group", message.chat.title)), place_of(message.chat)
    return None


# Texts are counted in UTF-16 units.


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _part(units: bytes, start: int, end: int | None = None) -> str:
    return units[start * 2 : None if end is None else end * 2].decode("utf-16-le", "replace")
