"""What we are compared with: transformers' `generate`, and peft as its documentation shows it. Untouched models."""

from collections.abc import Sequence

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import DynamicCache

from worker.kv import shape
from worker.model import Loaded


class Plain:
    """The base through transformers' own `generate`: greedy, left-padded, every reply `new` tokens long."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.model = loaded, loaded.model

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], new: int) -> None:
        """All prompts in one batch."""
        tokens, mask = _left_padded(prompts, self.loaded.device)
        made = self.model.generate(
            input_ids=tokens, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False,
            pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        assert made.shape[1] == tokens.shape[1] + new, "every reply is as long as was asked for"


class Peft(Plain):
    """`count` LoRAs in peft, in the base's own dtype; changes the base."""

    def __init__(self, loaded: Loaded, targets: Sequence[str], count: int, rank: int) -> None:
        super().__init__(loaded)
        self.names = [f"v{number:04}" for number in range(count)]
        config = LoraConfig(
            r=rank, lora_alpha=rank, target_modules=list(targets), lora_dropout=0.0, init_lora_weights=False,
            inference_mode=True, task_type="CAUSAL_LM",
        )  # fmt: skip
        self.model = get_peft_model(self.model, config, self.names[0], autocast_adapter_dtype=False)
        for name in self.names[1:]:
            self.model.add_adapter(name, config, autocast_adapter_dtype=False)
        self.model.eval().requires_grad_(False)

    def alone(self, name: str, prompt: Sequence[int], new: int) -> None:
        """One request, as a bot without batches answers it: change over, then generate."""
        self.model.set_adapter(name)
        self.generate([prompt], new)


class Mixed:
    """Talks of `context` tokens whose replies are written by peft's mixed batch, with a LoRA for each row.

    Kind to peft: a bare loop over its forward, without what `generate` does around it; the names are given to its
    layers once (while the block lasts) and not at every step; all rows are of one length, so that nothing is padded.
    """

    def __init__(self, peft: Peft, context: int, count: int) -> None:
        self._model = peft.model.base_model
        self._named = self._model._enable_peft_forward_hooks(adapter_names=peft.names[:count])
        config, device = peft.loaded.model.config, peft.loaded.device
        layers, heads, size = shape(config)
        self._cache = DynamicCache()
        for layer in range(layers):
            read = torch.zeros(count, heads, context, size, dtype=peft.loaded.model.dtype, device=device).normal_(
                std=0.1
            )
            self._cache.update(read, read.clone(), layer)
        self._tokens = torch.arange(count, device=device)[:, None] + 100

    def __enter__(self) -> "Mixed":
        self._named.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._named.__exit__(None, None, None)

    @torch.inference_mode()
    def step(self) -> None:
        """A token for each."""
        out = self._model.model(input_ids=self._tokens, past_key_values=self._cache, use_cache=True)
        self._tokens = out.logits[:, -1].argmax(-1, keepdim=True)


def _left_padded(prompts: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    width = max(len(prompt) for prompt in prompts)
    rows = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(rows, device=device), torch.tensor(mask, device=device)
