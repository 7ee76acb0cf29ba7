"""Files that people attach: fetched from Discord's own hosts only, and never more of them than is allowed."""

import aiohttp
from yarl import URL

from adapters import fetching
from adapters.discord.api import Api, Refused, Unreachable
from core.errors import InputError
from core.events import Attachment

HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
MOST = fetching.MOST


async def fetch(api: Api, attachment: Attachment, most: int = MOST) -> bytes:
    """What is in an attachment. Raises InputError if it is too long, gone, or not Discord's."""
    fetching.admit(attachment, most)
    try:
        content = await _read(api, attachment.url, most)
        if content is None:  # as when its address has run out
            content = await _read(api, await _renewed(api, attachment.url), most)
    except (Refused, Unreachable, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise InputError(f"{attachment.name} cannot be fetched: {error}") from error
    if content is None:
        raise InputError(f"{attachment.name} is no longer there")
    return fetching.whole(attachment, content, most)


async def _read(api: Api, url: str, most: int) -> bytes | None:
    if not _is_discords(api, url):
        raise InputError(f"{url[:80]!r} is not at Discord's")
    async with aiohttp.ClientSession() as session:
        return await fetching.read(session, url, most)


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
