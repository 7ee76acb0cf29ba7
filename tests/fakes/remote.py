"""Our generator over the fake server, with what tests ask of it. It hardly waits between two tries."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core import config
from core.jobs import Lane
from personas.sampling import Sampling
from tests.fakes.openai import Fake
from worker.generator import Finished, Piece, Request
from worker.openai import start
from worker.openai.generator import Remote
from worker.openai.loras import prefix

Event = Piece | Finished

STORE = "/loras"
OURS = prefix(STORE)  # what the names of LoRAs begin with on the server


def asking(text: str = "hello there", name: str = "r1", loras: tuple[str, ...] = (), **sampling: object) -> Request:
    """A request with a single message."""
    return Request(
        id=name, tokens=(0,) * len(text), sampling=Sampling().merged(sampling), seed=7, lane=Lane.LIVE, loras=loras,
        messages=({"role": "user", "content": text},),
    )  # fmt: skip


def place(version: str) -> Path:
    """Where LoRAs lie, in tests that have none."""
    return Path(STORE) / version


@contextmanager
def remote(fake: Fake, folder: Callable[[str], Path] = place, key: str = "", **environ: str) -> Iterator[Remote]:
    """A generator over this server, with settings from these variables (without `LIMEN_`)."""
    variables = {f"LIMEN_{name.upper()}": value for name, value in environ.items()}
    given = {"LIMEN_OPENAI__BASE_URL": fake.url, "LIMEN_MODEL__ENGINE": "openai", "LIMEN_LORA__STORE": STORE}
    settings = config.load(given | variables)
    generator, _ = start.generator(settings, {start.KEY: key} if key else {}, folder, pause=0.001)
    try:
        yield generator
    finally:
        generator.close()


def ended(generator: Remote, *requests: Request) -> dict[str, Finished]:
    """How these requests end, by id."""
    return {event.id: event for event in events(generator, *requests) if isinstance(event, Finished)}


def events(generator: Remote, *requests: Request) -> list[Event]:
    """All that is told of these requests, in order."""
    for request in requests:
        generator.add(request)
    told: list[Event] = []
    until(lambda: not generator.active, lambda: told.extend(generator.step()))
    return told


def until(holds: Callable[[], object], meanwhile: Callable[[], object] = lambda: time.sleep(0.002)) -> None:
    """Wait for a condition, and fail if it does not come."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        meanwhile()
