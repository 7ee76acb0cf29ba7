"""Payloads as the platforms send them, many of one kind: each by one of 200 people, who all have a room of their own.

Their shape is a recorded one where the recordings are at hand, else that of the servers our tests talk to. All say the
same; who `calls` us does it by a mention.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bots.collisions import ROOT
from tests.fakes import discord, slack, telegram

RECORDED = Path(os.environ.get("LIMEN_SHARED", ROOT.parent / "shared")) / "data" / "payloads" / "vercel_chat"
PEOPLE = 200
SAID = "Do you know when the tide turns today? We would like to be back in the harbour before the gulls are awake."
ROOMS, GROUPS, UPDATES = 10_000, -10_000, 10_000
SNOWFLAKE = 1_467_362_417_523_687_485  # some id of Discord's, of 2026

Json = dict[str, Any]
Payload = Callable[[int, bool], str]


class Payloads(NamedTuple):
    """The payload number so-and-so as JSON text, for each platform; have their shapes been recorded?"""

    discord: Payload
    telegram: Payload
    slack: Payload
    recorded: bool


def payloads(folder: Path = RECORDED) -> Payloads:
    """Shaped like what lies in this folder."""
    recorded = folder.is_dir()
    shapes = _recorded(folder) if recorded else _made()
    return Payloads(_discord(shapes["discord"]), _telegram(shapes["telegram"]), _slack(shapes["slack"]), recorded)


def _recorded(folder: Path) -> dict[str, Json]:
    names = {"discord": "channel__discord", "telegram": "telegram", "slack": "channel-mention__slack"}
    mentions = {
        name: json.loads((folder / f"{file}.json").read_text("utf-8"))["mention"] for name, file in names.items()
    }
    return {**mentions, "discord": mentions["discord"]["data"]}


def _made() -> dict[str, Json]:
    """By our own servers, which need not run for that."""
    on_discord, on_telegram, on_slack = discord.Fake(), telegram.Fake(), slack.Fake()
    said = on_discord.say(f"<@{discord.ME}> {SAID}")
    number = on_telegram.say(SAID, chat=telegram.GROUP)
    on_slack.channel("C1", on_slack.person("UANN", "Ann"))
    on_slack.say("C1", "UANN", f"<@{slack.BOT_USER}> {SAID}")
    body = next(iter(on_slack.envelopes.values())).payload
    return {
        "discord": on_discord.messages[discord.CHANNEL][said],
        "telegram": {"message": on_telegram.messages[telegram.GROUP["id"], number]},
        "slack": body,
    }


def rooms() -> list[str]:
    """Discord's ids of the rooms."""
    return [str(ROOMS + who) for who in range(PEOPLE)]


def people() -> list[str]:
    """Slack's ids of those in them."""
    return [f"UPERSON{who}" for who in range(PEOPLE)]


def _discord(shape: Mapping[str, Any]) -> Payload:
    def payload(number: int, calls: bool) -> str:
        who = number % PEOPLE
        message = {
            **shape,
            "id": str(SNOWFLAKE + number),
            "guild_id": discord.GUILD,
            "channel_id": str(ROOMS + who),
            "author": {"avatar": None, **shape["author"], "id": str(SNOWFLAKE - who - 1)},
            "mentions": [discord.BOT] if calls else [],
            "content": f"<@{discord.ME}> {SAID}" if calls else SAID,
        }
        return json.dumps({"op": 0, "t": "MESSAGE_CREATE", "s": number, "d": message})

    return payload


def _telegram(shape: Mapping[str, Any]) -> Payload:
    me = f"@{telegram.ME['username']}"

    def payload(number: int, calls: bool) -> str:
        who, said = number % PEOPLE, dict(shape["message"])
        said |= {
            "message_id": number,
            "from": {**said["from"], "id": 1 + who, "username": f"person{who}"},
            "chat": {"id": GROUPS - who, "type": "supergroup", "title": "The Garden"},
            "text": f"{me} {SAID}" if calls else SAID,
            "entities": [{"type": "mention", "offset": 0, "length": len(me)}] if calls else [],
        }
        return json.dumps({"update_id": UPDATES + number, "message": said})

    return payload


def _slack(shape: Mapping[str, Any]) -> Payload:
    def payload(number: int, calls: bool) -> str:
        who, ts = number % PEOPLE, f"{1_773_327_463 + number}.619929"
        us = [{"type": "user", "user_id": slack.BOT_USER}] if calls else []
        section = {"type": "rich_text_section", "elements": [*us, {"type": "text", "text": f" {SAID}"}]}
        event = {
            **shape["event"],
            "team": slack.TEAM,
            "channel": f"CROOM{who}",
            "user": f"UPERSON{who}",
            "ts": ts,
            "event_ts": ts,
            "text": f"<@{slack.BOT_USER}> {SAID}" if calls else SAID,
            "blocks": [{"type": "rich_text", "block_id": "3xPun", "elements": [section]}],
        }
        us_there = [{"user_id": slack.BOT_USER, "team_id": slack.TEAM, "is_bot": True}]
        body = {**shape, "team_id": slack.TEAM, "event_id": f"Ev{number}", "event": event, "authorizations": us_there}
        return json.dumps(
            {"envelope_id": f"e-{number}", "type": "events_api", "payload": body, "accepts_response_payload": False}
        )

    return payload
