"""What Discord's gateway says becomes events: on payloads as they were recorded, and on what is missing from them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.discord.events import Room, mentioned, time_of, to_events
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

SHARED = Path(os.environ.get("LIMEN_SHARED", Path(__file__).parents[4] / "shared"))
RECORDED = SHARED / "data/payloads/discord_omni_real_payloads.json"
REPLAY = SHARED / "data/payloads/vercel_chat/channel__discord.json"
ME, TOM, GUILD, CHANNEL = "42", "230869302276784128", "7", "901"
needs_recorded = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded payloads are not here")
needs_replay = pytest.mark.skipif(not REPLAY.exists(), reason="the recorded payloads are not here")


class Around:
    """A small world."""

    def __init__(self, me: str = ME) -> None:
        self.account = f"discord:{me}"
        self.rooms = {"555": Room(CHANNEL, GUILD, "555"), CHANNEL: Room(CHANNEL, GUILD)}
        self.authors: dict[str, str] = {}

    def room(self, channel: str) -> Room | None:
        return self.rooms.get(channel)

    def author(self, message: str) -> str:
        return self.authors.get(message, "")

    def channel_name(self, guild: str, channel: str) -> str:
        return {CHANNEL: "general"}.get(channel, "")

    def role_name(self, guild: str, role: str) -> str:
        return {"66": "Moderators"}.get(role, "")

    def own_role(self, guild: str) -> str:
        return "77" if guild == GUILD else ""


def recorded(group: str, kind: str) -> list[dict[str, Any]]:
    """The payloads of one kind, as they came from the real gateway."""
    return [each["payload"] for each in json.loads(RECORDED.read_text())[group][kind]]


def read(kind: str, raw: dict[str, Any], world: Around | None = None, stamp: str = "s:9") -> list[AnyEvent]:
    """As the adapter does it."""
    return to_events(kind, raw, world or Around(), stamp=stamp, now=5.0)


def said(content: str = "hello", **more: Any) -> dict[str, Any]:
    """A message in a channel."""
    return {
        "id": "1467362417523687485", "type": 0, "content": content, "channel_id": CHANNEL, "guild_id": GUILD,
        "author": {"id": TOM, "username": "tom", "global_name": "Tom"}, "member": {"nick": None}, "mentions": [],
        "attachments": [], **more,
    }  # fmt: skip


def heard(content: str = "hello", **more: Any) -> Message:
    """The one message that it becomes."""
    (event,) = read("MESSAGE_CREATE", said(content, **more))
    assert isinstance(event, Message)
    return event


@needs_recorded
def test_recorded_direct_messages_are_heard():
    """With who said it, when, and where."""
    text, pdf, video = (read("MESSAGE_CREATE", raw)[0] for raw in recorded("messages", "MESSAGE_CREATE"))

    assert Message(
        id="1467362417523687485", account="discord:42", author=Person(f"discord:{TOM}", "Test User"),
        place=Place("discord", "dm", "750023285147697282", kind=Kind.DM), time=1769916862.613, text="Buenas na DM",
        addressed=Addressed.DM,
    ) == text  # fmt: skip
    assert isinstance(pdf, Message)
    assert isinstance(video, Message)
    assert (
        Attachment("comprovante_1593783_1.pdf", "application/pdf", 63867, "https://cdn.discordapp.com/[REDACTED]"),
    ) == pdf.attachments
    assert [("video/mp4", 54504355)] == [(file.media_type, file.size) for file in video.attachments]


@needs_recorded
def test_recorded_updates_are_edits_only_if_somebody_edited():
    """A thread that begins at a message and a pin come as updates as well."""
    edited, threaded, pinned = (read("MESSAGE_UPDATE", raw) for raw in recorded("messages", "MESSAGE_UPDATE"))

    (edit,) = edited
    assert isinstance(edit, Edit)
    assert ("1467362714920947877", "Message edited!") == (edit.message_id, edit.text)
    assert edit.id == "1467362714920947877:2026-02-01T03:35:38.927647+00:00"
    assert ([], []) == (threaded, pinned)


@needs_recorded
def test_recorded_deletion_names_the_person_of_the_dm():
    """Discord does not say whose message it was; the DM has but one other."""
    world, (raw,) = Around(), recorded("messages", "MESSAGE_DELETE")
    world.rooms[raw["channel_id"]] = Room(raw["channel_id"], person=TOM)
    (event,) = read("MESSAGE_DELETE", raw, world)

    assert isinstance(event, Deletion)
    assert ("1467363950361444667", f"discord:{TOM}", "dm") == (event.message_id, event.author.id, event.place.workspace)


@needs_recorded
def test_recorded_reactions_on_our_messages_are_heard():
    """Added with a name, removed without; those on messages of others cannot be ours, where Discord says whose."""
    ours = Around(TOM)
    added = [read("MESSAGE_REACTION_ADD", raw, ours) for raw in recorded("reactions", "MESSAGE_REACTION_ADD")]
    removed = [read("MESSAGE_REACTION_REMOVE", raw, ours) for raw in recorded("reactions", "MESSAGE_REACTION_REMOVE")]
    of_others = [read("MESSAGE_REACTION_ADD", raw) for raw in recorded("reactions", "MESSAGE_REACTION_ADD")]
    remembered = Around()
    remembered.authors["1467363183181303818"] = TOM
    of_others += [
        read("MESSAGE_REACTION_REMOVE", raw, remembered) for raw in recorded("reactions", "MESSAGE_REACTION_REMOVE")
    ]

    events = [event for found in [*added, *removed] for event in found if isinstance(event, Reaction)]
    assert [("🔥", False), ("🔥", False), ("👍", False), ("🔥", True), ("👍", True)] == [
        (event.emoji, event.removed) for event in events
    ]
    assert ["", "Test User"] == [event.author.name for event in events[:2]]
    assert [[]] * 5 == of_others


@needs_recorded
def test_recorded_servers_were_there_before():
    """They come with every start: nobody has joined."""
    assert [[], []] == [read("GUILD_CREATE", raw) for raw in recorded("guild", "GUILD_CREATE")]


@needs_recorded
def test_every_recorded_payload_is_read_or_left():
    """None of them is a surprise, and what people say and take back is all heard."""
    told: dict[str, list[bool]] = {}
    for group in json.loads(RECORDED.read_text()).values():
        for kind, payloads in group.items():
            told.setdefault(kind, []).extend(bool(read(kind, each["payload"])) for each in payloads)

    assert all(all(told[kind]) for kind in ("MESSAGE_CREATE", "MESSAGE_DELETE", "MESSAGE_REACTION_REMOVE"))
    assert not any(told["TYPING_START"] + told["PRESENCE_UPDATE"])


@needs_replay
def test_a_recorded_mention_is_meant_for_us():
    """The mention itself is no part of what was said."""
    replay = json.loads(REPLAY.read_text())
    (event,) = read("MESSAGE_CREATE", replay["mention"]["data"], Around(replay["applicationId"]))

    assert isinstance(event, Message)
    assert ("Test", Addressed.MENTION, "Test User") == (event.text, event.addressed, event.author.name)


@needs_replay
def test_a_recorded_button_that_is_not_ours_says_nothing():
    """Another part of the same app may have set it."""
    raw = json.loads(REPLAY.read_text())["channel_post_action"]

    assert [] == read("INTERACTION_CREATE", raw)
    (ours,) = read("INTERACTION_CREATE", {**raw, "data": {"component_type": 2, "custom_id": "limen:regenerate"}})
    assert isinstance(ours, Command)
    assert ("regenerate", "", "discord:1033044521375764530") == (ours.name, ours.args, ours.author.id)


def test_mentions_become_names():
    """People, channels, roles, custom emoji and commands, as people read them; the ids stay at hand."""
    tom = {"id": "8", "username": "tom8", "global_name": "Tom", "member": {"nick": "Tommy"}}
    text = "<@8> and <@!9> in <#901>, <#902>: <@&66> <a:wave:12> <:ok:13> </help:14> <t:1:R> 1 < 2"

    assert (
        "@Tommy and @9 in #general, #902: @Moderators :wave: :ok: /help <t:1:R> 1 < 2"
        == heard(text, mentions=[tom]).text
    )
    assert {"8": Person("discord:8", "Tommy")} == mentioned(said(mentions=[tom]))
    assert (Person("discord:8", "Tommy"), Person("discord:9")) == heard(text + " <@8>", mentions=[tom]).mentions


def test_whom_a_message_calls_is_known_by_id():
    """We are left out, and so is whoever is only replied to: Discord lists them too."""
    tom = {"id": "8", "username": "tom8"}
    assert () == heard("ahoy", mentions=[tom]).mentions
    assert () == heard(f"<@{ME}> ahoy, all in <#901> and <@&66>", mentions=[]).mentions


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@42> hi", "hi"),
        ("<@!42>, hi", "hi"),
        ("hi <@42>", "hi"),
        ("<@&77> hi", "hi"),
        ("hey <@42> you", "hey @limen you"),
        ("<@42>", "@limen"),
    ],
)
def test_a_mention_of_us_calls_us(content, text):
    """By name or by our role; at either end it is left out of what was said."""
    message = heard(content, mentions=[{"id": ME, "username": "limen"}])

    assert (text, Addressed.MENTION) == (message.text, message.addressed)


def test_a_reply_to_us_is_told_from_a_mention():
    """Discord lists whom a reply notifies among the mentions; the message itself may be missing."""
    reference = {"type": 19, "message_reference": {"message_id": "11", "channel_id": CHANNEL}}
    notified = {"mentions": [{"id": ME, "username": "limen"}]}

    assert (Addressed.REPLY, "11") == (heard(**reference, **notified).addressed, heard(**reference).reply_to)
    assert Addressed.REPLY == heard(**reference, referenced_message={"author": {"id": ME}}).addressed
    assert Addressed.NO == heard(**reference, referenced_message={"author": {"id": "9"}}, **notified).addressed
    assert Addressed.NO == heard(**reference, referenced_message=None).addressed


def test_a_forwarded_message_is_quoted_and_no_reply():
    """What was forwarded is what is talked about."""
    forwarded = heard(
        "", message_reference={"type": 1, "message_id": "11"}, message_snapshots=[{"message": {"content": "one\ntwo"}}]
    )

    assert ("> one\n> two", "", Addressed.NO) == (forwarded.text, forwarded.reply_to, forwarded.addressed)


def test_a_thread_belongs_to_its_channel():
    """The gateway only names the thread."""
    assert Place("discord", GUILD, CHANNEL, "555", Kind.THREAD) == heard(channel_id="555").place
    assert Place("discord", GUILD, "666") == heard(channel_id="666").place


def test_names_are_those_that_others_see():
    """A nickname before a display name before a user name."""
    user = {"id": TOM, "username": "tom"}

    assert "Tommy" == heard(member={"nick": "Tommy"}).author.name
    assert "Tom" == heard().author.name
    assert "tom" == heard(author=user).author.name


def test_bots_and_webhooks_are_told_apart_and_our_own_words_are_no_event():
    """Not when we say them, not when we edit them, not when we react."""
    us = {"id": ME, "username": "limen", "bot": True}
    edit = said(author=us, edited_timestamp="2026-02-01T03:35:38+00:00")
    reaction = {"user_id": ME, "message_id": "1", "channel_id": CHANNEL, "guild_id": GUILD, "emoji": {"name": "👍"}}

    assert heard(author={"id": "9", "username": "other", "bot": True}).author.is_bot
    assert heard(webhook_id="9").author.is_bot
    assert [] == read("MESSAGE_CREATE", said(author=us))
    assert [] == read("MESSAGE_UPDATE", edit)
    assert [] == read("MESSAGE_REACTION_ADD", reaction)


def test_a_partial_update_is_enough_for_an_edit():
    """Its author may be missing: then it is who is remembered. An embed that unfurls is no edit."""
    world = Around()
    world.authors["11"] = TOM
    partial = {"id": "11", "channel_id": CHANNEL, "guild_id": GUILD}
    stamped = {**partial, "content": "again", "edited_timestamp": "2026-02-01T03:35:38+00:00"}
    (edit,) = read("MESSAGE_UPDATE", stamped, world)

    assert ("again", f"discord:{TOM}", 1769916938.0) == (edit.text, edit.author.id, edit.time)
    assert [] == read("MESSAGE_UPDATE", {**partial, "embeds": [{"title": "a page"}]}, world)
    assert [] == read("MESSAGE_UPDATE", {**stamped, "content": None}, world)


def test_a_bulk_deletion_is_many():
    """Each by its own id."""
    events = read("MESSAGE_DELETE_BULK", {"ids": ["11", "12"], "channel_id": "555", "guild_id": GUILD})

    assert [("11", "555"), ("12", "555")] == [(event.message_id, event.place.thread) for event in events]
    assert len({event.id for event in events}) == 2


def test_a_reaction_needs_no_author_of_the_message():
    """Discord often omits it; custom emoji, skin and super reactions are one key each."""
    raw = {"user_id": TOM, "message_id": "11", "channel_id": "555", "guild_id": GUILD}
    emoji = [{"id": "99", "name": "party"}, {"id": "99", "name": None}, {"id": None, "name": "👍🏽"}]
    found = [read("MESSAGE_REACTION_ADD", {**raw, "emoji": each, "burst": True, "type": 1}) for each in emoji]

    assert ["discord:99", "discord:99", "👍"] == [event.emoji for (event,) in found]
    assert [] == read("MESSAGE_REACTION_ADD", {**raw, "emoji": {"id": None, "name": "no emoji"}})


def test_the_same_reaction_twice_has_one_id_and_a_new_one_another():
    """What is redelivered carries the same stamp; who takes it back and gives it again has reacted anew."""
    raw = {"user_id": TOM, "message_id": "11", "channel_id": CHANNEL, "guild_id": GUILD, "emoji": {"name": "👍"}}
    first, again, anew = (read("MESSAGE_REACTION_ADD", raw, stamp=stamp)[0].id for stamp in ("s:1", "s:1", "s:5"))

    assert (first, True) == (again, first != anew)


@pytest.mark.parametrize(
    ("data", "name", "args"),
    [
        ({"name": "persona"}, "persona", ""),
        ({"name": "switch", "options": [{"name": "name", "type": 3, "value": "orrin"}]}, "switch", "orrin"),
        ({"name": "history", "options": [{"name": "count", "type": 4, "value": 50}]}, "history", "50"),
        ({"name": "forget", "options": [{"name": "everything", "type": 5, "value": True},
                                        {"name": "yes", "type": 5, "value": False}]}, "forget", "everything"),
        ({"name": "limen", "options": [{"name": "forget", "type": 1, "options": []}]}, "forget", ""),
        ({"name": "regenerate", "type": 3, "target_id": "11"}, "regenerate", "11"),
    ],
)  # fmt: skip
def test_slash_commands_are_commands(data, name, args):
    """Options in order; a yes-or-no option is said by its name."""
    raw = {"id": "1467362417523687485", "type": 2, "data": data, "channel_id": "555", "guild_id": GUILD,
           "member": {"user": {"id": TOM, "username": "tom"}, "nick": "Tommy"}}  # fmt: skip
    (command,) = read("INTERACTION_CREATE", raw)

    assert isinstance(command, Command)
    assert (name, args, "Tommy", "555") == (command.name, command.args, command.author.name, command.place.thread)


def test_a_command_in_a_dm_is_that_persons():
    """There the user stands where a member stands elsewhere."""
    raw = {"id": "1467362417523687485", "type": 2, "data": {"name": "help"}, "channel": {"id": "3", "type": 1},
           "user": {"id": TOM, "username": "tom"}}  # fmt: skip
    (command,) = read("INTERACTION_CREATE", raw)

    assert (f"discord:{TOM}", Place("discord", "dm", "3", kind=Kind.DM)) == (command.author.id, command.place)
    assert [] == read("INTERACTION_CREATE", {"id": "1", "type": 1})


def test_who_comes_in_has_joined():
    """A person, by the server's own line; and we, where a server was not just away."""
    (line,) = read("MESSAGE_CREATE", said("", type=7))
    channels = [{"id": "1", "type": 4}, {"id": "2", "type": 0}]
    (us,) = read("GUILD_CREATE", {"id": GUILD, "joined_at": "t", "channels": channels})

    assert [Joined, Joined] == [type(event) for event in (line, us)]
    assert [f"discord:{TOM}", "discord:42"] == [event.author.id for event in (line, us)]
    assert ("2", [], []) == (
        us.place.channel,
        read("GUILD_CREATE", {"id": GUILD, "unavailable": False}),
        read("MESSAGE_CREATE", said(type=6)),
    )


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"author": 3}, {"ids": 4}, {"type": 2}, {"user_id": "1"}])
@pytest.mark.parametrize(
    "kind", ["MESSAGE_CREATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD", "INTERACTION_CREATE"]
)
def test_what_cannot_be_read_is_said_by_name(kind, raw):
    """Nothing else escapes."""
    with pytest.raises(InputError, match=kind):
        read(kind, raw)


def test_ids_know_their_time_and_unknown_kinds_say_nothing():
    """And fields that nobody knows do no harm."""
    assert 1769916862.613 == time_of("1467362417523687485") == heard().time
    assert 1769916938.5 == heard(timestamp="2026-02-01T03:35:38.500000+00:00").time
    assert [] == read("SOMETHING_NEW", {"a": 1})
    assert "hello" == heard(something_new=[1]).text


def test_odd_attachments_are_taken_as_they_are():
    """No type, no size, a sticker: what is unknown is said to be."""
    files = [{"filename": "a.png"}, {"filename": "b", "size": "big"}, {"filename": "c.txt", "size": -4, "url": None}]
    message = heard(attachments=files, sticker_items=[{"id": "1", "name": "wave", "format_type": 1}])

    assert [("a.png", "image/png", -1), ("b", "", -1), ("c.txt", "text/plain", -1), ("wave", "image/png", -1)] == [
        (file.name, file.media_type, file.size) for file in message.attachments
    ]
