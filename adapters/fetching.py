"""A file that somebody sent, read over HTTP: never more of it than is allowed, from no other address, not unpacked.

Knows no platform: which addresses are its own is for its adapter to say, before.
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from core.errors import TooLong
from core.events import Attachment

MOST = 5_000_000  # bytes
LONGEST = 30.0  # seconds
AS_IT_IS = {"Accept-Encoding": "identity"}  # what is packed could be any size


def admit(attachment: Attachment, most: int) -> None:
    """Raises TooLong if it says so itself."""
    if attachment.size > most:
        raise TooLong(f"{attachment.name} is too long: {attachment.size:,} bytes, and {most:,} are allowed")


def whole(attachment: Attachment, content: bytes, most: int) -> bytes:
    """What was read of it. Raises TooLong if that is not all."""
    if len(content) > most:
        raise TooLong(f"{attachment.name} is longer than it was said to be, and {most:,} bytes are allowed")
    return content


async def read(
    session: aiohttp.ClientSession, url: str, most: int, headers: Mapping[str, str] | None = None
) -> bytes | None:
    """One byte more than is allowed, at most; None if it is not there, or somewhere else.

    Raises aiohttp.ClientError, TimeoutError or OSError.
    """
    asked = {**(headers or {}), **AS_IT_IS}
    async with (
        asyncio.timeout(LONGEST),
        session.get(url, headers=asked, allow_redirects=False, auto_decompress=False) as response,
    ):
        if response.status != 200:
            return None
        content = bytearray()
        async for piece in response.content.iter_chunked(65_536):
            content += piece
            if len(content) > most:
                break
        return bytes(content[: most + 1])
