"""Which bots there are: `discord` is the one on Discord, `discord:orrin` another one beside it. Pure.

Another one has secrets of its own (DISCORD_TOKEN_ORRIN), and what else is its own stands in `discord.accounts.orrin`.
Everybody who joins or examines a bot sees its secrets and settings as if it were the only one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from core.bots import POLLING
from core.errors import ConfigError, InputError
from core.settings import Part, Settings

TITLES = {"discord": "Discord", "telegram": "Telegram", "slack": "Slack"}
# What each cannot do without. Of several in one row, one is enough.
NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "discord": (("DISCORD_TOKEN",),),
    "telegram": (("TELEGRAM_TOKEN",),),
    "slack": (("SLACK_BOT_TOKEN",), ("SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")),
}
SECRETS = {
    "discord": ("DISCORD_TOKEN",),
    "telegram": ("TELEGRAM_TOKEN", "TELEGRAM_WEBHOOK_SECRET"),
    "slack": ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"),
}
_HERE = {"localhost": "127.0.0.1"}
_EVERYWHERE = {"0.0.0.0", "::"}  # hosts that are every address of this machine
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_PLAIN = "|".join(secret for secrets in SECRETS.values() for secret in secrets)
_SECRET = re.compile(rf"\b(?:{_PLAIN})\b")
_ANYBODYS = re.compile(rf"(?:{_PLAIN})(?:_[A-Z][A-Z0-9_]{{0,29}})?")

Environ = Mapping[str, str]


class Account(NamedTuple):
    """One bot: its platform, and its name if it is not the only one there."""

    platform: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.platform}:{self.name}" if self.name else self.platform

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{TITLES[self.platform]} ({self.name})" if self.name else TITLES[self.platform]

    def variable(self, secret: str) -> str:
        """Where this one's secret is: DISCORD_TOKEN, or DISCORD_TOKEN_ORRIN."""
        return f"{secret}_{self.name.upper()}" if self.name else secret

    def spelled(self, text: str) -> str:
        """What is said of a plain secret, said of this one's."""
        return _SECRET.sub(lambda found: self.variable(found[0]), text) if self.name else text

    def environ(self, environ: Environ) -> dict[str, str]:
        """The environment as this bot sees it: its own secrets under the plain names, and none of the others'."""
        mine = {secret: environ.get(self.variable(secret), "") for secret in SECRETS[self.platform]}
        return {**environ, **mine}

    def settings(self, settings: Settings) -> Settings:
        """The settings as this bot sees them."""
        part = getattr(settings, self.platform)
        own: Part | None = part.accounts.get(self.name)
        if own is None:
            return settings
        given = {name: getattr(own, name) for name in own.__struct_fields__}
        persona = given.pop("persona") or settings.persona
        changed = {name: "" if value == POLLING else value for name, value in given.items() if value not in ("", 0)}
        return msgspec.structs.replace(
            settings, persona=persona, **{self.platform: msgspec.structs.replace(part, **changed)}
        )


def account(written: str) -> Account:
    """`discord` or `discord:orrin`. Raises InputError."""
    platform, colon, name = written.partition(":")
    if platform not in TITLES:
        raise InputError(f"{written!r} is not one of {', '.join(map(repr, TITLES))}")
    if colon and not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a bot", f"small letters, digits and _ after a letter: {platform}:orrin"
        )
    return Account(platform, name)


def given(environ: Environ) -> list[Account]:
    """The bots whose secrets are all there, by platform."""
    return [one for platform in TITLES for one in _on(platform, environ) if not lacking(one, environ)]


def _on(platform: str, environ: Environ) -> list[Account]:
    """Those that anything is there for."""
    first = NEEDS[platform][0][0]
    names = {name.removeprefix(f"{first}_").lower() for name in environ if name.startswith(f"{first}_")}
    return [Account(platform), *(Account(platform, name) for name in sorted(names) if _NAME.fullmatch(name))]


def lacking(one: Account, environ: Environ) -> list[str]:
    """The variables that must be set and are not."""
    return [
        " or ".join(one.variable(secret) for secret in row)
        for row in NEEDS[one.platform]
        if not any(environ.get(one.variable(secret), "").strip() for secret in row)
    ]


def each_its_own(names: Iterable[str], environ: Environ) -> None:
    """Raises ConfigError where two bots would be one and the same."""
    seen: dict[str, Account] = {}
    for one in map(account, names):
        variable = NEEDS[one.platform][0][0]
        other = seen.setdefault(environ.get(one.variable(variable), "").strip(), one)
        if other != one:
            said = f"{one.variable(variable)} is the same as {other.variable(variable)}"
            raise ConfigError(said, f"{one} and {other} are two bots: each has a token of its own (docs/settings.md)")


def each_its_own_door(names: Iterable[str], settings: Settings, environ: Environ) -> None:
    """Raises ConfigError where two bots of this process would be called at one address, or listen at one port."""
    seen: list[_Door] = []
    for one in map(account, names):
        doors = _doors(one, settings, environ)
        for door in doors:
            if other := next(filter(door.meets, seen), None):
                said = f"{other.of} and {one} would both be called at {door}"
                raise ConfigError(said, (door if one.name else other).step)
        seen += doors


class _Door(NamedTuple):
    """Where a bot is called: an address that leads to us, or a host and port where we listen."""

    of: Account
    setting: str
    where: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.where}:{self.port}" if self.port else self.where

    def meets(self, other: "_Door") -> bool:
        """Would both be one?"""
        hosts = {_HERE.get(door.where, door.where) for door in (self, other)}
        return self.port == other.port and (len(hosts) == 1 or (self.port > 0 and not hosts.isdisjoint(_EVERYWHERE)))

    @property
    def step(self) -> str:
        """What makes it another."""
        instead = f", or to {POLLING}" if self.setting == "webhook_url" and self.of.name else ""
        return f"set {_own(self.of, self.setting)} in limen.yaml to another{instead}"


def _doors(one: Account, settings: Settings, environ: Environ) -> list[_Door]:
    """Where a bot is called; nothing where it asks."""
    mine, seen = one.settings(settings), one.environ(environ)
    if one.platform == "telegram" and mine.telegram.webhook_url:
        hook = mine.telegram
        here = _Door(one, "webhook_port", hook.webhook_host, hook.webhook_port)
        return [_Door(one, "webhook_url", hook.webhook_url.rstrip("/")), here]
    if one.platform == "slack" and not seen["SLACK_APP_TOKEN"].strip():
        return [_Door(one, "http_port", mine.slack.http_host, mine.slack.http_port)]
    return []


def _own(one: Account, setting: str) -> str:
    """Where a setting of this bot stands."""
    return f"{one.platform}.accounts.{one.name}.{setting}" if one.name else f"{one.platform}.{setting}"


def is_secret(variable: str) -> bool:
    """Is it one of a bot's, the only one of its platform or another?"""
    return _ANYBODYS.fullmatch(variable) is not None
