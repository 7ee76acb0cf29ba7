"""bots/crew: what follows a reply is no part of it."""

import asyncio
from typing import Any, cast

from bots.crew import Replies
from core.delivery import Outlet, Sending
from core.events import PersonaKey, Place
from core.jobs import Done

DONE = Done(job="j", reply_id="r", conversation="c", place=Place("t", "w", "c"), persona=PersonaKey("t:1", "x", "s"),
            text="Arr!")  # fmt: skip
SENDING = cast("Sending", None)


class Shown:
    """A platform that shows a reply at once; what follows takes until `go`."""

    def __init__(self) -> None:
        self.finals, self.followed, self.go = list[str](), list[str](), asyncio.Event()
        self.replies = Replies(cast("Outlet", self), self.follow)

    async def final(self, done: Done, sending: Any) -> None:
        self.finals.append(done.reply_id)

    async def follow(self, done: Done) -> None:
        try:
            await self.go.wait()
            self.followed.append(done.reply_id)
        except asyncio.CancelledError:
            self.followed.append("broken off")
            raise


async def test_a_reply_is_shown_when_it_is_shown() -> None:
    """Its lane goes on, however long what follows takes; at the end that is waited for, too."""
    shown = Shown()
    async with asyncio.timeout(5):
        await shown.replies.final(DONE, SENDING)
        await shown.replies.final(DONE, SENDING)
    assert (["r", "r"], []) == (shown.finals, shown.followed)
    none = asyncio.create_task(shown.replies.none())
    await asyncio.sleep(0.1)
    assert not none.done()
    shown.go.set()
    await none
    assert ["r", "r"] == shown.followed


async def test_what_follows_is_broken_off_when_nobody_waits_any_more() -> None:
    """It has ended before the platform is left."""
    shown = Shown()
    await shown.replies.final(DONE, SENDING)
    await asyncio.sleep(0)
    await shown.replies.close()
    assert ["broken off"] == shown.followed
