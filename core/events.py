"""The nouns that every platform is normalised to. No I/O, no Redis, no platform, no imports of ours.

All are immutable msgspec Structs: an adapter makes them, the engine reads them, and they serialise as tagged msgpack.
"""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What sort of room a place is."""

    DM = "dm"
    CHANNEL = "channel"
    THREAD = "thread"


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody, by a stable platform id such as `console:local:me`. The name is only for show and may change."""

    id: str
    name: str = ""
    is_bot: bool = False


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A channel, DM or thread of one platform workspace."""

    platform: str
    workspace: str
    channel: str
    thread: str = ""
    kind: Kind = Kind.CHANNEL

    def __str__(self) -> str:
        parts = [self.platform, self.workspace, self.channel, *([self.thread] if self.thread else [])]
        return ":".join(quote(part) for part in parts)


def quote(part: str) -> str:
    """Make `part` safe between the separators `:`, `/` and `|` of our ids, reversibly (percent coding)."""
    if part.isalnum():
        return part
    return part.replace("%", "%25").replace(":", "%3A").replace("/", "%2F").replace("|", "%7C")


def unquote(part: str) -> str:
    """What `quote` was given."""
    return part.replace("%7C", "|").replace("%2F", "/").replace("%3A", ":").replace("%25", "%")


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that came with a message, by reference. `size` in bytes, -1 where the platform does not say."""

    name: str
    media_type: str
    size: int = -1
    url: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """What every event carries. `id` is the platform's own, stable over redeliveries; `time` in seconds UTC.

    `account` is the bot account that heard it, e.g. `discord:1234`: two bots in one channel hear the same event.
    """

    id: str
    account: str
    place: Place
    author: Person
    time: float


class Addressed(StrEnum):
    """How a message calls us, strongest first. NO: it was only overheard."""

    DM = "dm"
    MENTION = "mention"
    REPLY = "reply"
    NAME = "name"
    NO = "no"


class Message(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody said something. `id` is the platform's message id.

    `mentions`: whom the text calls, in order, us left out; it has their names where the platform wrote ids.
    `files`: what came with it, as the conversation will hold it (`core/files.py`); it calls nobody. `room`: what its
    channel is called, where the platform says so.
    """

    text: str
    addressed: Addressed = Addressed.NO
    attachments: tuple[Attachment, ...] = ()
    reply_to: str = ""
    files: str = ""
    mentions: tuple[Person, ...] = ()
    room: str = ""


class Edit(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A message now reads differently."""

    message_id: str
    text: str


class Deletion(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A message is gone. `author` is who deleted it, where known."""

    message_id: str


class Reaction(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An emoji was put on a message or taken away. `emoji`: bare Unicode, or `platform:id` for custom ones."""

    message_id: str
    emoji: str
    removed: bool = False


class Command(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A `/name args` of ours, typed or chosen in the platform's own menu.

    `operator`: the platform's own roles say that its author manages the place. Never so where nobody asked.
    """

    name: str
    args: str = ""
    operator: bool = False


class Joined(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody entered; `author.id` equal to the account's own id means that we did."""


AnyEvent = Message | Edit | Deletion | Reaction | Command | Joined


class PersonaKey(msgspec.Struct, frozen=True):
    """One card alive in one scope of one bot account: what evolves, and what has its own LoRA."""

    account: str
    card: str
    scope: str

    def __str__(self) -> str:
        return f"{self.account}|{quote(self.card)}|{self.scope}"

    @classmethod
    def parse(cls, text: str) -> "PersonaKey":
        """Read back what `str()` wrote. Raises ValueError if it is not one."""
        account, card, scope = text.split("|")
        return cls(account, unquote(card), scope)

    def conversation(self, place: Place | str) -> str:
        """The id of this persona's talk in one channel or thread: FIFO key of the queue and owner of the history."""
        return f"{self.account}|{quote(self.card)}|{place}"


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing said in a conversation, as its history keeps it. `ours`: we said it, as `reply_id`, to `answers`."""

    id: str
    author: Person
    text: str
    time: float
    ours: bool = False
    reply_id: str = ""
    answers: tuple[str, ...] = ()
