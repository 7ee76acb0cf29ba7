"""What Discord's gateway says → events. Pure: the JSON as it came, what is known of the world, and the time go in.

What says nothing to us gives no event: our own doings, pins, embeds that unfurl, reactions to messages of others.
Nor does a moderator who clears all reactions: nobody has changed their mind by that.
"""

import mimetypes
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

from adapters.emoji import canonical, custom
from core.errors import InputError
from core.events import (
    Addressed,
    AnyEvent,
    Attachment,
    Command,
    Deletion,
    Edit,
    Joined,
    Kind,
    Message,
    Person,
    Place,
    Reaction,
)

Raw = Mapping[str, Any]

DMS = "dm"  # the workspace of all direct messages: they belong to no server
EPOCH_MS = 1_420_070_400_000  # the first second of 2015: where Discord's ids begin to count
BUTTON = "limen:"  # our buttons carry `limen:command:arguments`

_TALK = {0, 19, 20, 23}  # an ordinary message, a reply, what an app answers to a command
_JOIN = 7
_FORWARD = 1
_MANAGES = 1 << 3 | 1 << 5  # the rights Administrator and Manage Server
_TEXT_CHANNELS = {0, 5}
_CALL = re.compile(r"<@!?(\d{1,20})>")
_TOKEN = re.compile(r"<(?:(@[!&]?|#)|(a?:\w+:)|(/[^:<>]+):)(\d{1,20})>")


class Room(msgspec.Struct, frozen=True):
    """Where a channel id leads: a channel of a server, a thread of one, or the DM with `person`."""

    channel: str
    guild: str = ""
    thread: str = ""
    person: str = ""

    @property
    def place(self) -> Place:
        """The same, as everybody else calls it."""
        if not self.guild:
            return Place("discord", DMS, self.channel, kind=Kind.DM)
        kind = Kind.THREAD if self.thread else Kind.CHANNEL
        return Place("discord", self.guild, self.channel, self.thread, kind)


class World(Protocol):
    """What is known around an event. `account` is ours: `discord:` and our user id. Unknown names are empty."""

    account: str

    def room(self, channel: str) -> Room | None:
        """Where a channel or thread is."""

    def author(self, message: str) -> str:
        """The user id behind a recent message."""

    def channel_name(self, guild: str, channel: str) -> str:
        """What a channel is called."""

    def role_name(self, guild: str, role: str) -> str:
        """What a role is called."""

    def own_role(self, guild: str) -> str:
        """The role that a server gave us: people mention it and mean us."""


def person_id(user: str) -> str:
    """A user of Discord, as everybody else calls them."""
    return f"discord:{user}"


def time_of(snowflake: str) -> float:
    """When an id was made, in seconds UTC."""
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


def _when(raw: Raw) -> float:
    """When a message was written."""
    stamp = raw.get("timestamp")
    return datetime.fromisoformat(stamp).timestamp() if stamp else time_of(raw["id"])


def to_events(kind: str, raw: Raw, world: World, *, stamp: str, now: float) -> list[AnyEvent]:
    """The events in one dispatch of the gateway. `stamp` names it, the same over redeliveries.

    Raises InputError if it cannot be read.
    """
    reader = _READERS.get(kind)
    if reader is None:
        return []
    try:
        return reader(raw, world, stamp, now)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"Discord sent a {kind} that cannot be read: {error!r}") from error


def author_of(raw: Raw) -> Person:
    """Who wrote a message or used a command, by the name that the others of the server see."""
    member = raw.get("member") or {}
    user = raw.get("author") or raw.get("user") or member["user"]
    return _person(user, member, bool(raw.get("webhook_id")))


def _person(user: Raw, member: Raw, is_hook: bool = False) -> Person:
    name = member.get("nick") or user.get("global_name") or user.get("username") or ""
    return Person(person_id(user["id"]), name, bool(user.get("bot")) or is_hook)


def _place(raw: Raw, world: World) -> Place:
    channel, guild = raw["channel_id"], raw.get("guild_id") or ""
    room = world.room(channel)
    return (room if room and room.guild == guild else Room(channel, guild)).place


# Messages.


def _message(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    author = author_of(raw)
    if author.id == world.account:
        return []
    known: dict[str, Any] = {"account": world.account, "place": _place(raw, world), "author": author}
    if raw.get("type", 0) == _JOIN:
        return [Joined(id=raw["id"], **known, time=_when(raw))]
    if raw.get("type", 0) not in _TALK:
        return []
    return [
        Message(
            id=raw["id"],
            **known,
            time=_when(raw),
            text=text_of(raw, world),
            addressed=_addressed(raw, world),
            attachments=_attachments(raw),
            reply_to=_reply_to(raw),
            mentions=tuple(_mentions(raw, world)),
            room=_room(known["place"], world),
        )
    ]


def _room(place: Place, world: World) -> str:
    """What the channel is called; of a thread, the one that it belongs to."""
    return "" if place.kind == Kind.DM else world.channel_name(place.workspace, place.channel)


def _edit(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    """Also comes when a link unfurls, a message is pinned or gets a thread: then nobody has edited anything."""
    edited, user = raw.get("edited_timestamp"), (raw.get("author") or {}).get("id") or world.author(raw["id"])
    if not edited or raw.get("content") is None or person_id(user) == world.account:
        return []
    author = author_of(raw) if raw.get("author") else Person(person_id(user))
    text = text_of(raw, world)
    return [
        Edit(
            id=f"{raw['id']}:{edited}", account=world.account, place=_place(raw, world), author=author,
            time=datetime.fromisoformat(edited).timestamp(), message_id=raw["id"], text=text,
        )
    ]  # fmt: skip


def _deletion(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    return [_gone(raw["id"], raw, world, now)]


def _deletions(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    return [_gone(message, raw, world, now) for message in raw["ids"]]


def _gone(message: str, raw: Raw, world: World, now: float) -> Deletion:
    """Discord does not say who deleted it. Its writer is named, for a person's own scope is found by the person."""
    room = world.room(raw["channel_id"])
    author = Person(person_id(world.author(message) or (room.person if room else "")))
    return Deletion(
        id=f"{message}:gone", account=world.account, place=_place(raw, world), author=author, time=now,
        message_id=message,
    )  # fmt: skip


def _addressed(raw: Raw, world: World) -> Addressed:
    me, guild = world.account.removeprefix("discord:"), raw.get("guild_id")
    if not guild:
        return Addressed.DM
    content = raw.get("content") or ""
    role = world.own_role(guild) if "<@&" in content else ""
    if f"<@{me}>" in content or f"<@!{me}>" in content or (role and f"<@&{role}>" in content):
        return Addressed.MENTION
    return Addressed.REPLY if _is_reply_to(me, raw) else Addressed.NO


def _is_reply_to(me: str, raw: Raw) -> bool:
    """The message replied to may be missing; then we are among those whom the reply notifies."""
    if not _reply_to(raw):
        return False
    replied = raw.get("referenced_message")
    return replied["author"]["id"] == me if replied else any(user["id"] == me for user in raw.get("mentions") or ())


def _reply_to(raw: Raw) -> str:
    reference = raw.get("message_reference") or {}
    return "" if reference.get("type", 0) == _FORWARD else reference.get("message_id") or ""


def _attachments(raw: Raw) -> tuple[Attachment, ...]:
    files = [
        Attachment(
            file.get("filename") or "file",
            file.get("content_type") or mimetypes.guess_type(file.get("filename") or "")[0] or "",
            _size(file.get("size")),
            file.get("url") or "",
        )
        for file in raw.get("attachments") or ()
    ]
    stickers = [Attachment(sticker["name"], "image/png") for sticker in raw.get("sticker_items") or ()]
    return (*files, *stickers)


def _size(size: object) -> int:
    return size if isinstance(size, int) and size >= 0 else -1


def text_of(raw: Raw, world: World) -> str:
    """What was said, with names where Discord writes ids. A forwarded message is quoted."""
    content = raw.get("content") or ""
    for snapshot in raw.get("message_snapshots") or ():
        forwarded = (snapshot.get("message") or {}).get("content") or ""
        content += "".join(f"\n> {line}" for line in forwarded.splitlines())
    return _named(content.lstrip("\n"), raw, world)


def mentioned(raw: Raw) -> dict[str, Person]:
    """Who is mentioned in a message, or replied to in it, by user id."""
    return {user["id"]: _person(user, user.get("member") or {}) for user in raw.get("mentions") or ()}


def _mentions(raw: Raw, world: World) -> Iterator[Person]:
    """Whom the text calls: a reply alone notifies its author, too, but says no name."""
    content = raw.get("content") or ""
    if "<@" not in content:
        return
    people = mentioned(raw)
    for user in dict.fromkeys(_CALL.findall(content)):
        if person_id(user) != world.account:
            yield people.get(user) or Person(person_id(user))


def _named(content: str, raw: Raw, world: World) -> str:
    """Names for ids. A mention of us at either end only calls us, and is left out, unless it is all there is."""
    if "<" not in content:
        return content
    people, guild = mentioned(raw), raw.get("guild_id") or ""
    me, role = world.account.removeprefix("discord:"), world.own_role(guild) if guild else ""
    call = rf"<@!?{me}>" + (rf"|<@&{role}>" if role else "")
    content = re.sub(rf"\A(?:\s*(?:{call}))+[\s,:]*(?=\S)|(?<=\S)\s*(?:{call})\s*\Z", "", content)

    def name(found: re.Match[str]) -> str:
        sigil, emoji, command, number = found.groups()
        if emoji or command:
            return (emoji or command).removeprefix("a")
        if sigil == "#":
            return "#" + (world.channel_name(guild, number) or number)
        if sigil == "@&":
            return "@" + (world.role_name(guild, number) or number)
        return "@" + ((number in people and people[number].name) or number)

    return _TOKEN.sub(name, content)


# Reactions.


def _added(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    return _reaction(raw, world, stamp, now, removed=False)


def _removed(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    return _reaction(raw, world, stamp, now, removed=True)


def _reaction(raw: Raw, world: World, stamp: str, now: float, removed: bool) -> list[AnyEvent]:
    """Whose message it is may be missing. Where it is known and not ours, nobody can have rated us."""
    user, emoji = raw["user_id"], _emoji(raw["emoji"])
    of = raw.get("message_author_id") or world.author(raw["message_id"])
    if person_id(user) == world.account or not emoji or (of and person_id(of) != world.account):
        return []
    member = raw.get("member") or {}
    author = _person({**(member.get("user") or {}), "id": user}, member)
    return [
        Reaction(
            id=f"{raw['message_id']}:{user}:{emoji}:{stamp}", account=world.account, place=_place(raw, world),
            author=author, time=now, message_id=raw["message_id"], emoji=emoji, removed=removed,
        )
    ]  # fmt: skip


def _emoji(emoji: Raw) -> str:
    if emoji.get("id"):
        return custom("discord", emoji["id"])
    try:
        return canonical(emoji.get("name") or "")
    except InputError:  # newer than any table: it means nothing to us
        return ""


# Commands, and who comes in.


def _interaction(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    named = _NAMED[raw["type"]](raw["data"]) if raw["type"] in _NAMED else None
    if named is None:
        return []
    channel = raw.get("channel") or {}
    raw = {**raw, "channel_id": raw.get("channel_id") or channel.get("id")}
    name, args = named
    return [
        Command(
            id=raw["id"], account=world.account, place=_place(raw, world), author=author_of(raw),
            time=now, name=name, args=args, operator=manages(raw),
        )
    ]  # fmt: skip


def manages(raw: Raw, roles: Collection[str] = ()) -> bool:
    """Does whoever uses a command manage the server: by right, or by one of these roles?"""
    member = raw.get("member") or {}
    has_right = int(member.get("permissions") or 0) & _MANAGES
    return bool(has_right) or any(role in roles for role in member.get("roles") or ())


def _slash(data: Raw) -> tuple[str, str] | None:
    words = [data["name"], *_words(data.get("options") or ()), *([data["target_id"]] if "target_id" in data else [])]
    if words[0] == "limen" and len(words) > 1:
        words = words[1:]
    return words[0], " ".join(words[1:])


def _words(options: Any) -> list[str]:
    """Subcommands and what was filled in, in order. A yes-or-no option is said by its name."""
    words: list[str] = []
    for option in options:
        value = option.get("value")
        if "value" not in option:
            words += [option["name"], *_words(option.get("options") or ())]
        elif not isinstance(value, bool):
            words.append(str(value))
        elif value:
            words.append(option["name"])
    return words


def _button(data: Raw) -> tuple[str, str] | None:
    custom_id = data.get("custom_id") or ""
    if not custom_id.startswith(BUTTON):
        return None
    name, _, args = custom_id.removeprefix(BUTTON).partition(":")
    return (name, args) if name else None


def _guild(raw: Raw, world: World, stamp: str, now: float) -> list[AnyEvent]:
    """A server that says nothing of having been away is one that we have just joined."""
    if "unavailable" in raw:
        return []
    texts = [channel["id"] for channel in raw.get("channels") or () if channel.get("type") in _TEXT_CHANNELS]
    place = Place("discord", raw["id"], raw.get("system_channel_id") or next(iter(texts), ""))
    author, event_id = Person(world.account, is_bot=True), f"{raw['id']}:{raw.get('joined_at')}"
    return [Joined(id=event_id, account=world.account, place=place, author=author, time=now)]


_NAMED: dict[int, Callable[[Raw], tuple[str, str] | None]] = {2: _slash, 3: _button}
_READERS: dict[str, Callable[[Raw, World, str, float], list[AnyEvent]]] = {
    "MESSAGE_CREATE": _message,
    "MESSAGE_UPDATE": _edit,
    "MESSAGE_DELETE": _deletion,
    "MESSAGE_DELETE_BULK": _deletions,
    "MESSAGE_REACTION_ADD": _added,
    "MESSAGE_REACTION_REMOVE": _removed,
    "INTERACTION_CREATE": _interaction,
    "GUILD_CREATE": _guild,
}
KINDS = frozenset(_READERS)
