"""GGUF → a folder that transformers loads by itself: `python -m worker.convert FILE FOLDER`. Once per model."""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(file: Path, folder: Path) -> None:
    """Write weights (bfloat16: twice what a 4-bit file holds, half of float32), tokenizer and chat template."""
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    model = model.to(torch.bfloat16)
    model.hf_quantizer = None  # it is no GGUF any more, and save_pretrained would refuse
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if not tokenizer.chat_template:
        raise SystemExit(f"{file.name} carries no chat template")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
