"""What Slack tells, as events: on payloads that Slack sent to somebody, and on what its documentation warns of."""

import copy
import functools
import json
import operator
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slack.events import strangers, to_event
from adapters.slack.names import drawn, key, spellings
from adapters.slack.view import Us, View
from core.events import (
    Addressed,
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

PAYLOADS = Path(__file__).resolve().parents[4] / "shared/data/payloads"
RECORDED = Path(os.environ.get("LIMEN_TEST_PAYLOADS", PAYLOADS))
NOW = 1_700_000_000.0
US = Us("T1", "UBOT", "BBOT", "Mira")
ANN = Person("slack:T1:UANN", "Ann")
VIEW = View(US, {"UANN": ANN, "UROB": Person("slack:T1:UROB", "Rob", is_bot=True)})
ROOM = Place("slack", "T1", "C1")
TS = "1700000001.000100"


def body(event: dict, **outer: object) -> dict:
    """As the Events API wraps it."""
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event, **outer}


def said(text: str = "hello", **fields: object) -> dict:
    """Ann says something in C1."""
    event = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "UANN", "ts": TS, "event_ts": TS}
    return body({**event, "text": text, **fields})


def message(text: str = "hello", **fields: object) -> Message:
    """The event of it."""
    event = to_event(said(text, **fields), VIEW, NOW)
    assert isinstance(event, Message)
    return event


# Recorded payloads.


@pytest.fixture
def recorded():
    """A file of payloads that Slack sent."""
    if not RECORDED.is_dir():
        pytest.skip("the recorded payloads are not here")

    def read(name: str) -> dict:
        return json.loads((RECORDED / "vercel_chat" / f"{name}.json").read_text())

    return read


def theirs(file: dict) -> View:
    """Who the bot was there."""
    first = next(value for value in file.values() if isinstance(value, dict) and "team_id" in value)
    return View(Us(first["team_id"], file["botUserId"], name=file["botName"]))


def test_a_recorded_mention_opens_a_thread(recorded):
    """The mention itself goes; a channel without a name keeps its id."""
    file = recorded("channel-mention__slack")
    event = to_event(file["mention"], theirs(file), NOW)
    assert event == Message(
        id="1773327463.619929", account="slack:T00FAKE00AA:U00FAKEBOT01", time=1773327463.619929,
        place=Place("slack", "T00FAKE00AA", "C00FAKECHAN1", "1773327463.619929", Kind.THREAD),
        author=Person("slack:T00FAKE00AA:U00FAKEUSER1"), addressed=Addressed.MENTION,
        text="Can you see the name of this channel: #C00FAKECHAN2?",
    )  # fmt: skip


def test_recorded_follow_ups_are_in_the_same_conversation(recorded):
    """The mention, and what was said below it."""
    file = recorded("slack")
    first, second = (to_event(file[name], theirs(file), NOW) for name in ("mention", "followUp"))
    assert first.place == second.place
    assert (second.text, second.reply_to, second.addressed) == ("Hi", first.id, Addressed.NO)


def test_a_recorded_dm_is_a_dm(recorded):
    """And so it is where Slack does not say what kind of channel it is."""
    file = recorded("dm__slack")
    for raw in (file["dmMessage"], {**file["dmMessage"], "event": file["dmMessage"]["event"] | {"channel_type": None}}):
        event = to_event(raw, theirs(file), NOW)
        assert (event.text, event.place.kind, event.place.thread) == ("Hey!", Kind.DM, "")
        assert event.addressed == Addressed.DM


def test_a_recorded_reaction_is_on_the_message(recorded):
    """By its channel and id alone."""
    file = recorded("actions-reactions__slack")
    event = to_event(file["reaction"], theirs(file), NOW)
    assert isinstance(event, Reaction)
    assert (event.emoji, event.message_id, event.removed) == ("👍", "1767326126.896109", False)
    assert event.place == Place("slack", "T00FAKE00AA", "C00FAKECHAN1")
    assert event.id == "1767326140.000700:U00FAKEUSER1:+1:C00FAKECHAN1:1767326126.896109"


def test_a_recorded_join_is_ours(recorded):
    """We were invited."""
    file = recorded("member-joined-channel__slack")
    event = to_event(file["memberJoinedChannel"], theirs(file), NOW)
    assert isinstance(event, Joined)
    assert (event.author.id, event.id) == (event.account, "Ev00FAKE0001")


def test_recorded_slash_commands(recorded):
    """The first word is the command; none asks for help."""
    file = recorded("slash-commands__slack")
    bare, full = (to_event(file[name], theirs(file), NOW) for name in ("slashCommand", "slashCommandWithArgs"))
    assert isinstance(full, Command)
    assert (bare.name, bare.args, full.name, full.args) == ("help", "", "some", "arguments here")
    assert (full.author.name, full.time) == ("testuser", NOW)


def test_interactions_are_none_of_ours(recorded):
    """Buttons and forms of others."""
    for name in ("actions-reactions__slack", "modals__slack", "modals__slack-private-metadata"):
        file = recorded(name)
        raws = [raw for raw in file.values() if isinstance(raw, dict) and raw.get("type") != "event_callback"]
        assert raws
        assert not any(to_event(raw, theirs(file), NOW) for raw in raws if "command" not in raw)


def test_every_event_that_slack_documents_is_taken_or_left():
    """The samples of its own SDK, all fields of them empty: nothing raises."""
    if not RECORDED.is_dir():
        pytest.skip("the recorded payloads are not here")
    with tarfile.open(RECORDED / "slack_java_sdk_samples_events_rtm.tar.gz") as tar:
        files = [tar.extractfile(one) for one in tar.getmembers() if one.name.endswith(".json")]
        raws = [json.load(file) for file in files if file]
    for raw in raws:
        assert to_event(raw, VIEW, NOW) is None  # they name no channel
        assert isinstance(strangers(raw, {}), list)
    assert len(raws) > 100


# Messages.


def test_text_is_decoded():
    """Names, channels, groups, dates, addresses, escapes, emoji."""
    raw = (
        "&lt;b&gt; &amp;lt; <@UANN> <@UNEW> <@UX|xena> <#C2|general> <#C3> <!here> <!subteam^S1|@crew> <!subteam^S2> "
        "<!date^1^{date}|Monday> <https://a.b/?c=1&amp;d=2> <https://a.b|map> <http://x.y|x.y> <mailto:a@b.c|a@b.c> "
        ":wave: :+1::skin-tone-4: :partyparrot: 10:30:45 `:x:`"
    )
    assert message(raw).text == (
        "<b> &lt; @Ann @UNEW @xena #general #C3 @here @crew @S2 Monday https://a.b/?c=1&d=2 map (https://a.b) "
        "http://x.y a@b.c 👋 👍 :partyparrot: 10:30:45 `:x:`"
    )


def test_a_name_cannot_forge_a_mention():
    """Somebody calls himself so."""
    view = View(US, {"UANN": Person("slack:T1:UANN", "&lt;@UBOT&gt; <!here>")})
    event = to_event(said("<@UANN> hi"), view, NOW)
    assert (event.text, event.addressed) == ("@&lt;@UBOT&gt; <!here> hi", Addressed.NO)


def test_rich_text_is_read_where_there_is_no_text():
    """As bots often send it."""
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "News & more"}},
        {"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [
                {"type": "user", "user_id": "UANN"}, {"type": "text", "text": " see <this>", "style": {"bold": True}},
                {"type": "emoji", "name": "wave"}, {"type": "link", "url": "https://a.b", "text": "map"}]},
            {"type": "rich_text_list", "style": "ordered", "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]},
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "two"}]}]},
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": "said"}]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": ":x: = 1"}]}]},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*end*"}, "fields": [{"type": "mrkdwn", "text": "f"}]},
        {"type": "context", "elements": [{"type": "image", "alt_text": "x"}, {"type": "plain_text", "text": "small"}]},
        {"type": "divider"}, {"type": "unheard_of", "elements": 3},
    ]  # fmt: skip
    assert message("", blocks=blocks).text == (
        "News & more\n@Ann* see <this>*👋map (https://a.b)1. one\n2. two\n> said\n```\n:x: = 1\n```\n*end*\nf\nsmall"
    )
    assert message("", attachments=[{"fallback": "an old bot"}, {"text": "x"}]).text == "an old bot"


def test_the_way_a_message_calls_us():
    """Strongest first."""
    view = View(US, takes_part=lambda channel, thread: (channel, thread) == ("C1", "5.0"))
    ways = [
        (said(channel="D1", channel_type="im"), Addressed.DM),
        (said("hey <@UBOT>!"), Addressed.MENTION),
        (said("hey", thread_ts="9.0", parent_user_id="UBOT"), Addressed.REPLY),
        (said("hey", thread_ts="5.0", parent_user_id="UANN"), Addressed.REPLY),
        (said("hey", thread_ts="6.0", parent_user_id="UANN"), Addressed.NO),
        (said("<@UANN> hey", thread_ts="5.0", parent_user_id="UBOT"), Addressed.NO),
        (said("as <@UANN> said", thread_ts="5.0"), Addressed.REPLY),
        (said("hey <@UBOTTOM>"), Addressed.NO),
        (said("hey", channel="G1", channel_type="mpim"), Addressed.NO),
    ]
    assert [to_event(raw, view, NOW).addressed for raw, _ in ways] == [way for _, way in ways]


def test_a_mention_in_the_middle_keeps_our_name():
    """One at the beginning only says whom it is for; one by itself is a call."""
    assert message("what does <@UBOT> think?").text == "what does @Mira think?"
    assert message("<@UBOT|mira>, <@UBOT>: hi").text == "hi"
    assert message("<@UBOT>").text == "@Mira"
    assert message("thanks, <@UBOT>").text == "thanks,"


def test_ids_of_whoever_is_mentioned_are_kept():
    """Beside the names in the text. We are left out."""
    event = message("<@UANN>, <@UNEW> and <@UBOT>: <@UANN>")
    assert event.text == "@Ann, @UNEW and @Mira: @Ann"
    assert [(person.id, person.name) for person in event.mentions] == [("slack:T1:UANN", "Ann"), ("slack:T1:UNEW", "")]
    assert message("hello").mentions == ()


def test_an_app_mention_and_its_message_are_one():
    """Slack tells twice: same id, same place, same words, so that the second changes nothing."""
    mention = body({"type": "app_mention", "user": "UANN", "ts": TS, "event_ts": TS, "channel": "C1",
                    "text": "<@UBOT> hi"}, event_id="Ev2")  # fmt: skip
    assert to_event(mention, VIEW, NOW) == message("<@UBOT> hi")


def test_threads():
    """A reply is in its thread; a root with replies is still in its channel; a root that called us is in its own."""
    inside = message("hi", thread_ts="5.0")
    assert (inside.place, inside.reply_to) == (Place("slack", "T1", "C1", "5.0", Kind.THREAD), "5.0")
    assert message("hi", thread_ts=TS).place == ROOM
    assert message("hi", subtype="thread_broadcast", thread_ts="5.0").place.thread == "5.0"
    assert message("<@UBOT> hi").place.thread == TS
    assert message("<@UBOT> hi", thread_ts="5.0").place.thread == "5.0"
    dm = message("hi", channel="D1", channel_type="im", thread_ts="5.0").place
    assert (dm.kind, dm.thread) == (Kind.DM, "5.0")


def test_files_are_references():
    """Of a file in a shared channel Slack may tell the id alone; deleted ones are none."""
    files = [
        {"id": "F1", "name": "map.png", "mimetype": "image/png", "size": 9, "url_private": "https://f/1",
         "url_private_download": "https://f/1/download"},
        {"id": "F2", "mode": "tombstone"}, {"id": "F3", "file_access": "check_file_info", "size": "big"},
    ]  # fmt: skip
    event = message("look", subtype="file_share", files=files)
    assert event.attachments == (
        Attachment("map.png", "image/png", 9, "https://f/1/download"),
        Attachment("F3", "application/octet-stream"),
    )


@pytest.mark.parametrize("subtype", ["channel_join", "channel_topic", "pinned_item", "message_replied", "new_in_2027"])
def test_notices_are_not_talk(subtype):
    """Nobody said them."""
    assert to_event(said("Ann joined", subtype=subtype), VIEW, NOW) is None


def test_bots_are_told_from_people():
    """By whatever Slack says of them; one that lacks a bot id by what users.info said."""
    bots = [
        said(bot_id="B2"), said(bot_profile={"name": "deploy"}, user=None, bot_id="B2"), said(user="UROB"),
        said(user=None, subtype="bot_message", username="hook"), said(user="USLACKBOT"), said(user=None),
    ]  # fmt: skip
    authors = [to_event(raw, VIEW, NOW).author for raw in bots]
    assert {True} == {author.is_bot for author in authors}
    assert [author.id.rsplit(":")[-1] for author in authors] == ["UANN", "B2", "UROB", "hook", "USLACKBOT", "unknown"]
    assert ["deploy", "Rob", "hook"] == [author.name for author in authors[1:4]]
    assert not message().author.is_bot


@pytest.mark.parametrize("fields", [{"user": "UBOT"}, {"user": None, "bot_id": "BBOT"}, {"bot_id": "BBOT"}])
def test_our_own_messages_are_known(fields):
    """With a bot id or without."""
    assert to_event(said("<@UBOT> me", **fields), VIEW, NOW).author == Person("slack:T1:UBOT", "Mira", is_bot=True)


# Edits, deletions, reactions, joins, commands.


def changed(new: dict, old: dict) -> dict:
    """A message of Ann's in C1, before and after."""
    first = {"type": "message", "user": "UANN", "ts": TS}
    return body({"type": "message", "subtype": "message_changed", "hidden": True, "channel": "C1", "ts": "2.0",
                 "event_ts": "2.0", "message": first | new, "previous_message": first | old})  # fmt: skip


def test_an_edit():
    """In the place where the message is, whatever it says now."""
    event = to_event(changed({"text": "<@UBOT> b &amp; c", "thread_ts": TS}, {"text": "a"}), VIEW, NOW)
    assert event == Edit(id="Ev1", account=US.account, place=ROOM, author=ANN, time=2.0, message_id=TS, text="b & c")
    moved = to_event(changed({"text": "never mind"}, {"text": "<@UBOT> hi"}), VIEW, NOW)
    assert (moved.place.thread, moved.text) == (TS, "never mind")
    assert to_event(changed({"text": "b", "thread_ts": "5.0"}, {"text": "a"}), VIEW, NOW).place.thread == "5.0"


def test_what_is_no_edit():
    """A link is unfurled, replies are counted, we edit ourselves while a reply grows."""
    same = {"text": "a"}
    assert to_event(changed(same | {"attachments": [{"fallback": "x"}]}, same), VIEW, NOW) is None
    assert to_event(changed(same | {"reply_count": 2, "thread_ts": TS}, same), VIEW, NOW) is None
    assert to_event(changed({"text": "b", "user": "UBOT"}, same), VIEW, NOW) is None
    assert to_event(changed({"text": "b", "bot_id": "BBOT"}, same), VIEW, NOW) is None


def deleted(old: dict) -> Deletion:
    """A message that is gone."""
    raw = body({"type": "message", "subtype": "message_deleted", "hidden": True, "channel": "C1", "ts": "3.0",
                "event_ts": "3.0", "deleted_ts": TS, "previous_message": old})  # fmt: skip
    event = to_event(raw, VIEW, NOW)
    assert isinstance(event, Deletion)
    return event


def test_a_deletion():
    """In the conversation where it was said; what we said is known by channel and id, as to reactions."""
    event = deleted({"user": "UANN", "ts": TS, "text": "<@UBOT> hi"})
    assert (event.message_id, event.place.thread, event.author) == (TS, TS, ANN)
    assert deleted({"user": "UANN", "ts": TS, "thread_ts": "5.0", "text": "a"}).place.thread == "5.0"
    assert deleted({"user": "UBOT", "ts": TS, "thread_ts": "5.0", "text": "a"}).place == ROOM
    assert deleted({}).place == ROOM


def test_the_root_of_a_thread_is_deleted_by_becoming_a_tombstone():
    """Slack keeps its place and tells of it as of an edit."""
    new = {"subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted.", "thread_ts": TS}
    event = to_event(changed(new, {"text": "<@UBOT> hi", "thread_ts": TS}), VIEW, NOW)
    assert isinstance(event, Deletion)
    assert (event.message_id, event.place.thread) == (TS, TS)


def reaction(name: str, kind: str = "reaction_added", **item: object) -> Reaction | None:
    """Ann's."""
    raw = {"type": kind, "user": "UANN", "reaction": name, "event_ts": "4.0"}
    return to_event(body(raw | {"item": {"type": "message", "channel": "C1", "ts": TS} | item}), VIEW, NOW)


def test_reactions():
    """Skin does not matter, a workspace's own have a key of their own, and nobody need say whose message it is."""
    assert reaction("+1") == Reaction(
        id="Ev1", account=US.account, place=ROOM, author=ANN, time=4.0, message_id=TS, emoji="👍"
    )
    names = ("thumbsup::skin-tone-6", "heart", "partyparrot", "flag-de", "man-woman-boy", "blob.dance")
    assert [reaction(name).emoji for name in names] == [
        "👍",
        "❤",
        "slack:partyparrot",
        "🇩🇪",
        "👨‍👩‍👦",
        "slack:blob.dance",
    ]
    assert reaction("+1", "reaction_removed").removed
    assert reaction("+1", channel="D1").place.kind == Kind.DM
    assert reaction("+1", type="file", file="F1") is None


def test_a_retry_is_the_same_event():
    """Slack gives it the same event id, at whatever time it comes."""
    raw = said()
    assert to_event(raw, VIEW, NOW) == to_event(raw, VIEW, NOW + 60)
    assert reaction("+1").id == reaction("+1").id


def test_joins():
    """Of others, and ours."""
    raw = {"type": "member_joined_channel", "channel": "C1", "channel_type": "C", "event_ts": "4.0"}
    assert to_event(body(raw | {"user": "UANN"}), VIEW, NOW).author == ANN
    assert to_event(body(raw | {"user": "UBOT"}), VIEW, NOW).author.id == US.account


def slash(text: str, **fields: object) -> Command:
    """Ann types `/limen text`."""
    raw = {"command": "/limen", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "UANN",
           "user_name": "ann", "trigger_id": "t1", "response_url": "https://x"}  # fmt: skip
    event = to_event(raw | fields, View(US, VIEW.people, last=lambda *_: "5.0"), NOW)
    assert isinstance(event, Command)
    return event


def test_slash_commands():
    """They are meant where the one who gives them talked to us last."""
    event = slash("switch  orrin ")
    assert (event.name, event.args, event.author, event.id) == ("switch", "orrin", ANN, "t1")
    assert event.place == Place("slack", "T1", "C1", "5.0", Kind.THREAD)
    assert (slash("").name, slash("/HELP").name) == ("help", "help")
    assert (slash("react :thumbsup: 2").args, slash("react :partyparrot:").args) == ("👍 2", "slack:partyparrot")
    assert slash("forget me", channel_id="D1").place.kind == Kind.DM


def test_a_command_can_be_given_in_a_thread():
    """Where Slack has no slash commands: behind a mention."""
    event = to_event(said("<@UBOT> /regenerate", thread_ts="5.0"), VIEW, NOW)
    assert isinstance(event, Command)
    assert (event.name, event.args, event.place.thread, event.id) == ("regenerate", "", "5.0", TS)
    assert message("/regenerate").text == "/regenerate"
    assert message("<@UBOT> and/or").text == "and/or"


# What is not for us, or not as it should be.


def test_another_workspace_is_another_bot():
    """One app in two workspaces hears both on one connection."""
    ours, other = [{"team_id": "T1", "user_id": "UBOT"}], [{"team_id": "T2", "user_id": "UOTHER"}]
    assert to_event(said() | {"authorizations": other}, VIEW, NOW) is None
    assert to_event(said() | {"team_id": "T2"}, VIEW, NOW) is None
    shared = said() | {"team_id": "T2", "authorizations": ours}  # said by somebody of T2 in a shared channel
    assert to_event(shared, VIEW, NOW).place.workspace == "T1"
    assert to_event({"command": "/limen", "team_id": "T2", "channel_id": "C", "user_id": "U", "trigger_id": "t"},
                    VIEW, NOW) is None  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        {}, {"type": "hello"}, {"type": "event_callback"}, {"type": "event_callback", "event": 3}, {"command": 1},
        body({}), body({"type": "message"}), said(channel=None), said(ts="soon"), said(ts=None), said(files=7),
        body({"type": "reaction_added", "item": {}}), body({"type": "reaction_added", "item": None}),
        said() | {"authorizations": 5},
        body({"type": "app_home_opened", "user": "UANN", "channel": "D1", "tab": "messages"}),
        body({"type": "message", "subtype": "message_changed", "channel": "C1"}),
        body({"type": "message", "subtype": "message_deleted", "channel": "C1"}),
    ],
)  # fmt: skip
def test_what_is_malformed_or_unknown_is_left(raw):
    """And breaks nothing."""
    assert to_event(raw, VIEW, NOW) is None
    assert isinstance(strangers(raw, {}), list)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["C1", "UANN", "1.5", "message"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
SOUND = (
    said("<@UBOT> a", thread_ts="5.0", files=[{"id": "F1", "size": 3}]), said(channel="D1", channel_type="im"),
    said("", blocks=[{"type": "rich_text", "elements": [{"type": "rich_text_list", "elements": []}]}]),
    changed({"text": "b"}, {"text": "a"}),
    body({"type": "message", "subtype": "message_deleted", "channel": "C1", "event_ts": "3.0", "deleted_ts": TS,
          "previous_message": {"user": "UANN", "ts": TS}}),
    body({"type": "reaction_added", "user": "UANN", "reaction": "+1", "event_ts": "4.0",
          "item": {"type": "message", "channel": "C1", "ts": TS}}),
    body({"type": "member_joined_channel", "user": "UANN", "channel": "C1", "event_ts": "4.0"}),
    body({"type": "app_home_opened", "user": "UANN", "channel": "D1", "tab": "home", "event_ts": "4.0"}),
    {"command": "/limen", "text": "help", "channel_id": "C1", "user_id": "UANN", "trigger_id": "t"},
)  # fmt: skip


def paths(value: object, at: tuple = ()) -> list[tuple]:
    """Every place in a payload."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, one in inner for path in paths(one, (*at, key)))]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_payload_is_so_bad_that_it_breaks_anything(data):
    """Something in it is not what it should be."""
    raw = copy.deepcopy(data.draw(st.sampled_from(SOUND)))
    *way, last = data.draw(st.sampled_from([path for path in paths(raw) if path]))
    functools.reduce(operator.getitem, way, raw)[last] = data.draw(JSON)
    event = to_event(raw, VIEW, NOW)
    assert isinstance(strangers(raw, {}), list)
    assert event is None or (event.account == US.account and isinstance(event.id, str))


def test_a_number_that_is_too_large_is_no_id():
    """Found by the test above."""
    assert to_event({**SOUND[-1], "trigger_id": -(2**63) - 1}, VIEW, NOW) is None


def test_strangers_are_those_whose_names_are_missing():
    """Whoever speaks, and whoever is mentioned."""
    assert strangers(said("<@UNEW> <@UANN> <@UNEW>", user="UX"), VIEW.people) == ["UX", "UNEW"]
    assert strangers(changed({"text": "<@UNEW>"}, {"text": "a"}), {}) == ["UANN", "UNEW"]
    assert strangers(said(user=None, bot_id="B2"), {}) == strangers(said(user=""), {}) == []


def test_names_of_emoji():
    """Both ways."""
    assert key(":tada:") == "🎉"
    assert drawn("no colon, nothing: to do") == "no colon, nothing: to do"
    for emoji in ("👍", "❤", "🎉", "😂", "🇩🇪", "👀"):
        assert emoji in [key(name) for name in spellings(emoji)]
    assert (spellings("slack:partyparrot"), spellings("discord:12"), spellings("x")) == (["partyparrot"], [], [])
