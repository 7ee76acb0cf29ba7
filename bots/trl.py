"""Training rows → JSON lines in trl's conversational formats: `unpaired preference` for its KTOTrainer, `preference`
with an explicit prompt for its DPOTrainer. Pure. The column `weight` is ours."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.night.examples import Example, Pair


def unpaired(row: "Example") -> dict[str, Any]:
    """One reply, and whether it was liked."""
    return {"prompt": _prompt(row), "completion": _said(row), "label": row.liked, "weight": round(row.weight, 4)}


def paired(pair: "Pair") -> dict[str, Any]:
    """Two replies to the same prompt."""
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "prompt": _prompt(chosen),
        "chosen": _said(chosen),
        "rejected": _said(rejected),
        "weight": round(pair.weight, 4),
    }


def _prompt(row: "Example") -> list[dict[str, str]]:
    return [{"role": told.role, "content": told.content} for told in row.messages]


def _said(row: "Example") -> list[dict[str, str]]:
    return [{"role": "assistant", "content": row.text}]
