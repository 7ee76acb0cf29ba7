"""Prompts as a worker would render them, without a model: its tokenizer is enough.

For commands that show what would be sent.
"""

from typing import Any

from transformers import AutoConfig, AutoTokenizer

from core.settings import Settings
from worker import fetch
from worker.render import Renderer

LONGEST = 8192  # as `worker/model.py` has it


def renderer(settings: Settings) -> Renderer:
    """For the model of the settings, which is fetched if need be. Raises ModelError."""
    folder = fetch.obtain(settings.model.ref, settings.model.fallback, settings.worker.cache)
    own = int(getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", LONGEST))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    return Renderer(tokenizer, min(own, settings.model.context or LONGEST), settings.history.tokens)
