"""The engine on its test stand: as a worker assembles it, with LoRA files on a disk and replies in flight.

This is the one place of the benchmark that reaches inside: for a second engine over the same model, and for talks
that count as read without having been read.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.engine.shapes import Base, prompts
from core.jobs import BASE
from core.settings import Lora, Settings, Worker
from personas.sampling import Sampling
from worker.engine import Engine, Limits
from worker.generator import Finished, Piece, Request
from worker.kv import Arena, shape
from worker.lora.files import Shape, Weights, write
from worker.lora.shape import of
from worker.start import assemble, far

# Tokens of a step: what the trial at a worker's start finds for SmolLM2 on one thread. On a GPU it is made.
STEP_TOKENS = {"bfloat16": 64, "float32": 32}
REPLY = 64  # tokens that a batch may be measured for
CONTEXTS = 3  # whole contexts that an arena has room for at least: a default worker has more
RANK = 8


class Stand:
    """`rows` replies and LoRAs at most, over arenas with room for talks of `context` tokens each."""

    def __init__(self, base: Base, folder: Path, targets: str, rows: int, context: int) -> None:
        self.loaded = base.load()
        self.weight_bytes = bytes_of(self.loaded.model)
        self.shape = of(self.loaded.model, (base.ref,), targets, RANK)
        self.folder, self.rows, gpu = folder / targets, rows, base.device != "cpu"
        layers, heads, size = shape(self.loaded.model.config)
        per_token = 2 * layers * heads * size * self.loaded.model.dtype.itemsize
        kv = per_token * max(rows * (context + 2 * REPLY), CONTEXTS * self.loaded.context)
        settings = Settings(
            model=base.settings,
            lora=Lora(slots=rows, targets=targets, rank=RANK),  # type: ignore[arg-type]
            worker=Worker(batch=rows, step_tokens=0 if gpu else STEP_TOKENS[base.dtype], kv_mb=-(-kv // 1_000_000)),
        )
        self.engine = assemble(self.loaded, settings, self.folder.joinpath, (base.ref,))
        self.arena, self.desk = self.engine._arena, self.engine._loras
        self.versions = write_loras(self.folder, self.shape, rows)
        self._asked = 0

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self.loaded.model.config.vocab_size)

    @property
    def step_tokens(self) -> int:
        """Tokens of a step."""
        return int(self.engine.about()["step_tokens"])

    def twin(self) -> tuple[Engine, Arena]:
        """Another engine over the same model and slots, with replies and an arena of its own."""
        first = self.arena.storage.keys[0]
        sizes = shape(self.loaded.model.config)
        arena = Arena(*sizes, self.arena.capacity, first.dtype, self.loaded.device)
        limits = Limits(self.rows, self.step_tokens, far(self.loaded.model))
        return Engine(self.loaded, arena, self.desk, limits, together=self.loaded.device != "cpu"), arena

    def request(self, tokens: Sequence[int], most: int, lora: str = "") -> Request:
        """A greedy one, of an id that was not there before."""
        self._asked += 1
        greedy = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=most)
        loras = (lora,) if lora else ()
        return Request(id=str(self._asked), tokens=tuple(tokens), sampling=greedy, seed=self._asked, loras=loras)

    def answer(self, requests: Sequence[Request]) -> list[Finished]:
        """All of them, to their ends."""
        for request in requests:
            self.engine.add(request)
        ends: list[Finished] = []
        while self.engine.active:
            ends += [event for event in self.engine.step() if isinstance(event, Finished)]
        assert len(ends) == len(requests), "requests got lost"
        assert not any(end.error for end in ends), next(end.error for end in ends if end.error)
        return ends

    def hold(self, lora: str) -> None:
        """Have a LoRA in its slot, through the thread that reads them."""
        while (found := self.desk.claim((lora,))) is None:
            self.desk.wait()
            self.desk.take()
        assert found[0] == lora, f"{lora} could not be loaded"
        self.desk.release(lora)


class Batch:
    """Talks of `context` tokens whose replies are being written, one for each of `loras` ("": the base)."""

    def __init__(self, stand: Stand, engine: Engine, arena: Arena, context: int, loras: Sequence[str]) -> None:
        arena.forget_idle()
        self._engine = engine
        talks = prompts(len(loras), [context], stand.vocabulary, seed=context)
        for talk, lora in zip(talks, loras, strict=True):
            pretend(arena, talk, lora or BASE)
        requests = [stand.request(talk, REPLY, lora) for talk, lora in zip(talks, loras, strict=True)]
        self._ids = [request.id for request in requests]
        for request in requests:
            engine.add(request)
        begun: set[str] = set()
        while len(begun) < len(requests):  # their LoRAs are being read
            begun |= {event.id for event in engine.step() if isinstance(event, Piece)}

    def step(self) -> None:
        """A token for each."""
        made = self._engine.step()
        assert len(made) == len(self._ids), "a step gives each reply one token"

    def keep(self, count: int) -> None:
        """Only the first ones go on."""
        for name in self._ids[count:]:
            self._engine.cancel(name)
        self._ids = self._ids[:count]
        self._engine.step()


def pretend(arena: Arena, talk: list[int], lora: str) -> None:
    """Let a talk count as read but for its last token: reading takes long, and what is in memory takes the same time
    to look at."""
    kept = arena.open(talk, lora, REPLY)
    assert kept is not None, "the arena has room for all"
    first = arena.storage.keys[0]
    noise = torch.randn((first.shape[0], kept.room, first.shape[2]), device=first.device).to(first.dtype)
    for part in (*arena.storage.keys, *arena.storage.values):
        part[:, kept.at : kept.at + kept.room] = noise
    kept.tokens = talk[:-1]
    arena.rest(kept)


def bytes_of(model: Any) -> int:
    """What a model's weights take. Quantised ones are tensors in a wrapping."""
    return sum(part.nbytes for weight in model.parameters() for part in _unwrapped(weight))


def _unwrapped(weight: Any) -> list[torch.Tensor]:
    if not hasattr(weight, "__tensor_flatten__"):
        return [weight]
    return [getattr(weight, name) for name in weight.__tensor_flatten__()[0]]


def write_loras(folder: Path, shape: Shape, count: int) -> list[str]:
    """So many different LoRAs of random numbers, as files. Their names."""
    dice = torch.Generator().manual_seed(3)
    names = [f"v{number:04}" for number in range(count)]
    for name in names:
        parts = {
            (layer, target): (
                torch.randn(RANK, shape.sizes[target][0], generator=dice) * 0.01,
                torch.randn(shape.sizes[target][1], RANK, generator=dice) * 0.01,
            )
            for layer in range(shape.layers)
            for target in shape.targets
        }
        write(folder / name, Weights(name, RANK, parts), shape.names[0])
    return names


def copy_loras(folder: Path, names: Sequence[str], first: int, last: int, linked: bool = False) -> list[str]:
    """Versions number `first` up to `last`, with what the known ones hold, in files of their own or `linked` ones."""
    made = [f"v{number:04}" for number in range(first, last)]
    for at, name in enumerate(made):
        copy = os.link if linked else shutil.copyfile
        shutil.copytree(folder / names[at % len(names)], folder / name, copy_function=copy)
    return made
