"""What may be wrong with a bot's set-up on Telegram, and the exact switch that puts it right. Changes nothing."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from adapters.telegram.trouble import Unreachable
from adapters.telegram.wire import OFFICIAL, About, Wire
from core.errors import ConfigError, LimenError


class Finding(NamedTuple):
    """One row. `fail`: the bot cannot work like this; `warn`: something will not. `step`: what to do."""

    state: Literal["ok", "warn", "fail"]
    said: str
    step: str = ""


async def examine(token: str, base_url: str = "", hooked: bool = False) -> list[Finding]:
    """Everything that can be seen without a chat. `hooked`: we mean to be called by a webhook."""
    try:
        wire = Wire(token, base_url)
        try:
            about = await wire.about()
        finally:
            await wire.close()
    except Unreachable as error:
        step = "check the network, and `telegram.base_url` if it is set"
        return [Finding("fail", f"{base_url or OFFICIAL} does not answer: {error}", step)]
    except ConfigError as error:
        return [Finding("fail", str(error), error.hint)]
    except LimenError as error:
        return [Finding("warn", f"Telegram did not say who the bot is: {error}", "try again in a minute")]
    return list(findings(about, hooked))


def findings(about: About, hooked: bool) -> Iterator[Finding]:
    """What it means. Pure."""
    bot = f"@{about.me.username}"
    yield Finding("ok", f"the token is that of {bot}")
    if not about.joins_groups:
        yield Finding("warn", "nobody can add it to a group", f"@BotFather → /setjoingroups → {bot} → Enable")
    elif not about.reads_all:
        step = f"@BotFather → /setprivacy → {bot} → Disable, then take it out of each group and add it again"
        yield Finding("warn", "in groups it hears only commands, replies to it and mentions of it", step)
    yield Finding("ok", "in groups it hears of reactions only as an administrator: no other right is needed")
    yield from _webhook(about, hooked)


def _webhook(about: About, hooked: bool) -> Iterator[Finding]:
    if about.hook and not hooked:
        step = "stop whoever set it, if that is another program; `limen run telegram` will take it away"
        yield Finding("warn", f"updates go to {about.hook}, and not to whoever polls", step)
    elif about.hook and about.trouble:
        step = "let that address lead to the host and port of the webhook, over https"
        yield Finding(
            "fail", f"Telegram cannot call {about.hook}: {about.trouble} ({about.pending} updates wait)", step
        )
