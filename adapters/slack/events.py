"""What Slack tells → events. Pure: payloads go in as Slack sent them, with who we are and whom we know.

Knows the Events API, slash commands and buttons. A payload that is malformed, of another workspace or of no concern
to anybody is None.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.slack.buttons import pressed
from adapters.slack.names import key
from adapters.slack.reading import calls_another, mentioned, mentions_us, readable, source, users, without_us
from adapters.slack.view import Json, Us, View, person_id
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

# Messages that somebody said. All other subtypes are Slack's own notices: joined, renamed, pinned, archived …
TALK = {"", "bot_message", "file_share", "me_message", "reply_broadcast", "thread_broadcast"}
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(AnyEvent).decode
_COMMAND = re.compile(r"/([a-z][a-z_-]*)(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)


def to_event(body: Json, view: View, now: float) -> AnyEvent | None:
    """What a body tells: of the Events API, a slash command or a button. `now` where Slack tells no time."""
    try:
        event = _asked(body, view, now) or _callback(body, view)
        return event and _decode(_encode(event))  # whatever is in it is of the type that it should be
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, msgspec.ValidationError):
        return None  # not what Slack documents


def _asked(body: Json, view: View, now: float) -> AnyEvent | None:
    return _slash(body, view, now) if "command" in body else _pressed(body, view, now)


def _callback(body: Json, view: View) -> AnyEvent | None:
    if body.get("type") != "event_callback" or not is_for(body, view.us):
        return None
    return _event(body, body["event"], view)


def strangers(body: Json, known: Mapping[str, Person]) -> list[str]:
    """Ids of users in it of whom nothing is known yet: ask Slack before `to_event`."""
    event = body.get("event")
    if not isinstance(event, Mapping):
        return []
    inner = event.get("message")
    message = inner if isinstance(inner, Mapping) else event
    text = message.get("text")
    ids = [event.get("user"), message.get("user"), *users(text)]
    return list(
        dict.fromkeys(id_ for id_ in ids if isinstance(id_, str) and id_.startswith(("U", "W")) and id_ not in known)
    )


def is_for(body: Json, us: Us) -> bool:
    """An app that several workspaces have installed hears them all on one connection; each account takes its own."""
    if "team" in body and body.get("type") == "block_actions":
        return (body["team"] or {}).get("id") in (None, "", us.team)
    given = [one for one in body.get("authorizations") or () if one.get("user_id")]
    if given:
        return any(one["user_id"] == us.user for one in given)
    return body.get("team_id") in (None, "", us.team)


def _event(body: Json, event: Json, view: View) -> AnyEvent | None:
    match event["type"]:
        case "message" | "app_mention":
            return _message(body, event, view)
        case "reaction_added" | "reaction_removed":
            return _reaction(body, event, view)
        case "member_joined_channel":
            return _joined(body, event, view)
        case "app_home_opened" if event.get("tab") == "home":
            return _home(body, event, view)
    return None


def _message(body: Json, event: Json, view: View) -> AnyEvent | None:
    match event.get("subtype") or "":
        case "message_changed":
            return _changed(body, event, view)
        case "message_deleted":
            return _deleted(body, event, event.get("previous_message") or {}, view)
        case subtype if subtype in TALK and not event.get("hidden"):
            return _said(event, view)
    return None


def _said(event: Json, view: View) -> Message | Command | None:
    author = _author(event, view)
    place = _place(event, event["channel"], view, event.get("channel_type"))
    written = source(event)
    text, aimed = readable(written, view), mentions_us(written, view.us)
    common: dict[str, Any] = {"id": _ts(event["ts"]), "account": view.us.account, "place": place, "author": author,
                              "time": float(event["ts"])}  # fmt: skip
    if aimed and (said := without_us(written, view)) != text:
        if found := _COMMAND.fullmatch(said):
            return _command(found[1], found[2] or "", common)
        text = said or text
    thread = event.get("thread_ts") or ""
    return Message(
        **common, text=text, addressed=_addressed(event, place, aimed, view), attachments=_files(event),
        reply_to=thread if thread != event["ts"] else "", mentions=mentioned(written, view),
    )  # fmt: skip


def _changed(body: Json, event: Json, view: View) -> Edit | Deletion | None:
    """Slack tells of unfurled links and counted replies the same way as of edits: only a new text is one."""
    new, old = event["message"], event.get("previous_message") or {}
    if new.get("subtype") == "tombstone":  # the root of a thread was deleted, and keeps its place
        return _deleted(body, {**event, "deleted_ts": new["ts"]}, old or new, view)
    if (new.get("subtype") or "") not in TALK or _is_us(new, view.us) or source(new) == source(old):
        return None
    text = without_us(source(new), view) or readable(source(new), view)
    return Edit(
        id=_id(body, event), account=view.us.account, author=_author(new, view), time=_time(event),
        place=_place(new, event["channel"], view, event.get("channel_type"), source(old or new)),
        message_id=_ts(new["ts"]), text=text,
    )  # fmt: skip


def _deleted(body: Json, event: Json, old: Json, view: View) -> Deletion | None:
    """What we said is known by channel and id alone, as reactions know it; what others said by its conversation."""
    ours, ts = _is_us(old, view.us), _ts(event["deleted_ts"])
    root: Json = {} if ours else {**old, "ts": ts}
    return Deletion(
        id=_id(body, event), account=view.us.account, author=_author(old, view), time=_time(event),
        place=_place(root, event["channel"], view, event.get("channel_type")), message_id=ts,
    )  # fmt: skip


def _reaction(body: Json, event: Json, view: View) -> Reaction | None:
    """On a message, for files can be reacted to as well. It does not say in which thread the message is."""
    item = event["item"]
    if item.get("type") != "message":
        return None
    return Reaction(
        id=_id(body, event), account=view.us.account, author=_known(event["user"], view), time=_time(event),
        place=_place({}, item["channel"], view), message_id=_ts(item["ts"]), emoji=key(event["reaction"]),
        removed=event["type"] == "reaction_removed",
    )  # fmt: skip


def _joined(body: Json, event: Json, view: View) -> Joined:
    return Joined(
        id=_id(body, event), account=view.us.account, author=_known(event["user"], view), time=_time(event),
        place=_place({}, event["channel"], view),
    )  # fmt: skip


def _home(body: Json, event: Json, view: View) -> Command:
    """Who opens our page in Slack wants to know who we are."""
    return Command(
        id=_id(body, event), account=view.us.account, author=_known(event["user"], view), time=_time(event),
        place=_place({}, event["channel"], view), name="persona",
    )  # fmt: skip


def _slash(body: Json, view: View, now: float) -> Command | None:
    """`/limen switch orrin`. Slack gives slash commands outside threads only: it is meant where they talked last."""
    if not is_for(body, view.us):
        return None
    channel, user = body["channel_id"], body["user_id"]
    thread = view.last(channel, user)
    name, _, args = readable(body.get("text") or "", view).strip().partition(" ")
    author = view.people.get(user) or Person(person_id(view.us.team, user), body.get("user_name") or "")
    place = _place({"thread_ts": thread} if thread else {}, channel, view)
    common = {"id": body["trigger_id"], "account": view.us.account, "place": place, "author": author, "time": now}
    return _command(name.lstrip("/") or "help", args, common)


def _pressed(body: Json, view: View, now: float) -> Command | None:
    """A button below something that we said. Slack tells of each press once, with a stamp of its own."""
    found = pressed(body)
    if found is None or not found[0] or not is_for(body, view.us):
        return None
    user, container, message = body["user"], body["container"], body.get("message") or {}
    author = view.people.get(user["id"]) or Person(person_id(view.us.team, user["id"]), user.get("username") or "")
    thread = container.get("thread_ts") or message.get("thread_ts") or ""
    place = _place({"thread_ts": thread, "ts": ""}, container["channel_id"], view)
    stamp = f"{container['message_ts']}:{body['actions'][0]['action_ts']}:{user['id']}"
    common = {"id": stamp, "account": view.us.account, "place": place, "author": author, "time": now}
    return _command(found[0], found[1], common)


def _command(name: str, args: str, common: dict[str, Any]) -> Command:
    name, words = name.lower(), args.split()
    if name in ("react", "unreact") and words and not words[0].isdecimal():
        args = " ".join([key(words[0]), *words[1:]])
    return Command(**common, name=name, args=args.strip())


def _id(body: Json, event: Json) -> str:
    """Stable over redeliveries: Slack gives a retry the same event id."""
    item = event.get("item") or {}
    parts = [event["event_ts"], event.get("user"), event.get("reaction"), item.get("channel"), item.get("ts")]
    return str(body.get("event_id") or ":".join(str(part) for part in parts if part))


def _ts(value: object) -> str:
    """A message's id: seconds and a counter. Raises ValueError if it is none."""
    text = str(value)
    float(text)
    return text


def _time(event: Json) -> float:
    return float(event.get("event_ts") or event["ts"])


def _place(message: Json, channel: object, view: View, kind: str | None = None, written: str | None = None) -> Place:
    """Where a message belongs. One that calls us in a channel opens a thread: our answer goes there, and so does all
    that follows. `written`: what it said first, for an edit moves nothing."""
    if not isinstance(channel, str) or not channel:
        raise ValueError("no channel")
    ts, thread = message.get("ts") or "", message.get("thread_ts") or ""
    is_dm = kind == "im" if kind else channel.startswith("D")
    if thread == ts:
        thread = ""
    if not thread and ts and not is_dm:
        text = source(message) if written is None else written
        thread = ts if mentions_us(text, view.us) and not _is_us(message, view.us) else ""
    what = Kind.DM if is_dm else Kind.THREAD if thread else Kind.CHANNEL
    return Place("slack", view.us.team, channel, thread, what)


def _addressed(event: Json, place: Place, aimed: bool, view: View) -> Addressed:
    """In a thread that we take part in all is for us, but for what begins with somebody else's name."""
    if place.kind == Kind.DM:
        return Addressed.DM
    if aimed or event["type"] == "app_mention":
        return Addressed.MENTION
    thread = event.get("thread_ts")
    if (
        thread
        and not calls_another(source(event), view.us)
        and (event.get("parent_user_id") == view.us.user or view.takes_part(place.channel, thread))
    ):
        return Addressed.REPLY
    return Addressed.NO


def _is_us(message: Json, us: Us) -> bool:
    return message.get("user") == us.user or bool(us.bot and message.get("bot_id") == us.bot)


def _author(message: Json, view: View) -> Person:
    """Bots may lack a user, a bot id or both; whoever has neither is known by the name that it goes by."""
    us = view.us
    if _is_us(message, us):
        return Person(us.account, us.name, is_bot=True)
    user = message.get("user") or message.get("bot_id") or message.get("username") or "unknown"
    known = view.people.get(user)
    machine = ("bot_id", "bot_profile")
    is_bot = any(message.get(field) for field in machine) or message.get("subtype") == "bot_message"
    is_bot = is_bot or user in ("USLACKBOT", "unknown") or bool(known and known.is_bot)
    name = known.name if known else _name(message)
    return Person(person_id(us.team, user), name, is_bot)


def _name(message: Json) -> str:
    profile = message.get("user_profile") or message.get("bot_profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), profile.get("name"), message.get("username"))
    return next((name for name in names if name), "")


def _known(user: str, view: View) -> Person:
    if user == view.us.user:
        return Person(view.us.account, view.us.name, is_bot=True)
    return view.people.get(user) or Person(person_id(view.us.team, str(user)))


def _files(event: Json) -> tuple[Attachment, ...]:
    """References, as Slack gives them. Of a file in a shared channel it may tell the id alone."""
    return tuple(
        Attachment(
            name=file.get("name") or file.get("title") or file["id"],
            media_type=file.get("mimetype") or "application/octet-stream",
            size=file["size"] if isinstance(file.get("size"), int) else -1,
            url=file.get("url_private_download") or file.get("url_private") or "",
        )
        for file in event.get("files") or ()
        if file.get("mode") not in ("tombstone", "hidden_by_limit")
    )
