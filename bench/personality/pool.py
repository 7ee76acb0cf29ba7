"""Replies of the real model to rate and to compare, made once: some minutes of one thread, then a file in the cache."""

import json
import os
import random
from pathlib import Path

from bench.nights.people import Reply
from bench.report import say
from core import config

AT_ONCE = 60
SEED = 77


def replies(count: int) -> list[Reply]:
    """To so many different questions to the pirate of `bench.nights`. Raises ModelError, ConfigError."""
    given = config.load(os.environ)
    file = Path(given.worker.cache).expanduser() / "bench" / f"replies-{count}-{SEED}.json"
    if not file.exists():
        say(f"{count} replies of the real model, for the first time; they are kept in {file}")
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps([[one.prompt, one.text, one.finish] for one in _made(count)]), "utf-8")
        os.replace(new, file)
    return [Reply(prompt, text, 0, finish) for prompt, text, finish in json.loads(file.read_text("utf-8"))]


def _made(count: int) -> list[Reply]:
    from bench.nights.people import crowd
    from bench.nights.tastes import excited
    from bench.nights.world import World, real

    world = World(real(), excited, crowd(), 0)
    texts = [*world.asked, *world.unseen]
    random.Random(SEED).shuffle(texts)
    texts = (texts * (count // len(texts) + 1))[:count]
    made: list[Reply] = []
    for at in range(0, count, AT_ONCE):
        made += world.speak(texts[at : at + AT_ONCE], None, SEED + at)
        say(f"{len(made)} of {count}")
    return made
