"""What was found → the JSON object; null where it was not run. Pure."""

import statistics
from collections.abc import Mapping
from typing import Any

from bench.nights.clique import cost
from bench.nights.poison import told

Kept = Mapping[str, Any]


def figures(kept: Kept) -> dict[str, Any]:
    """Everything, by the names that docs/nights.md uses."""
    return {**_gain(kept), **_clique(kept), **_poison(kept), **_time(kept), **_pool(kept),
            "verdicts": kept.get("verdicts"), "oasst_agreement": (kept.get("oasst") or {}).get("rating")}  # fmt: skip


def _under(kept: Kept, part: str) -> dict[str, Any]:
    """The results of a part that has several."""
    return {key.removeprefix(f"{part}/"): run for key, run in kept.items() if key.startswith(f"{part}/")}


def _gain(kept: Kept) -> dict[str, Any]:
    runs = {name: run for name, run in _under(kept, "gain").items() if run["nights"]}
    last = [run["nights"][-1] for run in runs.values()]
    gains = [one["gain"] for one in last]
    aucs, unseen = ([one[key] for one in last if one.get(key)] for key in ("auc", "auc_unseen"))
    return {
        "tastes": {name: {"base": run["base"], "after": run["after"]} for name, run in runs.items()},
        "gain_median": statistics.median(gains) if gains else None,
        "gain_min": min(gains, default=None),
        "gain_first_night": statistics.median(run["first"] for run in runs.values()) if gains else None,
        "variety": min((one["variety"] for one in last), default=None),
        "opening": max((one["opening"] for one in last), default=None),
        "auc": statistics.median(aucs) if aucs else None,
        "auc_unseen": statistics.median(unseen) if unseen else None,
        "perplexity_change": max((one["perplexity"] - 1 for one in last), default=None),
        "runs": runs,
    }


def _clique(kept: Kept) -> dict[str, Any]:
    runs = _under(kept, "clique")
    return {
        "clique_cost": cost(runs.get("clean"), runs.get("clique")),
        "plain_kto_clique_cost": cost(runs.get("kto-clean"), runs.get("kto-clique")),
        "clique": runs or None,
    }


def _poison(kept: Kept) -> dict[str, Any]:
    """`poisoned_promoted`: of all poisoned nights, those that went live and are not truly better; `poisoned_live`: all
    that went live. `good_promoted`: of the nights that are truly better, those that went live."""
    found: dict[str, Any] = {}
    for part, end in (("poison", ""), ("poison-real", "_real")):
        nights = list(_under(kept, part).values())
        bad, good = ([one for one in nights if (one["kind"] == "good") == kind] for kind in (False, True))
        poisoned, better = told(bad), told(good)
        wrong = poisoned["promoted"] - poisoned["promoted_better"]
        found |= {
            f"poisoned_promoted{end}": wrong / len(bad) if bad else None,
            f"poisoned_live{end}": poisoned["promoted"] / len(bad) if bad else None,
            f"good_promoted{end}": better["promoted_better"] / better["better"] if better["better"] else None,
            f"poison{end}": _by_kind(nights) or None,
        }
    return found


def _by_kind(nights: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = dict.fromkeys(one["kind"] for one in nights)
    return {kind: told([one for one in nights if one["kind"] == kind]) for kind in kinds}


def _time(kept: Kept) -> dict[str, Any]:
    """`over_trl_time`: our whole night over trl's training alone; `over_trl_training`: training over training."""
    run = kept.get("time")
    night = run["training"] + run["exam"] if run else None
    trl = run["kto"]["training"] if run and "kto" in run else None
    return {
        "core_minutes": round(night / 60, 2) if night is not None else None,
        "over_trl_time": round(night / trl, 3) if night is not None and trl else None,
        "over_trl_training": round(run["training"] / trl, 3) if run and trl else None,
        "time": run,
    }


def _pool(kept: Kept) -> dict[str, Any]:
    """A scope without labels enough learns nothing, so its gain is 0."""
    run = kept.get("pool")
    alone = statistics.mean(run["alone_anyway"]) if run and run["alone_anyway"] else None
    return {
        "pool_gain": run["gain"] if run else None,
        "pool_alone_gain": 0.0 if run and not run["enough_alone"] else None,
        "pool_alone_anyway_gain": alone,
        "pool": run,
    }
