"""A random Llama of a few thousand weights and a byte tokenizer: proves caches, batches and seeds without downloads."""

import re
from functools import cache
from typing import Any

import torch
from jinja2 import Environment, Template
from transformers import LlamaConfig, LlamaForCausalLM

from worker.model import Loaded

SPECIAL = ["<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STRICT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
)

_CONTROL = re.compile(f"({'|'.join(map(re.escape, SPECIAL))})")


@cache
def _template(source: str) -> Template:
    return Environment().from_string(source)


class Bytes:
    """Tokens are bytes; two more stand for the control tokens of ChatML."""

    def __init__(self, template: str | None = CHATML) -> None:
        self.chat_template = template
        self.all_special_tokens = SPECIAL
        self.eos_token_id = 257

    def encode(self, text: str, **_: Any) -> list[int]:
        """Bytes, and 256 or 257 where a control token stands."""
        ids: list[int] = []
        for part in _CONTROL.split(text):
            ids += [256 + SPECIAL.index(part)] if part in SPECIAL else part.encode("utf-8", "replace")
        return ids

    def decode(self, ids: Any, **_: Any) -> str:
        """What they say, control tokens left out."""
        return bytes(token for token in ids if token < 256).decode("utf-8", "replace")

    def apply_chat_template(
        self, conversation: Any, add_generation_prompt: bool = True, tokenize: bool = True, **_: Any
    ) -> list[int] | str:
        """As transformers does it: Jinja, then tokens."""
        from jinja2.exceptions import TemplateError

        def refuse(why: str) -> None:
            raise TemplateError(why)

        text = _template(self.chat_template or "").render(
            messages=conversation, add_generation_prompt=add_generation_prompt, raise_exception=refuse
        )
        return self.encode(text) if tokenize else text


@cache
def tiny(context: int = 512) -> Loaded:
    """The model: two layers, always the same weights."""
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=258, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, initializer_range=0.4,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    return Loaded(
        model=model, tokenizer=Bytes(), ref="tiny", device="cpu", dtype="float32", context=context,
        parameters=sum(p.numel() for p in model.parameters()), ends=frozenset({257}),
    )  # fmt: skip
