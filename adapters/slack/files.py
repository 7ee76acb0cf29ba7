"""Files that people send: fetched from Slack's own host with our token, which no other host ever sees."""

import asyncio

import aiohttp
from yarl import URL

from adapters.slack.web import Web
from core.errors import InputError, TooLong
from core.events import Attachment

HOSTS = frozenset({"files.slack.com"})
MOST = 5_000_000  # bytes
LONGEST = 30.0  # seconds


async def fetch(web: Web, attachment: Attachment, most: int = MOST) -> bytes:
    """What is in a file. Raises TooLong, or InputError if it is not there for us, or not Slack's."""
    if attachment.size > most:
        raise TooLong(f"{attachment.name} is too long: {attachment.size:,} bytes, and {most:,} are allowed")
    if not is_slacks(attachment.url, web.origin):
        raise InputError(f"{attachment.name} is not at Slack's")
    try:
        content = await _read(web, attachment.url, most)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise InputError(f"{attachment.name} cannot be fetched: {type(error).__name__}") from error
    if content is None:
        raise InputError(f"{attachment.name} cannot be fetched: it is gone, or the scope files:read is missing")
    if len(content) > most:
        raise TooLong(f"{attachment.name} is longer than it was said to be, and {most:,} bytes are allowed")
    return content


async def _read(web: Web, url: str, most: int) -> bytes | None:
    """One byte more than is allowed, at most. Whom Slack does not let in it leads to a page where one signs in."""
    headers = {"Authorization": f"Bearer {web.client.token}"}
    async with (
        asyncio.timeout(LONGEST),
        web.session().get(url, headers=headers, allow_redirects=False) as response,
    ):
        if response.status != 200:
            return None
        content = b""
        async for piece in response.content.iter_chunked(65_536):
            content += piece
            if len(content) > most:
                break
        return content[: most + 1]


def is_slacks(url: str, origin: URL) -> bool:
    """Is it at Slack's own host of files, or at the address that stands in for Slack?"""
    try:
        at = URL(url)
    except ValueError:
        return False
    if not at.is_absolute():
        return False
    return (at.host in HOSTS and at.scheme == "https" and at.port == 443) or at.origin() == origin
