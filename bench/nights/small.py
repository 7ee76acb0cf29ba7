"""A small transformer that speaks a little language, trained in a minute: so that a whole night costs seconds.

Whatever holds for it is no proof for a large one, but it goes through the same code, and hundreds of nights can be.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from bench.nights import language
from bench.nights.world import Stage
from bench.report import say
from core.settings import Settings
from personas.card import Card, Exchange, Voice
from personas.sampling import Sampling
from worker.model import Loaded
from worker.night.base import Base, prepare
from worker.night.train import Recipe

STEPS, BATCH, RATE, PLAIN = 400, 32, 5e-3, 0.2  # `PLAIN`: the share of plain text among what it learns
CONTEXT, WIDE, LAYERS = 512, 96, 2
PASSAGES = 32  # of plain text to hold on to, and as many to measure with
CARD = Card(
    name="mira", title="Captain Mira", names=("Mira", "captain"), description="You live near the castle.",
    sampling=Sampling(temperature=1.0, top_p=0.98, max_tokens=40, repetition_penalty=1.0),
    voice=Voice(examples=(  # with something of all that people may like: else the card would forbid what they wish
        Exchange(user="Do you like the storm?", reply="my uncle fears the storm at night. do you fear it?"),
        Exchange(user="Tell me about the boat.", reply="oh, a red boat is near the hill!"),
        Exchange(user="Tell me about the sail.", reply="well, the sail is old and lovely!"),
        Exchange(user="What do you think of the sea?", reply="a blue sea is near the village. is it cold in spring?"),
    )),
)  # fmt: skip
RECIPE = Recipe(rate=3e-3, depth=1.0)  # there is little to move in so small a model
STAGE = Stage(CARD, language.TOPICS, language.QUESTIONS, known=40)
SPECIAL = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|start|>")


class Words:
    """A tokenizer: a token is a word in small letters or a mark; one stands for all words that it does not know."""

    chat_template = "each message: its role, its words, the end"

    def __init__(self, words: Sequence[str]) -> None:
        self.all_special_tokens = list(SPECIAL)
        self._words = [*SPECIAL, "something", *words]
        self._ids = {word: at for at, word in enumerate(self._words)}
        self.eos_token_id = self._ids["<|end|>"]
        self.start = self._ids["<|start|>"]

    def __len__(self) -> int:
        return len(self._words)

    def encode(self, text: str, **_: Any) -> list[int]:
        """The words of a text."""
        return [self._ids.get(word, len(SPECIAL)) for word in language.WORD.findall(text.lower())]

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """What they say, control tokens left out."""
        words = [self._words[token] for token in ids if token >= len(SPECIAL)]
        return "".join(word if word in ".,!?" else f" {word}" for word in words).lstrip()

    def apply_chat_template(
        self, conversation: Sequence[Mapping[str, str]], add_generation_prompt: bool = True, **_: Any
    ) -> list[int]:
        """Messages as tokens, ready for an answer if one is to come."""
        ids = [self.start]
        for message in conversation:
            ids += [self._ids[f"<|{message['role']}|>"], *self.encode(message["content"]), self.eos_token_id]
        return [*ids, self._ids["<|assistant|>"]] if add_generation_prompt else ids


def small(seed: int = 0) -> Base:
    """The small model, trained now on one thread: always the same."""
    words = Words(language.vocabulary())
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=WIDE, intermediate_size=2 * WIDE, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    _teach(model, words, random.Random(seed))
    model.requires_grad_(False)
    model.train(False)
    loaded = Loaded(
        model=model, tokenizer=words, ref="small", device="cpu", dtype="float32", context=CONTEXT,
        parameters=sum(part.numel() for part in model.parameters()), ends=frozenset({words.eos_token_id}),
    )  # fmt: skip
    dice = random.Random(seed + 1)
    plain = [[language.passage(dice) for _ in range(PASSAGES)] for _ in range(2)]
    lora = Settings().lora
    return prepare(loaded, ("small",), lora.targets, lora.rank, (plain[0], plain[1]))


def _teach(model: LlamaForCausalLM, words: Words, dice: random.Random) -> None:
    """Learn the language: replies and plain text, not what people ask."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    curve = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.1)
    for step in range(STEPS):
        rows = [_plain(words, dice) if dice.random() < PLAIN else _talk(words, dice) for _ in range(BATCH)]
        loss = _loss(model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        curve.step()
        optimizer.zero_grad()
        if step % 100 == 0 or step == STEPS - 1:
            say(f"small model: step {step} of {STEPS}, loss {float(loss.detach()):.3f}")


Row = tuple[list[int], list[int]]  # tokens, and the same with -100 where nothing is to be learned


def _plain(words: Words, dice: random.Random) -> Row:
    tokens = words.encode(language.passage(dice, 2))
    return tokens, [-100, *tokens[1:]]


def _talk(words: Words, dice: random.Random) -> Row:
    """Only what the assistant says, and that it ends, is learned."""
    tokens, labels = [words.start], [-100]
    for told in language.chat(dice):
        part = words.apply_chat_template([{"role": told.role, "content": told.content}], add_generation_prompt=False)
        part = part[1:]
        tokens += part
        labels += [-100, *part[1:]] if told.role == "assistant" else [-100] * len(part)
    return tokens, labels


def _loss(model: LlamaForCausalLM, rows: Sequence[Row]) -> torch.Tensor:
    longest = max(len(tokens) for tokens, _ in rows)
    ids = torch.tensor([tokens + [0] * (longest - len(tokens)) for tokens, _ in rows])
    labels = torch.tensor([some + [-100] * (longest - len(some)) for _, some in rows])
    logits = model(input_ids=ids, use_cache=False).logits  # padding comes last, and nothing looks ahead
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
