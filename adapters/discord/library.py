"""discord.py, as the rest of this folder uses it: brought in quietly, and named by our extra where it is missing."""

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

__all__ = ["DiscordWebSocket", "HTTPClient", "Route", "discord"]
