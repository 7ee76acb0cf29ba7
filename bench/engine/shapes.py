"""Models of a known shape with random weights, so that nothing need be downloaded; and real ones, by their name.

Figures of speed do not ask what the weights are. Knows transformers, not the engine.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from core.settings import Model, Settings
from worker.model import Loaded, load
from worker.quantise import quantise

SMOL, LARGE, TINY = "shape:smollm2-135m", "shape:llama-8b", "shape:tiny"
SHAPES: dict[str, dict[str, Any]] = {
    SMOL: {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True, "rope_theta": 100000.0,
    },
    LARGE: {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False, "rope_theta": 500000.0,
    },
    TINY: {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 512, "tie_word_embeddings": True,
    },
}  # fmt: skip
CONTEXT = 8192
TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {{ m['content'] }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
CONTROL = ["<|im_start|>", "<|im_end|>"]


@dataclass(frozen=True)
class Base:
    """Which model is measured, where and in which dtype (`torch.` left out). `load` gives a copy of its own."""

    ref: str
    device: str
    dtype: str
    quantize: str = "none"

    def load(self) -> Loaded:
        """The model, ready, with no token that ends a reply: every reply is as long as was asked for."""
        if self.ref in SHAPES:
            made = random_model(self.ref, self.device, getattr(torch, self.dtype))
            quantise(made.model, self.quantize, self.device)
            return made
        return replace(load(Settings(model=self.settings)), ends=frozenset())

    @property
    def settings(self) -> Model:
        """The same as a worker is told it."""
        told = {"ref": self.ref, "device": self.device, "dtype": self.dtype, "quantize": self.quantize}
        return msgspec.convert({**told, "fallback": "", "threads": 1}, Model)


def random_model(ref: str, device: str, dtype: torch.dtype) -> Loaded:
    """A Llama of one of the `SHAPES`; the same weights at every call."""
    torch.manual_seed(7)
    config = LlamaConfig(**SHAPES[ref], max_position_embeddings=CONTEXT, eos_token_id=None, bos_token_id=None)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.train(False).requires_grad_(False)
    return Loaded(
        model=model, tokenizer=words(config.vocab_size), ref=ref, device=device,
        dtype=str(dtype).removeprefix("torch."), context=CONTEXT,
        parameters=sum(p.numel() for p in model.parameters()), ends=frozenset(),
    )  # fmt: skip


def words(vocabulary: int) -> Any:
    """A tokenizer with one token for each of so many made-up words: what it decodes, it encodes to the same tokens."""
    known = {name: at for at, name in enumerate([*CONTROL, *(f"w{n}" for n in range(len(CONTROL), vocabulary))])}
    inner = Tokenizer(models.WordLevel(known, unk_token="w2"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _dressed(inner)


def talkative(context: int = 2048) -> Loaded:
    """A small model that reads any text, byte by byte, and ends its replies of itself."""
    loaded = random_model(TINY, "cpu", torch.float32)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = [*CONTROL, *letters, *(f"Ġw{n}" for n in range(len(CONTROL) + len(letters), 512))]
    inner = Tokenizer(models.BPE({name: at for at, name in enumerate(known)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return replace(loaded, tokenizer=_dressed(inner), context=context, ends=frozenset({CONTROL.index("<|im_end|>")}))


def _dressed(inner: Tokenizer) -> Any:
    """As transformers wants it, with a template."""
    inner.add_special_tokens([AddedToken(name, special=True) for name in CONTROL])
    made: Any = PreTrainedTokenizerFast(tokenizer_object=inner, additional_special_tokens=CONTROL)  # type: ignore[no-untyped-call]
    made.chat_template = TEMPLATE
    return made


def prompts(count: int, lengths: list[int], vocabulary: int, seed: int) -> list[list[int]]:
    """So many prompts of random tokens; lengths by turns. Others with every seed."""
    dice = torch.Generator().manual_seed(seed)
    sizes = [lengths[at % len(lengths)] for at in range(count)]
    return [torch.randint(len(CONTROL), vocabulary, (size,), generator=dice).tolist() for size in sizes]
