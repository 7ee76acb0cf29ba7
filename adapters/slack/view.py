"""Who we are in a workspace, and what it takes to understand what Slack tells. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from core.events import Person

Json = Mapping[str, Any]


class Us(msgspec.Struct, frozen=True):
    """Who we are in this workspace, as `auth.test` tells it."""

    team: str
    user: str
    bot: str = ""
    name: str = ""

    @property
    def account(self) -> str:
        """The bot account."""
        return person_id(self.team, self.user)


class View(msgspec.Struct, frozen=True):
    """What it takes to understand a payload besides itself.

    `people` by user id; `takes_part`: are we in this thread (channel, ts); `last`: the thread in which this person
    talked to us last (channel, user), for slash commands never tell theirs.
    """

    us: Us
    people: Mapping[str, Person] = {}
    takes_part: Callable[[str, str], bool] = lambda channel, thread: False
    last: Callable[[str, str], str] = lambda channel, user: ""


def person_id(team: str, user: str) -> str:
    """The stable id of somebody in a workspace."""
    return f"slack:{team}:{user}"
