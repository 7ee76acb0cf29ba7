"""Telegram's own nouns, as far as we read them: typed views of the Bot API's JSON. Unknown fields are passed over.

Whatever does not fit these types is no update that we can use: `read` gives None for it, and nothing else raises.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class User(msgspec.Struct, frozen=True):
    """A person or a bot."""

    id: int
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""


class Chat(msgspec.Struct, frozen=True):
    """`private`, `group`, `supergroup` or `channel`."""

    id: int
    type: str
    title: str = ""
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    is_direct_messages: bool = False


class Entity(msgspec.Struct, frozen=True):
    """A stretch of text that is more than text. Counted in UTF-16 units."""

    type: str
    offset: int
    length: int
    user: User | None = None


class File(msgspec.Struct, frozen=True):
    """Any file. Its id is for this bot alone."""

    file_id: str
    file_size: int = -1
    file_name: str = ""
    mime_type: str = ""


class Sticker(msgspec.Struct, frozen=True):
    """A sticker, and the emoji it stands for."""

    file_id: str
    file_size: int = -1
    emoji: str = ""
    is_animated: bool = False
    is_video: bool = False


class Option(msgspec.Struct, frozen=True):
    """One answer of a poll."""

    text: str


class Poll(msgspec.Struct, frozen=True):
    """A question with answers to choose from."""

    question: str
    options: list[Option] = []


class Message(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Something said or done in a chat."""

    message_id: int
    date: int
    chat: Chat
    from_: User | None = None
    sender_chat: Chat | None = None
    message_thread_id: int = 0
    is_topic_message: bool = False
    reply_to_message: "Message | None" = None
    text: str = ""
    entities: list[Entity] = []
    caption: str = ""
    caption_entities: list[Entity] = []
    photo: list[File] = []
    document: File | None = None
    audio: File | None = None
    voice: File | None = None
    video: File | None = None
    video_note: File | None = None
    animation: File | None = None
    sticker: Sticker | None = None
    poll: Poll | None = None
    new_chat_members: list[User] = []
    migrate_to_chat_id: int = 0
    migrate_from_chat_id: int = 0


class Feeling(msgspec.Struct, frozen=True):
    """A reaction: an `emoji`, a `custom_emoji`, or a `paid` star."""

    type: str
    emoji: str = ""
    custom_emoji_id: str = ""


class Reacted(msgspec.Struct, frozen=True):
    """Somebody changed what they feel about a message: all of it before, and all of it now."""

    chat: Chat
    message_id: int
    date: int
    user: User | None = None
    actor_chat: Chat | None = None
    old_reaction: list[Feeling] = []
    new_reaction: list[Feeling] = []


class Count(msgspec.Struct, frozen=True):
    """How many feel so."""

    type: Feeling
    total_count: int


class Counted(msgspec.Struct, frozen=True):
    """What a message got from people who are not named."""

    chat: Chat
    message_id: int
    date: int
    reactions: list[Count] = []


class Pressed(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Somebody pressed a button below a message of ours, which may be gone meanwhile."""

    id: str
    from_: User
    message: Message | None = None
    data: str = ""


class Member(msgspec.Struct, frozen=True):
    """What somebody is in a chat: `member`, `administrator`, `left`, `kicked` …"""

    user: User
    status: str
    is_member: bool = False

    @property
    def inside(self) -> bool:
        """Are they in it?"""
        return self.status in ("creator", "administrator", "member") or (self.status == "restricted" and self.is_member)


class MemberChange(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Somebody made somebody something else in a chat."""

    chat: Chat
    from_: User
    date: int
    old_chat_member: Member
    new_chat_member: Member


class Update(msgspec.Struct, frozen=True):
    """One thing that happened. The kinds we do not know are all None here."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None
    message_reaction: Reacted | None = None
    message_reaction_count: Counted | None = None
    callback_query: Pressed | None = None
    my_chat_member: MemberChange | None = None


KINDS = Update.__struct_fields__[1:]
"""What to ask for in `allowed_updates`: reactions come only if they are named."""


def read(raw: Mapping[str, Any]) -> Update | None:
    """An update as Telegram sent it; None if it is none."""
    try:
        return msgspec.convert(raw, Update)
    except msgspec.ValidationError:
        return None
