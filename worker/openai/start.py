"""Settings → a Generator over the server that they name. Imports neither torch nor transformers."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from core.config import Secret, secret
from core.settings import Openai, Settings
from worker.openai.asking import Dialect
from worker.openai.fitting import Fitting
from worker.openai.generator import Background, Remote
from worker.openai.look import Look, look
from worker.openai.loras import STEP, Loras, prefix
from worker.openai.reply import LONGEST, Speaker
from worker.openai.server import Server
from worker.openai.trouble import Trouble

log = logging.getLogger("limen.worker")

KEY = "OPENAI_API_KEY"


def key(environ: Mapping[str, str]) -> Secret | None:
    """The key, if there is one: servers of one's own often want none."""
    return secret(KEY, environ) if environ.get(KEY, "").strip() else None


def generator(
    settings: Settings, environ: Mapping[str, str], folder: Callable[[str], Path], pause: float = 0.5
) -> tuple[Remote, dict[str, str | int | float]]:
    """A Generator, and what `limen status` says of it. `folder`: where a LoRA version lies.

    Raises ModelError with the next step when the server cannot be used; ConfigError for a key that is none.
    """
    began, wanted = time.monotonic(), settings.openai
    server = Server(wanted.base_url, key(environ), wanted.timeout_seconds)
    background = Background()
    try:
        seen = background.run(_met(server, wanted, pause))
    except BaseException:
        background.run(server.close())
        background.close()
        raise
    speaker = _speaker(server, seen, settings, folder, pause)
    _tell(seen, server, wanted)
    about: dict[str, str | int | float] = {
        "model": f"openai:{seen.model}", "device": server.where, "pid": os.getpid(), "batch": settings.worker.batch,
        "loaded_in_s": round(time.monotonic() - began, 1),
    }  # fmt: skip
    return Remote(background, server, speaker), about


async def _met(server: Server, wanted: Openai, pause: float) -> Look:
    """Look at the server; one that is just starting is waited for a while."""
    for number in range(wanted.retries):
        try:
            return await look(server, wanted)
        except Trouble as trouble:
            if not trouble.again:
                raise
            log.info("%s; trying again", trouble)
            await asyncio.sleep(min(pause * 2**number, LONGEST))
    return await look(server, wanted)


def _speaker(server: Server, seen: Look, settings: Settings, folder: Callable[[str], Path], pause: float) -> Speaker:
    context = seen.context or settings.openai.context
    loras = Loras(server, folder, settings.lora.slots, prefix(settings.lora_store), seen.no_loras)
    loras.adopt(seen.models)
    fitting = Fitting(min(context, settings.model.context or context), settings.history.tokens)
    return Speaker(server, seen.model, loras, Dialect(seen.owner), fitting, settings.openai.retries, pause)


def _tell(seen: Look, server: Server, wanted: Openai) -> None:
    """What people should know from the log."""
    if seen.models and not seen.listed:
        log.warning("%s does not list %s; it has %s", server.where, seen.model, ", ".join(seen.bases[:10]))
    if seen.no_loras:
        step = STEP if wanted.loras == "auto" else "set openai.loras to auto"
        log.warning("%s: nights cannot change it. %s", seen.no_loras, step)
