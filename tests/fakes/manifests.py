"""A manifest as a night writes it."""

from typing import Any

import msgspec

from core.nights import Manifest

PLAIN = Manifest(
    version="", persona="", night="n-1", made=1_795_000_000.0, base="tiny", base_hash="", rows=("r-1", "r-2"),
    people=("ann", "bob"), seed=7, code="0.1.0", settings={"rate": 0.001, "passes": 3}, scores={"auc": 0.8},
)  # fmt: skip


def manifest(**changes: Any) -> Manifest:
    """A plain one with changes."""
    return msgspec.structs.replace(PLAIN, **changes)
