"""The tiny model in our own engine, with LoRAs that are made up in memory."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from core.errors import LoraError
from personas.sampling import Sampling
from tests.fakes.loras import TINY
from tests.fakes.tiny import Bytes, tiny
from worker import packed
from worker.engine import USUAL, Engine, Limits
from worker.generator import Finished, Piece, Request
from worker.kv import Arena, shape
from worker.lora.desk import Desk
from worker.lora.files import Shape, Weights
from worker.lora.linears import install
from worker.lora.loading import Loading
from worker.lora.slots import Slots
from worker.model import Loaded

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=24)
WARM = Sampling(temperature=0.9, top_k=40, top_p=0.95, min_p=0.02, repetition_penalty=1.2, max_tokens=24)
PROMPTS = ("hi", "a rather longer prompt, to be padded against", "héllo wörld", "x" * 100)


def fresh(context: int = 512) -> Loaded:
    """The tiny model, to be changed at will."""
    loaded = tiny(context)
    return Loaded(**{**vars(loaded), "model": copy.deepcopy(loaded.model)})


def engine(
    loras: Mapping[str, Weights] | None = None,
    *,
    room: int = 4096,
    slots: int = 4,
    limits: Limits = USUAL,
    lora_shape: Shape = TINY,
    together: bool = False,
    context: int = 512,
) -> Engine:
    """`room`: tokens of keys and values."""
    loaded, known = fresh(context), dict(loras or {})
    held = Slots(lora_shape, slots, loaded.model.dtype, "cpu", gather=together)
    install(loaded.model, held)
    packed.prepare(loaded.model)

    def read(version: str) -> Weights:
        if version not in known:
            raise LoraError(f"there is no {version}")
        return known[version]

    arena = Arena(*shape(loaded.model.config), room, loaded.model.dtype, "cpu")
    return Engine(loaded, arena, Desk(held, Loading(read)), limits, together)


def ask(number: int, sampling: Sampling = GREEDY, name: str = "", loras: Sequence[str] = ()) -> Request:
    """One of four prompts."""
    tokens = tuple(Bytes().encode(PROMPTS[number % len(PROMPTS)]))
    return Request(id=name or str(number), tokens=tokens, sampling=sampling, seed=100 + number, loras=tuple(loras))


def steps(engine: Engine, most: int = 2000) -> Iterator[list[Piece | Finished]]:
    """Step after step, until nobody is left."""
    for _ in range(most):
        if not engine.active:
            return
        yield engine.step()
    raise AssertionError("it does not end")


def run(engine: Engine, *requests: Request) -> tuple[dict[str, Finished], dict[str, str]]:
    """(how each ended, what each streamed), these requests and whoever is there already."""
    for request in requests:
        engine.add(request)
    ends: dict[str, Finished] = {}
    streamed: dict[str, str] = {}
    for events in steps(engine):
        take(events, ends, streamed)
    return ends, streamed


def take(events: Sequence[Piece | Finished], ends: dict[str, Finished], streamed: dict[str, str]) -> None:
    """Sort what a step gave."""
    for event in events:
        if isinstance(event, Finished):
            ends[event.id] = event
        else:
            streamed[event.id] = streamed.get(event.id, "") + event.text


def alone(request: Request, loras: Mapping[str, Weights] | None = None, lora_shape: Shape = TINY) -> Finished:
    """What it gets when nobody else is there."""
    return run(engine(loras, lora_shape=lora_shape), request)[0][request.id]


def renamed(request: Request, name: str) -> Request:
    """The same under another id."""
    return msgspec.structs.replace(request, id=name)
