"""`limen chat`: talk to a persona in this terminal. Brings up what it needs, and leaves it running when you go."""

import asyncio
import getpass
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import click
import msgspec

from adapters.console import ACCOUNT, PERSON, PLACE, Console, somebody
from adapters.terminal.files import typed
from adapters.terminal.plain import Plain
from adapters.terminal.screen import Screen, Status
from bots import shelving, up
from bots.assemble import Parts, parts, settings
from bots.options import persona_option
from bots.run import beside, converse
from core import cards
from core.commands.answers import Answer
from core.commands.desk import Desk
from core.consent import Asking
from core.delivery import Delivery
from core.errors import LimenError, StoreError, StoreUnreachable
from core.events import Person, PersonaKey
from core.intake import Intake
from core.privacy import TERMINAL
from core.scopes import scope_of
from core.settings import Settings
from personas import library

OFTEN, SELDOM = 0.4, 2.0  # seconds between two looks at the queue: while a reply is due, and else
LOST = 4.0  # a job that nobody knows any more, and of which nothing has come for so long, was withdrawn
ALIVE = 10.0  # a worker that was heard of within so many seconds is there


@click.command(epilog="Example: limen chat --persona mira")
@persona_option(help="Whom to talk to, now and next time. `limen personas` lists them.")
@click.option("--plain", is_flag=True, help="Lines in, lines out: for pipes, scripts and dumb terminals.")
@click.option("--name", metavar="NAME", help="Who you are, if not the owner of this terminal (default: your login).")
@click.pass_context
def command(ctx: click.Context, persona: str | None, plain: bool, name: str | None) -> None:
    """Talk to a persona in this terminal.

    Starts Redis and a worker for this home if need be. They stay when you leave, and stop by themselves after a while.
    Piped input is answered line by line; the status is 1 if anything failed.
    """
    ctx.exit(
        asyncio.run(_chat(settings(ctx), persona or "", somebody(name or "", _login()), plain or not _on_terminal()))
    )


async def _chat(settings: Settings, persona: str, person: Person, plain: bool) -> int:
    if persona:
        cards.load(persona, library.folders(settings.home))  # a wrong name is told before anything is started
    await up.fetch_model(settings)
    url = await up.ensure_redis(settings)
    _leave_on(signal.SIGTERM, signal.SIGHUP)
    async with parts(settings, url) as p:
        await shelving.bring(p)
        screen = Plain() if plain else _terminal(p)
        talk = Talk(p, screen, person, await casting(p, person, persona), plain)
        troubles: asyncio.Queue[str] = asyncio.Queue()
        try:
            await talk.run(up.keep_up(settings, url, troubles.put_nowait), _complain(screen, troubles, plain))
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
    return int(isinstance(screen, Plain) and screen.failed)


class Talk:
    """One terminal's conversation, with a stream of its own for the replies."""

    def __init__(self, p: Parts, screen: Screen, person: Person, playing: str, one_by_one: bool) -> None:
        self.p = p
        self.session = secrets.token_hex(4)
        self.engine = p.engine(replies=f"{ACCOUNT}:{self.session}", settle=False)
        self.scope = scope_of(PLACE, person, p.settings.scope)
        self.engine.pinned[self.scope] = playing  # this terminal keeps to it, whatever another one switches to
        self.console = Console(screen, person, playing, p.card, self._kept, p.settings.home, one_by_one)
        self.delivery = Delivery(p.client, p.ledger, self.console, ACCOUNT, self.engine.replies)
        self.notes = Delivery(p.client, p.ledger, self.console, ACCOUNT)  # for whichever terminal is open
        self._missing: dict[str, float] = {}

    async def run(self, *others: Coroutine[Any, Any, object]) -> None:
        """Until the person leaves, or the input ends and everything is answered."""
        intake, desk = Intake(self.engine.handle), self.p.desk(self.engine)
        try:
            talk = self._talk(intake, desk)
            await beside(talk, intake.run(), self.delivery.run(), self.notes.run(), self._watch(), *others)
        finally:
            with suppress(StoreError):
                await self.p.presence.gone(self.session)
                await self.delivery.release()
                await self.notes.release()

    async def _talk(self, intake: Intake, desk: Desk) -> None:
        if self.console.person.id == PERSON and await self.p.privacy.consent(PERSON, "operator", TERMINAL):
            await self.console.screen.aside(TERMINAL)
        await self.console.welcome(self.console.status.who.card)
        await self._ask()
        await converse(self.console, intake, desk)

    async def _ask(self) -> None:
        """A guest is asked what everybody is asked once: the owner's word is not theirs. So is an owner whose no was
        forgotten."""

        async def show(person: Person, question: Answer) -> None:
            await self.console.screen.aside(question.text)

        asking = Asking(self.p.privacy.consents, self.p.settings.consent.ask, self.p.card, whispers=True)
        await asking.enter(self.console.person, self.p.card(self.console.status.who.card), show)

    async def _kept(self, card: str) -> int:
        return await self.p.conversations.count(self._key(card).conversation(PLACE))

    def _key(self, card: str) -> PersonaKey:
        return PersonaKey(ACCOUNT, card, self.scope)

    async def _watch(self) -> None:
        """Say that we are here, and look how it stands."""
        while True:
            try:
                await self.p.presence.here(self.session)
                self.console.show(await self._look())
                await self.console.connected(True)
            except StoreUnreachable:
                await self.console.connected(False)
            await asyncio.sleep(OFTEN if self.console.due.first else SELDOM)

    async def _look(self) -> Status:
        job = self.console.due.first
        place = await self.p.queue.place(job) if job else -1
        await self._mind(job if place < 0 else "")
        workers = (await self.p.presence.workers()).values()
        states = {about["state"] for about in workers if float(about["seen"]) < ALIVE}
        waiting = (await self.p.queue.depths()).live
        status = self.console.status  # it may be another card's by now
        return msgspec.structs.replace(
            status,
            place=place,
            waiting=waiting,
            worker="ready" if "ready" in states else "loading" if states else "none",
            lora=(await self.p.loras.serving(self._key(status.who.card))).live,
        )

    async def _mind(self, missing: str) -> None:
        """Do not wait for a job that was withdrawn (by /forget, here or elsewhere)."""
        now = asyncio.get_running_loop().time()
        self._missing = {missing: self._missing.get(missing, now)} if missing else {}
        if missing and now - self._missing[missing] > LOST:
            await self.console.withdrawn(missing)


async def casting(p: Parts, person: Person, persona: str) -> str:
    """The card that plays: the one that is asked for, now and next time; else the one of last time."""
    scope = scope_of(PLACE, person, p.settings.scope)
    if persona:
        await p.personas.choose(ACCOUNT, scope, p.card(persona).name)
    (chosen,) = await p.personas.chosen(ACCOUNT, [scope])
    return p.card(chosen or p.settings.persona).name


async def _complain(screen: Screen, troubles: "asyncio.Queue[str]", fatal: bool) -> None:
    """Tell why there is no worker. Nobody watches a pipe: there it ends the talk."""
    while True:
        trouble = await troubles.get()
        if fatal:
            raise LimenError(trouble)
        await screen.complain(trouble)


def _terminal(p: Parts) -> Screen:
    """A screen for people; what draws it is imported here, so that a pipe need not wait for it."""
    from adapters.terminal.live import Terminal

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return Terminal(typed(p.settings.home), lambda: library.names(p.folders), unicode=unicode)


def _on_terminal() -> bool:
    dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    return sys.stdin.isatty() and sys.stdout.isatty() and not dumb


def _leave_on(*signals: signal.Signals) -> None:
    """Leave the terminal as it was found when we are told to end."""
    me = asyncio.current_task()
    assert me is not None
    for sign in signals:
        asyncio.get_running_loop().add_signal_handler(sign, me.cancel)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody in the list of users has our number
        return "you"
