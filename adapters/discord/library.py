"""discord.py, as the rest of this folder uses it: brought in quietly, and named by our extra where it is missing.

What it logs has no token in it: it writes the address of a call that Discord slows down, and that of an interaction
is a key to speak as we for fifteen minutes.
"""

import logging
import re
import warnings

from core.errors import MissingExtra

with warnings.catch_warnings():
    # For voice, which we do not use, it imports a module that Python 3.13 drops.
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    try:
        import discord
        from discord.gateway import DiscordWebSocket
        from discord.http import HTTPClient, Route
    except ImportError as error:
        raise MissingExtra("discord.py is not installed", "make install EXTRAS=discord") from error

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody need hear that we have no voice

_KEY = re.compile(r"(/(?:interactions|webhooks)/\d+/)[^/\s'\"?]+")


def hushed(text: str) -> str:
    """`text` without the tokens of interactions."""
    return _KEY.sub(r"\1…", text)


def _without_keys(record: logging.LogRecord) -> bool:
    record.msg, record.args = hushed(record.getMessage()), None
    return True


logging.getLogger("discord.http").addFilter(_without_keys)

__all__ = ["DiscordWebSocket", "HTTPClient", "Route", "discord", "hushed"]
