"""A model of its own that is trained in seconds: it answers anything with a yes or a no and some words, both as often.

So a taste can be learned, and a night be told from a bad one, without any download. It sees only the last letters of
what it is told (a sliding window), so it answers to long prompts as to short ones.
"""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from tests.fakes.tiny import CHATML
from worker.night.base import passages

YES, NO = ("aye", "yes", "sure", "fine"), ("no", "nay", "never", "not")
WORDS = (
    *("sea", "sun", "rum", "map", "cat", "dog", "tea", "sky", "oak", "hat", "ice", "key", "mud", "pie"),
    *("red", "old", "wet", "shy", "odd", "big", "elm", "fox", "gem", "ink", "jam", "kit", "log", "net", "owl", "pen"),
    *("rag", "sap", "tub", "urn", "vat", "web", "yak", "zoo", "bee", "cow"),
)
STEPS, BATCH, LENGTH, WINDOW = 300, 12, 64, 24
START, END = 256, 257


def reply(dice: random.Random, first: Sequence[str] = (*YES, *NO)) -> str:
    """What it would say."""
    return " ".join([dice.choice(first), *(dice.choice(WORDS) for _ in range(4))])


def likes(text: str) -> bool:
    """The taste of those who rate it."""
    return text.split(" ", 1)[0] in YES


def tokenizer() -> PreTrainedTokenizerFast:
    """Tokens are bytes; two more stand for the control tokens of ChatML."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", bos_token="<|im_start|>")
    made.chat_template = CHATML
    return made


@cache
def _taught(steps: int) -> MistralForCausalLM:
    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=258, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, sliding_window=WINDOW, eos_token_id=END,
        bos_token_id=START,
    )  # fmt: skip
    model, dice, codes = MistralForCausalLM(config), random.Random(1), tokenizer()
    plain = [codes.encode(text) for half in passages() for text in half]
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 6e-3 * min(1, (step + 1) / 20) * (1 - step / steps) + 1e-5
        rows = [_lesson(dice, codes) if at % 4 else _cut(dice.choice(plain), dice) for at in range(BATCH)]
        tokens = torch.tensor(rows)
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
        cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval().requires_grad_(False)


def _lesson(dice: random.Random, codes: PreTrainedTokenizerFast) -> list[int]:
    """The end of a prompt, and a reply."""
    asked = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz ?.!") for _ in range(LENGTH))
    ids: list[int] = codes.encode(f"{asked}<|im_end|>\n<|im_start|>assistant\n{reply(dice)}<|im_end|>")
    return ids[-LENGTH:]


def _cut(ids: list[int], dice: random.Random) -> list[int]:
    at = dice.randrange(max(1, len(ids) - LENGTH))
    return ids[at : at + LENGTH] if len(ids) >= LENGTH else (ids * LENGTH)[:LENGTH]


def folder(place: Path) -> Path:
    """The model as `save_pretrained` writes it; trained once in a process."""
    tokenizer().save_pretrained(place)
    _taught(STEPS).save_pretrained(place)
    return place
