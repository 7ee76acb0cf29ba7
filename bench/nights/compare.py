"""The same rows, learned by trl's `KTOTrainer`: what people would do without us. trl is the extra `compare`."""

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig

from bench.nights.world import World, fresh
from bench.report import Spent, say
from core import config
from core.feedback import Reading, Verdict, Vote, standing
from core.store.ledger import Entry
from core.votes import polarity
from worker.lora.files import Weights, read
from worker.night.base import Base
from worker.night.examples import Example
from worker.night.train import WARM_UP, Rated, Recipe
from worker.night.tuning import SCALE

LOSSES = ("kto", "apo_zero_unpaired")
MISSING = "skipped: trl is not installed (pip install -c constraints.txt -e '.[compare]')"


def installed() -> bool:
    """Is trl here? If not, people are told how to get it."""
    if importlib.util.find_spec("trl"):
        return True
    say(MISSING)
    return False


def kto(base: Base, rows: Sequence[Rated], recipe: Recipe, loss: str = "kto") -> tuple[Weights, float]:
    """What `KTOTrainer` makes of rows, and the seconds of CPU that its training took.

    A fresh copy of the real model in the same dtype; rank, linears, rate, passes and batch are ours, weights of likes
    and dislikes its own. Its checkpointing of gradients, which trades time for memory, is off.
    """
    trl, datasets = importlib.import_module("trl"), importlib.import_module("datasets")
    datasets.disable_progress_bars()
    copy = fresh(config.load(os.environ))
    lora = LoraConfig(
        r=base.shape.rank, lora_alpha=round(SCALE * base.shape.rank), target_modules=list(base.shape.targets),
        task_type="CAUSAL_LM",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="limen-trl-") as folder:
        trainer = trl.KTOTrainer(
            model=copy.model, args=_config(trl, folder, recipe, loss, copy.dtype), peft_config=lora,
            processing_class=copy.tokenizer, train_dataset=datasets.Dataset.from_list(_texts(copy.tokenizer, rows)),
        )  # fmt: skip
        with Spent() as spent:
            trainer.train()
        trainer.model.save_pretrained(Path(folder) / "lora")
        return read(Path(folder) / "lora", base.shape, f"trl-{loss}", any_base=True), spent.cpu


def _config(trl: Any, folder: str, recipe: Recipe, loss: str, dtype: str) -> Any:
    return trl.KTOConfig(
        output_dir=folder, loss_type=loss, beta=recipe.beta, learning_rate=recipe.rate, seed=recipe.seed,
        num_train_epochs=recipe.passes, per_device_train_batch_size=recipe.batch, lr_scheduler_type="cosine",
        warmup_steps=WARM_UP, gradient_checkpointing=False, bf16=dtype == "bfloat16", use_cpu=True, max_length=None,
        logging_strategy="no", save_strategy="no", report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip


def _texts(tokenizer: Any, rows: Sequence[Rated]) -> list[dict[str, Any]]:
    """Rows as trl takes them: the rendered prompt, so that its tokens are ours."""
    return [
        {"prompt": tokenizer.decode(one.row.prompt), "completion": tokenizer.decode(one.row.reply), "label": one.liked}
        for one in rows
    ]


def net_thumbs(world: World) -> list[Example]:
    """What one would learn from without trust: thumbs up less thumbs down, everybody's the same."""
    found = [verdict for entry in world.ledger if (verdict := _net(entry))]
    return world.examples(Reading(tuple(found), (), float(len(found))))


def _net(entry: Entry) -> Verdict | None:
    meanings = polarity.ours()
    votes = tuple(
        Vote(fact.user, 1.0 if meaning[0] > 0 else -1.0, 0.5, fact.time)
        for fact in standing(entry.facts)
        if (meaning := meanings.of(fact.emoji))
    )
    net = sum(vote.value for vote in votes)
    return Verdict(entry.record.id, net > 0, 1.0, votes) if net else None
