"""Chat templates and control tokens as the common families of models have them, written down by ourselves.

Each has a tokenizer whose tokens are bytes, made by the real library; `frame` says what of a prompt is the template's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

_EACH = "{% for m in messages %}"
_NO_SYSTEM = "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
_IN_TURN = (
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """`special`: what its tokenizer reads as one token; `written`: what its template writes in ordinary letters."""

    template: str
    special: tuple[str, ...] = ()
    written: str = ""
    lenient: bool = False


CHATML = (
    _EACH + "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FAMILIES = {
    "chatml": Family(CHATML, ("<|im_start|>", "<|im_end|>", "<|endoftext|>")),
    "llama-3": Family(
        "<|begin_of_text|>" + _EACH + "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
        "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"),
    ),
    "llama-2": Family(
        _EACH + _NO_SYSTEM + _IN_TURN + "{% if m['role'] == 'user' %}<s>[INST] {% if loop.first %}<<SYS>>\nBe kind.\n"
        "<</SYS>>\n\n{% endif %}{{ m['content'] }} [/INST]{% else %} {{ m['content'] }} </s>{% endif %}{% endfor %}",
        ("<s>", "</s>", "<unk>"), r"\[/?INST\]|<</?SYS>>",
    ),
    "mistral": Family(
        "<s>" + _EACH + _NO_SYSTEM + _IN_TURN + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
        "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}",
        ("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]",
         "[/SYSTEM_PROMPT]"),
    ),
    "gemma": Family(
        "<bos>" + _EACH + _NO_SYSTEM + _IN_TURN + "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else 'user' }}"
        "\n{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    ),
    "phi": Family(
        _EACH + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
    ),
    "zephyr": Family(
        _EACH + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '</s>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        ("<s>", "</s>"), r"<\|(?:system|user|assistant)\|>",
    ),
    "vicuna": Family(
        _EACH + "{{ {'system': '', 'user': 'USER: ', 'assistant': 'ASSISTANT: '}[m['role']] + m['content'] + ' ' }}"
        "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        (), r"\b(?:USER|ASSISTANT):",
    ),
    "alpaca": Family(
        _EACH + "{{ {'system': '', 'user': '### Instruction:\n', 'assistant': '### Response:\n'}[m['role']] "
        "+ m['content'] + '\n\n' }}{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}",
        (), r"### (?:Instruction|Response):",
    ),
    "lenient": Family(CHATML, ("<|im_start|>", "<|im_end|>", "<|endoftext|>"), lenient=True),
    "script": Family("", (), r"(?m)^\s*(?:User|Assistant|System)\s*:"),
}  # fmt: skip


@cache
def tokenizer(name: str) -> Any:
    """The tokenizer of a family. The lenient one reads as its own whatever looks like a token of its own."""
    family = FAMILIES[name]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    raw.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    if family.lenient:
        unseen = Regex(r"[\p{Cf}\x{fe00}-\x{fe0f}]")
        steps = [
            normalizers.Replace(unseen, ""),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
        ]
        raw.normalizer = normalizers.Sequence(steps)  # type: ignore[assignment]
    raw.add_special_tokens([AddedToken(one, special=True, normalized=family.lenient) for one in family.special])
    made = PreTrainedTokenizerFast(tokenizer_object=raw)
    made.chat_template = family.template or None
    return made


def frame(name: str, tokens: Sequence[int]) -> list[str]:
    """What of a prompt stands for the template, in its order: control tokens, and what is written like one."""
    family, codes = FAMILIES[name], tokenizer(name)
    control = {codes.convert_tokens_to_ids(one): one for one in family.special}
    found: list[str] = []
    run: list[int] = []
    for token in [*tokens, None]:
        if token is not None and token not in control:
            run.append(token)
            continue
        if family.written:
            found += re.findall(family.written, codes.decode(run))
        run = []
        found += [control[token]] if token is not None else []
    return found
