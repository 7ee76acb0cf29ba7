"""One copy of the base model that can both speak with LoRAs and learn one: what every part of a night works with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import count

from worker import kv, packed
from worker.engine import Engine, Limits
from worker.generator import Finished, Request
from worker.lora.desk import Desk
from worker.lora.files import Shape, Weights
from worker.lora.linears import install
from worker.lora.loading import Loading
from worker.lora.shape import of
from worker.lora.slots import Slots
from worker.model import Loaded
from worker.night import rows
from worker.night.tuning import Both, Tuning
from worker.render import Renderer
from worker.start import far, free

PLAIN = rows.NAME  # the attention that learns; the one that speaks has no gradients
SLOTS = 4
ROWS, STEP = 96, 1024
CONTEXTS, SHARE = 4, 0.125  # room for keys and values: contexts' worth, of an eighth of the free memory at most


@dataclass(frozen=True, eq=False)
class Base:
    """`loras`: those that it can speak with, by the names that `known` gives. `plain`: passages of neutral text, to
    hold on to while learning, and to measure with."""

    loaded: Loaded
    shape: Shape
    both: Both
    arena: kv.Arena
    engine: Engine
    loras: dict[str, Weights]
    renderer: Renderer
    plain: tuple[Sequence[str], Sequence[str]]
    _numbers: "count[int]" = field(default_factory=count)

    def known(self, weights: Weights) -> str:
        """What to ask the engine for to speak with these weights. Slots, keys and values are kept by that name, so no
        two have the same, though every night calls its own `new`."""
        found = next((name for name, other in self.loras.items() if other.parts is weights.parts), "")
        if found:
            return found
        name = f"{weights.version}#{next(self._numbers)}"
        for old in list(self.loras)[: -SLOTS + 1]:
            del self.loras[old]
        self.loras[name] = replace(weights, version=name)
        return name

    def speak(self, requests: Sequence[Request]) -> dict[str, Finished]:
        """Answer all of them, by id."""
        with self._attention(packed.NAME):
            self.arena.forget_idle()  # else what was said before lies in the way, and all is moved again and again
            for request in requests:
                self.engine.add(request)
            ends: dict[str, Finished] = {}
            while self.engine.active:
                ends |= {event.id: event for event in self.engine.step() if isinstance(event, Finished)}
        return ends

    @contextmanager
    def learning(self, tuning: Tuning) -> Iterator[None]:
        """The model's forward adds `tuning`'s LoRAs, with gradients, for as long as the block lasts."""
        with self._attention(PLAIN):
            self.both.now = tuning
            try:
                yield
            finally:
                self.both.now = self.both.slots

    @contextmanager
    def _attention(self, name: str) -> Iterator[None]:
        before = self.loaded.model.config._attn_implementation
        self.loaded.model.set_attn_implementation(name)
        try:
            yield
        finally:
            self.loaded.model.set_attn_implementation(before)


def passages() -> tuple[Sequence[str], Sequence[str]]:
    """Our own neutral text, in halves."""
    halves = files("worker.night").joinpath("neutral.txt").read_text("utf-8").split("===\n")
    first, second = ([" ".join(part.split()) for part in half.split("\n\n") if part.strip()] for half in halves)
    return first, second


def prepare(
    loaded: Loaded, names: Sequence[str], targets: str, rank: int,
    plain: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Base:  # fmt: skip
    """A base over a loaded model, which is changed by it. Raises LoraError, ModelError."""
    gpu = loaded.device != "cpu"
    shape = of(loaded.model, names, targets, rank)
    slots = Slots(shape, SLOTS, next(loaded.model.parameters()).dtype, loaded.device, gather=gpu)
    both = Both(slots)
    install(loaded.model, both)
    packed.prepare(loaded.model)
    layers, heads, size = kv.shape(loaded.model.config.get_text_config())
    each = 2 * layers * heads * size * loaded.model.dtype.itemsize
    room = kv.capacity(0, each, loaded.context, int(SHARE * free(loaded.device)))
    tokens = min(CONTEXTS * loaded.context, room)
    arena = kv.Arena(layers, heads, size, tokens, loaded.model.dtype, loaded.device)
    loras: dict[str, Weights] = {}
    engine = Engine(
        loaded, arena, Desk(slots, Loading(loras.__getitem__)), Limits(ROWS, STEP, far(loaded.model)), together=gpu
    )
    return Base(
        loaded, shape, both, arena, engine, loras, Renderer(loaded.tokenizer, loaded.context), plain or passages()
    )
