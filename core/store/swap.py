"""Read, decide, write, as one: what was read is still so when the writes are made, or all of it begins anew.

For what Lua cannot decide, because it must understand what we keep.
"""

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from core.store.client import Client, Effect, Value

SCRIPT = "#!lua flags=allow-oom\n" + files("core.store").joinpath("swap.lua").read_text()


async def swap(client: Client, reads: Sequence[Effect], decide: Callable[[list[Any]], Sequence[Effect]]) -> None:
    """Carry out what `decide` makes of the answers to `reads`. It may be asked more than once."""
    while True:
        mark, found = await client.script(SCRIPT, [], [*_words(reads), ""])
        effects = decide(found)
        if not effects or (await client.script(SCRIPT, [], [*_words(reads), mark, *_words(effects)]))[0]:
            return


def _words(commands: Sequence[Effect]) -> list[Value]:
    return [len(commands), *(word for command in commands for word in (len(command), *command))]
