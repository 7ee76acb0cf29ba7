"""Files that people attach: fetched from Discord's own hosts only, and never more of them than is allowed."""

import asyncio

import aiohttp
from yarl import URL

from adapters.discord.api import Api, Refused, Unreachable
from core.errors import InputError, TooLong
from core.events import Attachment

HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
MOST = 5_000_000  # bytes
LONGEST = 30.0  # seconds


async def fetch(api: Api, attachment: Attachment, most: int = MOST) -> bytes:
    """What is in an attachment. Raises InputError if it is too long, gone, or not Discord's."""
    if attachment.size > most:
        raise TooLong(f"{attachment.name} is too long: {attachment.size:,} bytes, and {most:,} are allowed")
    try:
        content = await _read(api, attachment.url, most)
        if content is None:
            content = await _read(api, await _renewed(api, attachment.url), most)
    except (Refused, Unreachable, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise InputError(f"{attachment.name} cannot be fetched: {error}") from error
    if content is None:
        raise InputError(f"{attachment.name} is no longer there")
    if len(content) > most:
        raise TooLong(f"{attachment.name} is longer than it was said to be, and {most:,} bytes are allowed")
    return content


async def _read(api: Api, url: str, most: int) -> bytes | None:
    """One byte more than is allowed, at most; None if it is not there, as when its address has run out."""
    if not _is_discords(api, url):
        raise InputError(f"{url[:80]!r} is not at Discord's")
    async with (
        asyncio.timeout(LONGEST),
        aiohttp.ClientSession() as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            return None
        content = b""
        async for piece in response.content.iter_chunked(65_536):
            content += piece
            if len(content) > most:
                break
        return content[: most + 1]


def _is_discords(api: Api, url: str) -> bool:
    try:
        at = URL(url)
    except ValueError:
        return False
    return at.is_absolute() and ((at.host in HOSTS and at.scheme == "https") or at.origin() == api.origin)


async def _renewed(api: Api, url: str) -> str:
    """Addresses of files run out after a day; Discord gives new ones for old ones."""
    told = await api.call("POST", "/attachments/refresh-urls", {"attachment_urls": [url]})
    try:
        return str(told["refreshed_urls"][0]["refreshed"])
    except (LookupError, TypeError) as error:
        raise InputError("Discord has no new address for a file") from error
