"""A sentence-transformers model on the CPU: tokens → mean over what is no padding → unit length.

Reads the folder as `sentence-transformers` lays it out (pooling, longest text, prompt); knows nothing of memory.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as quiet

from core.errors import ModelError
from worker.embed import Vectors, unit

BATCH_TOKENS = 2048  # in one forward: enough to keep a few cores busy, and a few MB of activations
LONGEST = 512


class Encoder:
    """An Embedder over the weights in `folder`. Raises ModelError when it is no such model."""

    def __init__(self, folder: Path, name: str) -> None:
        quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
        quiet.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._pooling = _pooling(folder)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self._model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ModelError(f"{name} cannot be loaded as an embedder ({reason})", f"it lies in {folder}") from error
        self._model.requires_grad_(False)
        self._longest = _longest(folder, self._model)
        self._prompt = _prompt(folder, name)
        self.width = int(self._model.config.hidden_size)
        self.id = f"{name}-{_digest(folder)}"

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Of a text that is longer than the model reads, its beginning counts. For one thread (see `Knowing`)."""
        rows = np.empty((len(texts), self.width), np.float32)
        if not texts:
            return rows
        ids = self._tokenizer([self._prompt + text for text in texts], truncation=True, max_length=self._longest)
        tokens: list[list[int]] = ids["input_ids"]
        for places in _bucketed([len(row) for row in tokens]):
            rows[places] = self._forward([tokens[place] for place in places])
        return unit(rows)

    def _forward(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        hidden = self._model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        if self._pooling == "cls":
            return np.asarray(hidden[:, 0], np.float32)
        mask = batch["attention_mask"][..., None].to(hidden.dtype)
        return np.asarray((hidden * mask).sum(1) / mask.sum(1), np.float32)


def _bucketed(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of like length together, so that little is padded."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not every model has one
        return {}
    return found if isinstance(found, dict) else {}


def _pooling(folder: Path) -> str:
    """`mean` or `cls`. Raises ModelError for any other, whose vectors would mean nothing."""
    modes = [mode for mode, on in _read(folder / "1_Pooling" / "config.json").items() if "mode" in mode and on is True]
    if not modes or modes == ["pooling_mode_mean_tokens"]:
        return "mean"
    if modes == ["pooling_mode_cls_token"]:
        return "cls"
    raise ModelError(f"{folder.name} pools by {', '.join(modes)}", "choose an embedder that pools by mean or cls")


def _longest(folder: Path, model: Any) -> int:
    """Tokens of a text that are read."""
    own = min(int(getattr(model.config, "max_position_embeddings", LONGEST)), LONGEST)
    told = _read(folder / "sentence_bert_config.json").get("max_seq_length")
    return min(own, told) if isinstance(told, int) and told > 0 else own


def _prompt(folder: Path, name: str) -> str:
    """What is put before each text. E5's authors want `query: ` on both sides where texts are compared as equals."""
    prompts = _read(folder / "config_sentence_transformers.json").get("prompts") or {}
    return str(prompts.get("query") or ("query: " if "e5" in name.lower().split("-") else ""))


def _digest(folder: Path) -> str:
    """Twelve digits of the sha256 of the weights."""
    total = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            while part := opened.read(1 << 20):
                total.update(part)
    return total.hexdigest()[:12]
