"""Our own engine: continuous batching over one base model, with a LoRA for each request. Meets `Generator`.

A step is: let in → share out → one forward → choose. Requests join at any step and leave when they are done; a long
prompt is read in pieces between everybody's tokens; what was read of a conversation stays for its next turn. When room
for keys and values runs short, the youngest yields and resumes later. docs/engine.md says why it is built like this.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from core.jobs import BASE
from core.prompt import Prompt
from worker.copying import Copies, Turns
from worker.generator import Finished, Piece, Rendered, Request
from worker.kv import KEEP, Arena, Kept
from worker.lora.desk import Desk
from worker.lora.slots import mixed
from worker.model import Loaded
from worker.packed import Pack, Span, forward
from worker.render import Renderer
from worker.sampling import Draw, choose
from worker.schedule import Want, first, shares, youngest
from worker.streaming import Stream
from worker.weigher import Weigher

Item = TypeVar("Item")
log = logging.getLogger("limen.worker")

SMALLEST = 16  # tokens of a step: with fewer, running out of memory is no question of the step's size


@dataclass(frozen=True)
class Limits:
    """`rows`: replies at the same time; `step_tokens`: tokens read in a step; `far`: see `schedule.shares`."""

    rows: int = 8
    step_tokens: int = 256
    far: float = 3000.0


USUAL = Limits()


class _Row:
    """A request on its way. `tokens` are prompt and reply so far; `kept` holds what the model has seen of them."""

    def __init__(self, request: Request, stream: Stream, order: int, turns: Turns) -> None:
        self.request, self.stream, self.order = request, stream, order
        self.dice = torch.Generator().manual_seed(request.seed)
        self.tokens = list(request.tokens)
        sampling = request.sampling
        self.copies = Copies(request.spoken, sampling.dry_multiplier, sampling.dry_allowed_length, turns, request.told)
        self.lora = ""  # not settled yet
        self.slot: int | None = None
        self.kept: Kept | None = None

    @property
    def holds(self) -> Kept:
        assert self.kept is not None, "only rows that were let in are read"
        return self.kept

    @property
    def left(self) -> int:
        """Tokens that the model has not seen."""
        return len(self.tokens) - len(self.holds.tokens)

    @property
    def is_read(self) -> bool:
        """Has the model seen all of its prompt?"""
        return self.kept is not None and len(self.kept.tokens) >= len(self.request.tokens)

    @property
    def family(self) -> str:
        """The same for all candidates of a reply."""
        return self.request.after or self.request.id

    def same(self, other: "_Row | None") -> int:
        """How many of the first tokens that it has read are also the other's, as copies: those of their prompt."""
        if other is None or other.lora != self.lora or other.request.tokens is not self.request.tokens:
            return 0
        return min(len(self.request.tokens) - 1, len(self.holds.tokens), len(other.holds.tokens))

    def want(self) -> Want:
        return Want(self.left, len(self.holds.tokens), self.request.lane, self.order)


class Engine:
    """A Generator (see `generator.py`) over one loaded model. `together`: see `packed.Pack`."""

    def __init__(
        self, loaded: Loaded, arena: Arena, loras: Desk, limits: Limits = USUAL, together: bool = False
    ) -> None:
        self._loaded, self._arena, self._loras, self._together = loaded, arena, loras, together
        self._rows_most, self._room, self._far = limits.rows, limits.step_tokens, limits.far
        self._renderer = Renderer(loaded.tokenizer, loaded.context, loaded.talk)
        self._weigher = Weigher(loaded, arena, loras, together)
        self._joining: deque[Request] = deque()
        self._unwanted: deque[str] = deque()  # like `_joining` filled by other threads: only append and popleft
        self._waiting: list[_Row] = []
        self._rows: list[_Row] = []
        self._steps = self._arrived = self._yielded = 0
        self._tight = False  # somebody has yielded, and nobody has left since: to let in would make them yield again

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Fit a prompt into the context, with room for `reserve` tokens of reply."""
        return self._renderer.render(prompt, reserve)

    def weighing(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request | None:
        """A request for how likely each choice is to follow `lead`: with the LoRAs of whoever `asked`."""
        return self._weigher.request(request_id, self._renderer.safe(lead), choices, asked)

    def add(self, request: Request) -> None:
        """Let a request join at the next step."""
        self._joining.append(request)

    def cancel(self, request_id: str) -> None:
        """Let a request end, with what it has, at the next step."""
        self._unwanted.append(request_id)

    @property
    def active(self) -> int:
        """How many requests have not ended."""
        return len(self._rows) + len(self._waiting) + len(self._joining)

    def about(self) -> dict[str, str | int | float]:
        """What `limen status` shows of it."""
        arena = self._arena
        return {
            "step_tokens": self._room,
            "kv_mb": round(arena.capacity * arena.per_token / 1e6),
            "kv_used_mb": round(arena.used * arena.per_token / 1e6),
            "prompt_reused": round(arena.reused / max(arena.asked, 1), 2),
            "yielded": self._yielded,
            **self._loras.about(),
        }

    def faults(self) -> dict[str, str]:
        """LoRA versions that cannot be loaded now, and why."""
        return self._loras.faults()

    @torch.inference_mode()
    def step(self) -> list[Piece | Finished]:
        """A token for everybody who is being answered, and a piece of the prompts of those who are not yet."""
        events: list[Piece | Finished] = []
        self._take_in(events)
        self._let_in(events)
        self._make_room(events)
        if not self._rows:
            self._loras.wait()  # nothing else is to be done meanwhile
            return events
        rows, counts = self._share_out()
        logits = self._read(rows, counts, events)
        if logits is not None:
            self._choose([row for row in rows if row.kept is not None and row.left == 0], logits, events)
        return events

    def _take_in(self, events: list[Piece | Finished]) -> None:
        """What other threads have asked for since the last step."""
        unwanted = set(_drained(self._unwanted))  # before the joiners: nobody is cancelled who was not added before
        for request in _drained(self._joining):
            self._arrived += 1
            stream = Stream(self._loaded.decode, request.sampling.stop, request.speakers)
            self._waiting.append(_Row(request, stream, self._arrived, self._renderer.turns(request.speakers)))
        for row in [row for row in (*self._rows, *self._waiting) if row.request.id in unwanted]:
            self._end(row, "cancelled", events)

    def _let_in(self, events: list[Piece | Finished]) -> None:
        """Those who wait, as far as their LoRA is there and batch and memory have room."""
        self._loras.take()
        self._arena.forget_idle(KEEP)
        turns = first([(row.request.lane, row.order) for row in self._waiting])
        for row in [self._waiting[at] for at in turns]:
            if len(self._rows) >= self._rows_most or (self._tight and self._rows):
                return
            if self._follows(row):
                continue
            try:
                if self._settle(row) and not self._open(row):
                    return  # the next in line would only take the room that this one waits for
            except Exception as error:
                log.exception("request %s could not be let in", row.request.id)
                self._end(row, "error", events, _reason(error))

    def _follows(self, row: _Row) -> bool:
        """Is somebody's prompt still being read that is its own as well? Soon it can be copied."""
        everybody = (*self._rows, *self._waiting) if row.request.after else ()
        return any(one.request.id == row.request.after and not one.is_read for one in everybody)

    def _settle(self, row: _Row) -> bool:
        """Which LoRA it is read with. False: it is still being loaded."""
        if not row.lora:
            found = self._loras.claim(row.request.loras)
            if found is None:
                return False
            row.lora, row.slot = found
        return True

    def _open(self, row: _Row) -> bool:
        if not 0 < len(row.tokens) < self._loaded.context:
            raise ValueError(f"a prompt of {len(row.tokens)} tokens in a context of {self._loaded.context}")
        row.kept = self._arena.open(row.tokens, row.lora, row.request.sampling.max_tokens - len(row.stream.ids))
        if row.kept is None and not self._rows:
            raise ValueError(f"a prompt of {len(row.tokens)} tokens, and all room is for {self._arena.capacity}")
        if row.kept is None:
            return False
        self._waiting.remove(row)
        self._rows.append(row)
        return True

    def _make_room(self, events: list[Piece | Finished]) -> None:
        """Everybody's next token has a place, if need be after the youngest has yielded."""
        for row in sorted(self._rows, key=lambda row: row.order):
            while row in self._rows and not self._arena.grow(row.holds, len(row.tokens)):
                if len(self._rows) == 1:
                    self._end(row, "length", events)  # all there is holds no more of it
                else:
                    self._yield(self._rows[youngest([other.want() for other in self._rows])])

    def _yield(self, row: _Row) -> None:
        """It gives its room back and waits; what it has said is not lost, only to be read again."""
        self._yielded, self._tight = self._yielded + 1, True
        self._arena.drop(row.holds)
        row.kept = None
        self._rows.remove(row)
        self._waiting.append(row)

    def _share_out(self) -> tuple[list[_Row], list[int]]:
        """The rows of this step, and how many tokens of each, in the order that a pack and a mix want."""
        given = shares([row.want() for row in self._rows], self._room, self._far, self._steps)
        self._steps += 1
        chosen = [(row, count) for row, count in zip(self._rows, given, strict=True) if count]
        chosen.sort(key=lambda pair: (pair[1] > 1, pair[0].slot is None, pair[0].family))
        return [row for row, _ in chosen], [count for _, count in chosen]

    def _read(self, rows: Sequence[_Row], counts: Sequence[int], events: list[Piece | Finished]) -> Tensor | None:
        """One forward. Logits of the rows that have been read to their end; None if there are none."""
        try:
            logits = self._forward(rows, counts)
        except torch.OutOfMemoryError:
            self._shrink(events, max(counts))
            return None
        except Exception as error:
            return self._find_fault(rows, counts, error, events)
        for row, count in zip(rows, counts, strict=True):
            seen = len(row.holds.tokens)
            row.holds.tokens += row.tokens[seen : seen + count]
        return logits

    def _forward(self, rows: Sequence[_Row], counts: Sequence[int]) -> Tensor:
        spans = [
            Span(row.holds.at, len(row.holds.tokens), count, row.same(before))
            for row, count, before in zip(rows, counts, [None, *rows], strict=False)
        ]
        new = [token for row, span in zip(rows, spans, strict=True) for token in row.tokens[span.past : span.total]]
        ends = [at for at, (row, count) in enumerate(zip(rows, counts, strict=True)) if row.left == count]
        self._loras.mix(mixed([(count, row.slot) for row, count in zip(rows, counts, strict=True)]))
        tokens = torch.tensor([new], device=self._loaded.device)
        return forward(self._loaded.model, tokens, Pack(spans, self._arena.storage, self._together), ends)

    def _find_fault(
        self, rows: Sequence[_Row], counts: Sequence[int], error: Exception, events: list[Piece | Finished]
    ) -> Tensor | None:
        """A step failed: whoever fails alone as well ends, and nobody else notices."""
        if len(rows) == 1:
            log.error("request %s could not be read", rows[0].request.id, exc_info=error)
            self._end(rows[0], "error", events, _reason(error))
            return None
        pairs = zip(rows, counts, strict=True)  # meanwhile, memory may run out, and some of them yield
        found = [(row, self._read([row], [count], events)) for row, count in pairs if row.kept is not None]
        logits = [part for row, part in found if part is not None and row.kept is not None]
        return torch.cat(logits) if logits else None

    def _shrink(self, events: list[Piece | Finished], most: int) -> None:
        """The device's memory was not enough for a step: halve the steps, then the rows, and go on.

        `most`: tokens of one row in it. With one of each, smaller steps would only slow down the reading of prompts.
        """
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._room > SMALLEST and most > 1:
            self._room //= 2
            log.warning("out of memory: from now on %d tokens in a step", self._room)
        elif len(self._rows) > 1:
            self._rows_most = max(1, len(self._rows) // 2)
            log.warning("out of memory: from now on %d replies at a time", self._rows_most)
            while len(self._rows) > self._rows_most:
                self._yield(self._rows[youngest([other.want() for other in self._rows])])
        else:
            self._end(self._rows[0], "error", events, "the device has not enough memory for a single reply")

    def _choose(self, rows: Sequence[_Row], logits: Tensor, events: list[Piece | Finished]) -> None:
        """A token for each of these rows; those that are done leave, and those of whom no reply is wanted."""
        asks = [bool(row.request.choices) for row in rows]
        if any(asks):
            for row, scores in [(row, logits[at]) for at, row in enumerate(rows) if asks[at]]:
                self._weigh(row, scores, events)
            speak = [at for at, row in enumerate(rows) if not asks[at]]
            rows, logits = [rows[at] for at in speak], logits[speak]
        if not rows:
            return
        draws = [Draw(row.request.sampling, row.stream.ids, row.dice, row.copies) for row in rows]
        try:
            tokens = choose(logits, draws)
        except torch.OutOfMemoryError:
            for row in rows:
                row.holds.tokens.pop()  # to be read again, for its scores are lost
            self._shrink(events, 1)
            return
        except Exception as error:
            self._choose_apart(rows, logits, error, events)
            return
        for row, token in zip(rows, tokens, strict=True):
            if token is None:
                self._end(row, "error", events, "the model gave no usable scores")
            elif token in self._loaded.ends:
                self._end(row, "stop", events)
            else:
                self._say(row, token, events)

    def _choose_apart(
        self, rows: Sequence[_Row], logits: Tensor, error: Exception, events: list[Piece | Finished]
    ) -> None:
        """As `_find_fault`: who cannot be given a token ends, for it would wait for ever."""
        if len(rows) == 1:
            log.error("request %s could not be given a token", rows[0].request.id, exc_info=error)
            self._end(rows[0], "error", events, _reason(error))
            return
        for at, row in enumerate(rows):
            if row.kept is not None:  # it may have yielded meanwhile
                self._choose([row], logits[at : at + 1], events)

    def _weigh(self, row: _Row, logits: Tensor, events: list[Piece | Finished]) -> None:
        """How likely each of its choices is."""
        try:
            weighed = self._weigher.weigh(logits, row.tokens, row.lora, row.slot, row.request.choices)
        except Exception as error:  # no room, say: a reply can do without
            log.info("request %s could not be weighed: %s", row.request.id, error)
            self._end(row, "error", events, _reason(error))
            return
        self._end(row, "weighed", events, scores=weighed)

    def _say(self, row: _Row, token: int, events: list[Piece | Finished]) -> None:
        row.tokens.append(token)
        events.append(Piece(row.request.id, row.stream.push(token), len(row.stream.ids)))
        if row.stream.stopped:
            self._end(row, "stop", events)
        elif len(row.stream.ids) >= row.request.sampling.max_tokens or len(row.tokens) >= self._loaded.context:
            self._end(row, "length", events)

    def _end(
        self, row: _Row, finish: str, events: list[Piece | Finished], error: str = "", scores: tuple[float, ...] = ()
    ) -> None:  # fmt: skip
        if rest := row.stream.rest():
            events.append(Piece(row.request.id, rest, len(row.stream.ids)))
        text, tokens, lora = row.stream.text, len(row.stream.ids), row.lora or BASE
        events.append(
            Finished(
                id=row.request.id, text=text, finish=finish, tokens=tokens, lora=lora, error=error, scores=scores
            )
        )  # fmt: skip
        if row.kept is not None:
            self._arena.drop(row.kept) if error else self._arena.rest(row.kept)
            row.kept, self._tight = None, False
        if row.lora:
            self._loras.release(row.lora)
        (self._rows if row in self._rows else self._waiting).remove(row)


def _drained(waiting: deque[Item]) -> list[Item]:
    """Take out what is there. Safe while other threads append, which iterating is not."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
