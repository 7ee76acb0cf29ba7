"""The walk through a platform's set-up: ask for its secrets, have them checked, write them into `.env`.

What to click, and how each secret looks, is in `steps.py`.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bots import envfile, platforms
from bots.accounts import Account
from bots.checkup import Check
from bots.commands.doctor import rows
from bots.steps import Ask
from core.errors import ConfigError
from core.settings import Settings

Given = Mapping[str, str]


@dataclass(frozen=True)
class Walk:
    """One platform's. `silent`: no person is asked, the environment has it all; `unchecked`: nor is the platform."""

    settings: Settings
    bot: Account
    file: Path = envfile.FILE
    silent: bool = False
    unchecked: bool = False

    def go(self, before: str, asks: Sequence[Ask], after: Callable[[Given], str]) -> int:
        """From the first step to the last. 0: all is well; 1: it is written, and something is still to be done.

        Raises MissingExtra if nothing can be checked, ConfigError if a secret is no good and nobody can be asked.
        """
        if not self.unchecked:
            platforms.require_packages(self.bot.platform)
        if not self.silent:
            click.echo(before)
        given, checks = self._good(asks)
        self._write(given)
        if told := after(self.bot.environ(given)):
            click.echo(f"\n{told}")
        if any(check.state == "fail" for check in checks):
            click.echo(f"What is marked ✗ is still to be done. Then look again:  limen doctor {self.bot}")
            return 1
        click.echo(f"Start it:  limen run {self.bot}")
        return 0

    def _good(self, asks: Sequence[Ask]) -> tuple[Given, list[Check]]:
        """Secrets that the platform takes, and what else it says of the bot."""
        while True:
            given = {self.bot.variable(ask.variable): self._fitting(ask) for ask in asks}
            checks = [] if self.unchecked else self._checked(given)
            if not checks or checks[0].state != "fail":
                return given, checks
            if self.silent:
                raise ConfigError("nothing was written, for the reason above")
            click.echo("\nOnce more, or Ctrl-C to leave it:\n")

    def _fitting(self, ask: Ask) -> str:
        """A secret that may be one, as far as its looks go."""
        variable = self.bot.variable(ask.variable)
        there = os.environ.get(variable, "").strip()
        if self.silent:
            if not ask.fits(there):
                raise ConfigError(f"{variable} is {'no such token' if there else 'not set'}", f"{ask.looks}")
            return there
        keep = " (Enter keeps the one that is set)" if there else ""
        while True:
            said = click.prompt(f"{ask.label}{keep}", hide_input=True, default=there or None, show_default=False)
            if ask.fits(said.strip()):
                return str(said.strip())
            click.echo(f"That is none: {ask.looks}.")

    def _checked(self, given: Given) -> list[Check]:
        """What the platform says of them, shown."""
        click.echo(f"Asking {self.bot.title} …")
        checks = asyncio.run(platforms.signed(str(self.bot), self.settings, {**os.environ, **given}))
        click.echo("\n".join(row for check in checks for row in rows(check)))
        return checks

    def _write(self, given: Given) -> None:
        """Into the file. What was exported would win over it: that is told."""
        before = envfile.read(self.file)
        envfile.write(self.file, given)
        click.echo(f"\nWritten to {self.file}, which only you can read: {', '.join(given)}")
        for variable, value in given.items():
            exported = os.environ.get(variable)
            if exported not in (None, value, before.get(variable)):
                click.echo(f"But this shell has another {variable}, which wins:  unset {variable}", err=True)
