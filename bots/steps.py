"""How a bot comes into being on each platform, in words: what to click, in order, and which tokens come of it. Pure.

Pages change; where a step is not found any more, docs/PLATFORM.md says what it is for.
"""

import json
import re
from typing import Any

import msgspec

DISCORD = "https://discord.com/developers/applications"
SLACK = "https://api.slack.com/apps"


class Ask(msgspec.Struct, frozen=True):
    """A secret that is asked for: the variable that it becomes, what people know it as, and how it looks."""

    variable: str
    label: str
    looks: str
    pattern: str

    def fits(self, value: str) -> bool:
        """Could this be one? It saves asking the platform about the wrong line of the clipboard."""
        return re.fullmatch(self.pattern, value) is not None


DISCORD_TOKEN = Ask("DISCORD_TOKEN", "Bot token", "three parts with dots between them", r"[\w-]+\.[\w-]+\.[\w-]+")
TELEGRAM_TOKEN = Ask("TELEGRAM_TOKEN", "Bot token", "such as 123456789:AAH…", r"\d+:[\w-]+")
SLACK_BOT_TOKEN = Ask("SLACK_BOT_TOKEN", "Bot User OAuth Token", "it begins with xoxb-", r"xoxb-[\w-]+")
SLACK_APP_TOKEN = Ask("SLACK_APP_TOKEN", "App-level token", "it begins with xapp-", r"xapp-[\w-]+")
SLACK_SIGNING_SECRET = Ask("SLACK_SIGNING_SECRET", "Signing secret", "letters and digits", r"\w+")


def discord() -> str:
    """Until there is a token."""
    return f"""\
A bot on Discord, in three steps:

  1. Open {DISCORD} → New Application, and give it its name.
  2. Bot → Privileged Gateway Intents → switch Message Content Intent on → Save Changes.
     Without it the bot is online and hears nothing.
  3. Bot → Reset Token → Copy.
"""


def invited(link: str) -> str:
    """When the bot is there, and in no server yet."""
    return f"""\
Let it into a server (you need the right Manage Server there):

  {link}
"""


def telegram() -> str:
    """Until there is a token."""
    return """\
A bot on Telegram, in two steps:

  1. Write /newbot to @BotFather: it asks for a name, and for a username that ends in "bot".
  2. Copy the token that it answers with.
"""


def in_groups() -> str:
    """What a bot needs where several people are."""
    return """\
People can write to it in private now. For groups:

  1. @BotFather → /setprivacy → your bot → Disable. Without it the bot hears only commands and replies to it.
  2. Add it to the group after that, and make it an administrator there, with no right in particular:
     only administrators are told of reactions.
"""


def slack(manifest: dict[str, Any], by_http: bool) -> str:
    """Until there are tokens."""
    return f"""\
A bot on Slack, in three steps:

  1. Open {SLACK} → Create New App → From a manifest → your workspace, choose JSON, and paste this:

{json.dumps(manifest, indent=2, ensure_ascii=False)}

  2. Install App → Install to Workspace → copy the Bot User OAuth Token.
  3. {_SECRET if by_http else _LEVEL}
"""


_LEVEL = "Basic Information → App-Level Tokens → Generate, with the scope connections:write → copy it."
_SECRET = "Basic Information → App Credentials → Signing Secret → Show → copy it."


def in_channels(name: str) -> str:
    """When the app is installed."""
    return f"""\
People can write to it in private now. For a channel, type there:  /invite @{name}
"""
