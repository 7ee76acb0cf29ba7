"""How likely some texts are to come next: one reading of what is before, and a few tokens of each text beside it.

Part of the engine's step: knows the arena, and whose LoRA it is, but neither requests nor what is weighed.
"""

from collections.abc import Sequence

import msgspec
import torch
from torch import Tensor

from personas.sampling import Sampling
from worker.generator import Request
from worker.kv import Arena, Kept
from worker.lora.desk import Desk
from worker.lora.slots import mixed
from worker.model import Loaded
from worker.packed import Pack, Span, forward_at

Ways = Sequence[tuple[int, ...]]


class Weigher:
    """Of one engine. `together`: see `packed.Pack`."""

    def __init__(self, loaded: Loaded, arena: Arena, loras: Desk, together: bool) -> None:
        self._loaded, self._arena, self._loras, self._together = loaded, arena, loras, together

    def request(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request | None:
        """For these texts; None if one of them has no tokens, or the text before them is too long."""
        tokens = tuple(self._loaded.tokenizer.encode(lead, add_special_tokens=False))
        spelled = tuple(tuple(self._loaded.tokenizer.encode(one, add_special_tokens=False)) for one in choices)
        longest = max(map(len, spelled), default=0)
        if not tokens or not all(spelled) or len(tokens) + longest >= self._loaded.context:
            return None
        return msgspec.structs.replace(
            asked, id=request_id, tokens=tokens, messages=(), sampling=Sampling(max_tokens=1), after="", choices=spelled
        )

    def weigh(
        self, logits: Tensor, tokens: list[int], lora: str, slot: int | None, choices: Ways
    ) -> tuple[float, ...]:  # fmt: skip
        """The log of each choice's chance after these tokens, which end in these `logits` [vocab].

        Raises ValueError when there is no room for it, and what torch raises.
        """
        first = logits.float().log_softmax(-1)
        ways = sorted({choice[:-1] for choice in choices if len(choice) > 1}, key=len)
        after = dict(zip(ways, self._read(tokens, lora, slot, ways), strict=True)) if ways else {}
        found = []
        for choice in choices:
            logs = [first, *after.get(choice[:-1], ())]
            found.append(sum(float(log[token]) for log, token in zip(logs, choice, strict=True)))
        return tuple(found)

    def _read(self, tokens: list[int], lora: str, slot: int | None, ways: Ways) -> list[Tensor]:
        """For each way on: the logs of all chances after each of its tokens, [len(way), vocab]."""
        opened: list[Kept] = []
        try:
            for way in ways:
                kept = self._arena.open([*tokens, *way], lora, 0)
                if kept is None:
                    raise ValueError("there is no room to weigh it")
                opened.append(kept)
            return self._forward(tokens, slot, ways, opened)
        finally:
            for kept in opened:
                self._arena.drop(kept)

    def _forward(self, tokens: list[int], slot: int | None, ways: Ways, opened: Sequence[Kept]) -> list[Tensor]:
        whole = [[*tokens, *way] for way in ways]
        counts = [len(all_of_it) - len(kept.tokens) for all_of_it, kept in zip(whole, opened, strict=True)]
        turns = sorted(range(len(ways)), key=lambda at: counts[at] > 1)  # spans of one token come first
        spans = [Span(opened[at].at, len(opened[at].tokens), counts[at]) for at in turns]
        new = [token for at, span in zip(turns, spans, strict=True) for token in whole[at][span.past :]]
        pack = Pack(spans, self._arena.storage, self._together)
        places = [
            place for at, end in zip(turns, pack.last.tolist(), strict=True)
            for place in range(end - len(ways[at]) + 1, end + 1)
        ]  # fmt: skip
        self._loras.mix(mixed([(span.count, slot) for span in spans]))
        device = self._loaded.device
        logits = forward_at(
            self._loaded.model, torch.tensor([new], device=device), pack, torch.tensor(places, device=device)
        )
        parts = torch.split(logits.float().log_softmax(-1), [len(ways[at]) for at in turns])
        found = dict(zip(turns, parts, strict=True))
        return [found[at] for at in range(len(ways))]
