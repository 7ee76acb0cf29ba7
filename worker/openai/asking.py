"""A Request → the body of a chat completion, in the dialect that this server understands. Learns what it refuses."""

import logging
from typing import Any

import msgspec

from worker.generator import Request
from worker.openai.trouble import Trouble
from worker.render import SHAPES

log = logging.getLogger("limen.worker")

STOPS = 4  # OpenAI takes no more; the others are cut here
NEEDED = ("model", "messages", "stream")


class Asked(msgspec.Struct, frozen=True):
    """A body as it was sent, and the shape of its messages."""

    body: dict[str, Any]
    shape: int


class Dialect:
    """What one server takes. `owner` is who it says that its models are by."""

    def __init__(self, owner: str = "") -> None:
        self._penalty = "repeat_penalty" if owner == "llamacpp" else "repetition_penalty"
        self._tokens = "max_tokens"
        self._shape = 0
        self.refused: set[str] = set()

    def body(self, model: str, request: Request, room: int) -> Asked:
        """What to send, for at most `room` tokens of reply."""
        sampling = request.sampling
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._tokens: min(sampling.max_tokens, room),
            "seed": request.seed % 2**31,  # what every server can hold
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            self._penalty: sampling.repetition_penalty,
            "stream_options": {"include_usage": True},
        }
        if sampling.stop:
            fields["stop"] = list(sampling.stop[:STOPS])
        taken = {name: value for name, value in fields.items() if name not in self.refused}
        messages = SHAPES[self._shape]([dict(message) for message in request.messages])
        return Asked({"model": model, "messages": messages, "stream": True, **taken}, self._shape)

    def learn(self, trouble: Trouble, asked: Asked) -> bool:
        """After a refusal: is there another way to ask for the same?"""
        if trouble.status not in (400, 422):
            return False
        blamed = trouble.complaint.blames(name for name in asked.body if name not in NEEDED)
        if blamed:
            self._give_up(blamed)
            return True
        return self._reshape(trouble, asked)

    def _give_up(self, fields: set[str]) -> None:
        if "max_tokens" in fields and "max_tokens" not in self.refused:
            self._tokens = "max_completion_tokens"
        new = fields - self.refused
        self.refused |= new
        if lost := sorted(new - {"max_tokens", "stream_options"}):
            log.warning("the server takes no %s: what cards say of it is lost", ", ".join(lost))

    def _reshape(self, trouble: Trouble, asked: Asked) -> bool:
        """Chat templates differ in the roles and the order that they allow."""
        text = trouble.complaint.text.lower()
        if "alternat" not in text and not ("system" in text and ("role" in text or "message" in text)):
            return False
        if asked.shape == self._shape:
            if self._shape + 1 == len(SHAPES):
                return False
            self._shape += 1
        return True
