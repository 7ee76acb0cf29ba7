"""What Telegram tells becomes our events: on payloads recorded from it, and on variations of them."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telegram.events import Me, crowd, deaf, left, mentioned, moved, place_of, to_events
from adapters.telegram.payloads import KINDS, Chat, read
from core.events import (
    Addressed,
    AnyEvent,
    Attachment,
    Command,
    Edit,
    Joined,
    Kind,
    Message,
    Person,
    Place,
    Reaction,
)
from core.scopes import scope_of
from core.settings import Scope

PAYLOADS = Path("../shared/data/payloads")
ME = Me(111111111, "TheBot", "Superbot")
recorded = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="needs the recorded payloads")

Raw = dict[str, Any]
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann"}
GROUP = {"id": -1001, "type": "supergroup", "title": "Pirates"}


def payload(name: str, *path: str) -> Raw:
    raw = json.loads((PAYLOADS / name).read_text(encoding="utf-8"))
    for part in path:
        raw = raw[part]
    return raw


def heard(raw: Raw, me: Me = ME, stood: tuple[str, ...] = ()) -> list[AnyEvent]:
    update = read(raw)
    assert update
    return list(to_events(update, me, 5.0, stood))


def said(text: str = "", **fields: Any) -> Raw:
    """An update: Ann says something in the group."""
    message = {"message_id": 5, "date": 1000, "chat": GROUP, "from": ANN, "text": text}
    return {"update_id": 9, "message": {**message, **fields}}


def entity(kind: str, offset: int, length: int, **fields: Any) -> Raw:
    return {"type": kind, "offset": offset, "length": length, **fields}


def only(raw: Raw, me: Me = ME) -> AnyEvent:
    (event,) = heard(raw, me)
    return event


# Recorded.


@recorded
def test_a_private_message():
    """It is for us; a person's id is the same in every chat."""
    assert only(payload("telegram_nutgram/message.json")) == Message(
        id="123", account="telegram:111111111", place=Place("telegram", "dm", "456", kind=Kind.DM),
        author=Person("telegram:456", "Mario"), time=1684984664, text="Ciao", addressed=Addressed.DM,
    )  # fmt: skip


@recorded
def test_a_call_at_the_beginning_is_no_part_of_what_is_said():
    """`@vercelchatsdkbot hi` says hi."""
    raw = payload("vercel_chat/telegram.json")
    me = Me(int(raw["botUserId"]), raw["botName"])

    assert [event.text for event in heard(raw["mention"], me) if isinstance(event, Message)] == ["hi"]
    assert [event.text for event in heard(raw["followUp"], me) if isinstance(event, Message)] == ["how are you"]


@recorded
def test_a_command():
    """`/start` is what every bot is greeted with: it asks who we are. Its id is its own in all chats."""
    event = only(payload("telegram_nutgram/command_message.json"))
    assert isinstance(event, Command)
    assert (event.name, event.args, event.id) == ("persona", "", "456.123")


@recorded
def test_an_edited_message():
    """It reads differently now."""
    event = only(payload("telegram_nutgram/edited_message.json"))
    assert isinstance(event, Edit)
    assert (event.message_id, event.text, event.id) == ("23762", "Editing this message", "u62257549")


@recorded
def test_a_photo_with_a_caption():
    """The caption is what is said; of the sizes we take the largest."""
    event = only(payload("telegram_nutgram/photo.json"))
    assert isinstance(event, Message)
    assert event.text == "asdasdasdasdasdasd"
    assert event.attachments == (Attachment("photo.jpg", "image/jpeg", 104893, "telegram:SEES"),)


@recorded
def test_files_of_many_kinds():
    """As typed references, with size and type; and an update of two kinds is two events."""
    message, edit = heard(payload("telegram_rubenlagus/Update.json"))

    assert isinstance(message, Message)
    assert isinstance(edit, Edit)
    assert message.author.name == "Test Firstname Test Lastname"
    assert message.reply_to == "1334"
    assert [(a.name, a.media_type, a.size) for a in message.attachments] == [
        ("Testfile.pdf", "application/pdf", 536392),
        ("audio", "audio/mpeg", 3897500),
        ("voice", "audio/ogg", 23000),
    ]


@recorded
@pytest.mark.parametrize("name", ["update-with-write-access-allowed-for-webapp.json", "ResponseWithoutError.json"])
def test_what_is_said_to_nobody_is_no_event(name: str):
    """A service message without text; and every recorded update can be read."""
    updates = payload(f"telegram_rubenlagus/{name}", "result")
    assert all(read(raw) for raw in updates)
    if name.startswith("update"):
        assert heard(updates[0]) == []


@recorded
def test_a_pressed_button_of_somebody_elses_is_no_event():
    """It does not carry what ours carry; one of ours is a command of whoever it was shown to, and of nobody else."""
    raw = payload("telegram_nutgram/callback_query.json")
    assert heard(raw) == []

    raw["callback_query"]["data"] = "222222222:forget:everything yes"
    event = only(raw)
    assert isinstance(event, Command)
    assert (event.name, event.args, event.author.id, event.time) == (
        "forget",
        "everything yes",
        "telegram:222222222",
        5.0,
    )

    raw["callback_query"]["data"] = "7:forget:yes"
    assert heard(raw) == []


@recorded
def test_we_ask_for_kinds_that_there_are():
    """Reactions among them: they come only if they are named."""
    known = {field["name"] for field in payload("telegram_bot_api.min.json", "types", "Update")["fields"]}
    assert set(KINDS) < known
    assert {"message_reaction", "message_reaction_count"} < set(KINDS)


# Who is meant.


def test_a_mention_in_a_group_is_for_us():
    """However the name is written; in the middle it stays what it is."""
    event = only(said("I like @thebot!", entities=[entity("mention", 7, 7)]))
    assert isinstance(event, Message)
    assert (event.text, event.addressed) == ("I like @thebot!", Addressed.MENTION)


def test_a_mention_of_another_is_not_for_us():
    """It was only overheard."""
    event = only(said("@thebot2 hi", entities=[entity("mention", 0, 8)]))
    assert isinstance(event, Message)
    assert (event.text, event.addressed) == ("@thebot2 hi", Addressed.NO)


def test_a_bare_mention_says_something():
    """Somebody calls: the name is all there is."""
    event = only(said("@TheBot", entities=[entity("mention", 0, 7)]))
    assert isinstance(event, Message)
    assert (event.text, event.addressed) == ("@TheBot", Addressed.MENTION)


def test_people_without_a_username_are_named_and_known():
    """Telegram mentions them by id; offsets are UTF-16 units."""
    bob = {"id": 8, "is_bot": False, "first_name": "Bob"}
    raw = said("🦜🦜 ask Bob, @TheBot", entities=[entity("text_mention", 9, 3, user=bob), entity("mention", 14, 7)])
    event, update = only(raw), read(raw)

    assert isinstance(event, Message)
    assert (event.text, event.addressed) == ("🦜🦜 ask @Bob, @TheBot", Addressed.MENTION)
    assert update
    assert update.message
    assert mentioned(update.message) == {"Bob": "telegram:8"}
    assert [(person.id, person.name) for person in event.mentions] == [("telegram:8", "Bob")]


def test_people_with_a_username_are_known_once_they_have_spoken():
    """Telegram tells only the username; whom we have never met is known by that."""
    update = read(said("@Ann7, @nobody and @TheBot", entities=[
        entity("mention", 0, 5), entity("mention", 7, 7), entity("mention", 19, 7)]))  # fmt: skip
    assert update
    (event,) = to_events(update, ME, known={"ann7": 7})
    assert isinstance(event, Message)
    assert event.text == "@Ann7, @nobody and @TheBot"
    assert [(person.id, person.name) for person in event.mentions] == [
        ("telegram:7", "Ann7"), ("telegram:@nobody", "nobody")]  # fmt: skip


def test_a_reply_to_us_is_for_us():
    """And names the message it answers."""
    ours = {"message_id": 4, "date": 999, "chat": GROUP, "from": {"id": ME.id, "is_bot": True, "first_name": "S"}}
    event = only(said("no", reply_to_message=ours))
    assert isinstance(event, Message)
    assert (event.addressed, event.reply_to) == (Addressed.REPLY, "4")


def test_what_is_said_in_a_topic_that_we_opened_is_no_reply():
    """In a topic every message answers the one that opened it."""
    opening = {"message_id": 3, "date": 9, "chat": GROUP, "from": {"id": ME.id, "is_bot": True, "first_name": "S"}}
    event = only(said("hm", is_topic_message=True, message_thread_id=3, reply_to_message=opening))

    assert isinstance(event, Message)
    assert (event.addressed, event.reply_to) == (Addressed.NO, "")
    assert event.place == Place("telegram", "-1001", "-1001", "3", Kind.THREAD)


def test_a_chain_of_replies_is_no_topic():
    """Outside a forum a thread id says only where a chain began."""
    event = only(said("hm", message_thread_id=3))
    assert event.place == Place("telegram", "-1001", "-1001")


def test_other_bots_and_ourselves_are_told_apart():
    """The engine answers neither, and must know which is which."""
    other = only(said("beep", **{"from": {"id": 12, "is_bot": True, "first_name": "Beep"}}))
    own = only(said("boop", **{"from": {"id": ME.id, "is_bot": True, "first_name": "Superbot"}}))

    assert other.author == Person("telegram:12", "Beep", is_bot=True)
    assert own.author.id == own.account


def test_a_group_that_speaks_for_itself_is_no_bot():
    """Telegram writes a bot of its own into `from` of an administrator who stays unnamed."""
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    event = only(said("hear ye", sender_chat=GROUP, **{"from": anonymous}))
    assert event.author == Person("telegram:-1001", "Pirates")


def test_a_channel_post_is_the_channels():
    """It has no `from`."""
    channel = {"id": -100900, "type": "channel", "title": "News"}
    post = {"message_id": 1, "date": 1, "chat": channel, "sender_chat": channel, "text": "land!"}
    event = only({"update_id": 1, "channel_post": post})

    assert isinstance(event, Message)
    assert (event.author, event.addressed) == (Person("telegram:-100900", "News"), Addressed.NO)


def test_groups_are_walls():
    """Nobody's part of one group is their part of another, nor of their private talk."""
    scope = Scope(telegram="user")
    ann = Person("telegram:7", "Ann")
    places = [place_of(Chat(-1, "group")), place_of(Chat(-2, "group")), place_of(Chat(7, "private"))]
    assert len({scope_of(place, ann, scope) for place in places}) == 3


# Commands.


def test_a_command_with_our_name():
    """In any case, with its arguments over several lines."""
    event = only(said("/Switch@thebot orrin\nnow", entities=[entity("bot_command", 0, 14)]))
    assert isinstance(event, Command)
    assert (event.name, event.args) == ("switch", "orrin\nnow")


@pytest.mark.parametrize("text", ["/help@otherbot", "/roll"])
def test_a_command_of_another_bot_is_not_for_us(text: str):
    """Nor is it talk."""
    assert heard(said(text, entities=[entity("bot_command", 0, len(text))])) == []


def test_an_unknown_command_in_private_is_for_us():
    """Who else? The answer says what there is."""
    event = only(said("/roll", chat={"id": 7, "type": "private"}, entities=[entity("bot_command", 0, 5)]))
    assert isinstance(event, Command)
    assert event.name == "roll"


@pytest.mark.parametrize("text", ["say /help", "/usr/bin is a folder", "/ aye", "/help-me"])
def test_a_slash_in_talk_is_talk(text: str):
    """A command is a word that the text begins with."""
    event = only(said(text))
    assert isinstance(event, Message)
    assert event.text == text


def test_an_edited_command_is_not_given_again():
    """Nor does it become talk."""
    raw = said("/help", entities=[entity("bot_command", 0, 5)])
    assert heard({"update_id": 9, "edited_message": raw["message"]}) == []


# Stickers, polls, animations.


def test_a_sticker_says_its_emoji():
    """And is attached."""
    event = only(said(text="", sticker={"file_id": "S", "file_size": 10, "emoji": "👋", "is_animated": True}))
    assert isinstance(event, Message)
    assert event.text == "👋"
    assert event.attachments == (Attachment("sticker", "application/x-tgsticker", 10, "telegram:S"),)


def test_a_poll_is_read_out():
    """Question and answers."""
    event = only(said(text="", poll={"question": "Rum?", "options": [{"text": "aye"}, {"text": "nay"}]}))
    assert isinstance(event, Message)
    assert event.text == "Rum?\n- aye\n- nay"


def test_an_animation_is_one_file():
    """Telegram tells it as a document, too."""
    file = {"file_id": "A", "file_size": 3, "mime_type": "video/mp4", "file_name": "wave.mp4"}
    event = only(said(text="", animation=file, document=file))
    assert isinstance(event, Message)
    assert event.attachments == (Attachment("wave.mp4", "video/mp4", 3, "telegram:A"),)


# Reactions.


def emoji(*spelled: str) -> list[Raw]:
    return [{"type": "emoji", "emoji": one} for one in spelled]


def reacted(old: list[Raw], new: list[Raw], **fields: Any) -> Raw:
    what = {"chat": GROUP, "message_id": 4, "date": 1001, "user": ANN, "old_reaction": old, "new_reaction": new}
    return {"update_id": 10, "message_reaction": {**what, **fields}}


def felt(raw: Raw, stood: tuple[str, ...] = ()) -> list[tuple[str, bool]]:
    return [(e.emoji, e.removed) for e in heard(raw, stood=stood) if isinstance(e, Reaction)]


def test_a_reaction():
    """Who, on what, and when."""
    assert only(reacted([], emoji("👍"))) == Reaction(
        id="u10+👍", account=ME.account, place=Place("telegram", "-1001", "-1001"),
        author=Person("telegram:7", "Ann Lee"), time=1001, message_id="4", emoji="👍",
    )  # fmt: skip


def test_a_reaction_that_is_taken_back():
    """Old without new."""
    assert felt(reacted(emoji("👍"), [])) == [("👍", True)]


def test_a_reaction_that_is_changed():
    """One goes, one comes, and what stays is no news. Ids differ."""
    raw = reacted(emoji("👍", "🔥"), emoji("🔥", "👎"))
    assert felt(raw) == [("👍", True), ("👎", False)]
    assert len({event.id for event in heard(raw)}) == 2


def test_custom_and_paid_reactions():
    """Custom ones by id; a heart is one heart, however it is written."""
    custom = [{"type": "custom_emoji", "custom_emoji_id": "536"}, {"type": "paid"}, *emoji("❤️", "❤")]
    assert felt(reacted([], custom)) == [("telegram:536", False), ("telegram:paid", False), ("❤", False)]


def test_a_kind_of_reaction_that_we_do_not_know():
    """It is passed over, and what came with it counts."""
    assert felt(reacted([], [{"type": "smell", "strength": 3}, *emoji("👍")])) == [("👍", False)]


def test_a_reaction_of_an_unnamed_administrator():
    """Is the group's."""
    (event,) = heard(reacted([], emoji("👍"), user=None, actor_chat=GROUP))
    assert event.author == Person("telegram:-1001", "Pirates")


def test_a_bots_reaction_says_so():
    """It never counts."""
    (event,) = heard(reacted([], emoji("👍"), user={"id": 12, "is_bot": True, "first_name": "B"}))
    assert event.author.is_bot


def test_unnamed_people_are_one_voice():
    """However many they are; only what changed since is told."""
    counts = [{"type": emoji("👍")[0], "total_count": 5}, {"type": emoji("👎")[0], "total_count": 0}]
    raw = {
        "update_id": 11,
        "message_reaction_count": {"chat": GROUP, "message_id": 4, "date": 1, "reactions": counts},
    }
    update = read(raw)

    assert felt(raw) == [("👍", False)]
    assert felt(raw, stood=("👍", "🔥")) == [("🔥", True)]
    assert update
    assert update.message_reaction_count
    assert crowd(update.message_reaction_count) == ["👍"]
    assert {event.author.id for event in heard(raw)} == {"telegram:crowd.-1001"}


# Coming, going, moving.


def change(old: str, new: str, chat: Raw = GROUP) -> Raw:
    us = {"id": ME.id, "is_bot": True, "first_name": "Superbot"}
    what = {"chat": chat, "from": ANN, "date": 2, "old_chat_member": {"user": us, "status": old}}
    return {"update_id": 12, "my_chat_member": {**what, "new_chat_member": {"user": us, "status": new}}}


def test_we_joined():
    """Once: being made an administrator later is no joining."""
    event = only(change("left", "member"))
    assert isinstance(event, Joined)
    assert event.author.id == event.account
    assert heard(change("member", "administrator")) == []


def test_only_administrators_hear_of_reactions():
    """In a group that made us a mere member, nobody's rating will reach us."""
    updates = [read(change("left", "member")), read(change("member", "administrator")), read(change("member", "left"))]
    assert [deaf(update) for update in updates if update] == ["Pirates", "", ""]


def test_we_were_shown_the_door():
    """Nothing can be said there any more."""
    update = read(change("member", "kicked"))
    assert update
    assert (to_events(update, ME), left(update)) == ((), "-1001")


def test_somebody_unblocked_us():
    """No news, but we may speak again."""
    update = read(change("kicked", "member", {"id": 7, "type": "private"}))
    assert update
    assert (to_events(update, ME), left(update)) == ((), "")


def test_others_joined():
    """Each of them; ourselves we hear of elsewhere."""
    bob = {"id": 8, "is_bot": False, "first_name": "Bob"}
    us = {"id": ME.id, "is_bot": True, "first_name": "Superbot"}
    events = heard(said(text="", new_chat_members=[ANN, bob, us]))
    assert [(type(event), event.author.name) for event in events] == [(Joined, "Ann Lee"), (Joined, "Bob")]


@pytest.mark.parametrize(
    "fields",
    [
        {"chat": {"id": -5, "type": "group", "title": "P"}, "migrate_to_chat_id": -1005},
        {"chat": {"id": -1005, "type": "supergroup", "title": "P"}, "migrate_from_chat_id": -5},
    ],
)
def test_a_group_that_becomes_a_supergroup_has_moved(fields: dict[str, Any]):
    """The same room under another id; it is said in the old one, and in the new one."""
    update = read(said(text="", **fields))
    assert update
    assert moved(update) == (Place("telegram", "-5", "-5"), Place("telegram", "-1005", "-1005"))


# Bad input.


def test_what_is_no_update_is_none():
    """Nothing raises, whatever is missing or of another type."""
    for raw in ({}, {"update_id": "x"}, {"update_id": 1, "message": {"message_id": 1}}, {"update_id": 1, "message": 5}):
        assert read(raw) is None


def test_unknown_kinds_and_fields_are_passed_over():
    """Telegram adds some every few weeks."""
    assert heard({"update_id": 1, "telepathy": {"thought": "?"}}) == []
    assert heard(said("hi", aura="blue", chat={**GROUP, "colour": 7})) != []


def test_entities_that_lie_beyond_the_text():
    """Cut nothing and break nothing."""
    event = only(said("hi", entities=[entity("mention", 1, 900), entity("mention", 700, 3), entity("url", -4, 2)]))
    assert isinstance(event, Message)
    assert event.addressed == Addressed.NO


ODD = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**60), st.text(max_size=5), st.lists(st.none(), max_size=1))
RICH = said(
    "@TheBot 🦜 hi Bob",
    entities=[entity("mention", 0, 7), entity("text_mention", 14, 3, user={"id": 8, "first_name": "Bob"})],
    reply_to_message={"message_id": 4, "date": 9, "chat": GROUP, "from": ANN},
    photo=[{"file_id": "P", "file_size": 5}],
    sticker={"file_id": "S"},
    new_chat_members=[ANN],
) | {
    "message_reaction": reacted(emoji("👍"), emoji("👎"))["message_reaction"],
    "my_chat_member": change("left", "member")["my_chat_member"],
}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a payload."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from leaves(part, (*path, key))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(leaves(RICH), key=str)), ODD)
def test_one_odd_part_breaks_nothing(path: tuple[Any, ...], odd: Any):
    """Whatever stands where something else should: an update is read or passed over."""
    raw = copy.deepcopy(RICH)
    spot: Any = raw
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = odd
    if update := read(raw):
        assert all(event.account == ME.account for event in to_events(update, ME))


@recorded
def test_the_same_payload_is_the_same_events():
    """A redelivery has the same ids: that is how it is known."""
    raw = payload("telegram_rubenlagus/Update.json")
    assert heard(raw) == heard(copy.deepcopy(raw))
