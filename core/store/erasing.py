"""What was erased stays in Redis' append-only file until that is written anew. Here it is, for a server of our own."""

import asyncio
import time

from core.errors import StoreError
from core.store.client import Client

PAUSE = 0.02  # seconds between two looks
WITHIN = 5.0  # seconds that somebody waits for it; it goes on by itself


async def erase_log(client: Client, within: float = WITHIN) -> bool:
    """Have the log written anew, with nothing in it but what is kept. True once it is; False: it takes longer, or it
    failed. A rewriting that was under way does not count, for it may have begun before. Raises StoreError."""
    end, begun = time.monotonic() + within, False
    while time.monotonic() < end:
        if not begun:
            begun = await _begin(client)
        else:
            facts = await client.do("INFO", "persistence")
            if not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]:
                return bool(facts["aof_last_bgrewrite_status"] == "ok")
        await asyncio.sleep(PAUSE)
    return False


async def _begin(client: Client) -> bool:
    try:
        await client.do("BGREWRITEAOF")
    except StoreError as error:
        if "in progress" in str(error):
            return False
        raise
    return True
