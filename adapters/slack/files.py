"""Files that people send: fetched from Slack's own host with our token, which no other host ever sees."""

import aiohttp
from yarl import URL

from adapters import fetching
from adapters.slack.web import Web
from core.errors import InputError
from core.events import Attachment

HOSTS = frozenset({"files.slack.com"})
MOST = fetching.MOST


async def fetch(web: Web, attachment: Attachment, most: int = MOST) -> bytes:
    """What is in a file. Raises TooLong, or InputError if it is not there for us, or not Slack's."""
    fetching.admit(attachment, most)
    if not is_slacks(attachment.url, web.origin):
        raise InputError(f"{attachment.name} is not at Slack's")
    try:
        headers = {"Authorization": f"Bearer {web.client.token}"}
        content = await fetching.read(web.session(), attachment.url, most, headers)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise InputError(f"{attachment.name} cannot be fetched: {type(error).__name__}") from error
    if content is None:  # whom Slack does not let in it leads to a page where one signs in
        raise InputError(f"{attachment.name} cannot be fetched: it is gone, or the scope files:read is missing")
    return fetching.whole(attachment, content, most)


def is_slacks(url: str, origin: URL) -> bool:
    """Is it at Slack's own host of files, or at the address that stands in for Slack?"""
    try:
        at = URL(url)
    except ValueError:
        return False
    if not at.is_absolute():
        return False
    return (at.host in HOSTS and at.scheme == "https" and at.port == 443) or at.origin() == origin
