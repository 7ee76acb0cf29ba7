"""Who may import whom: `personas <- core <- adapters <- bots` and `core <- worker <- bots`, read from the statements.

The rules are at the top; below them they are put to the proof on planted faults, and then on the code itself.
"""

import ast
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("adapters", "bots", "core", "personas", "worker")
MAY_IMPORT = {
    "personas": {"personas"},
    "core": {"core", "personas"},
    "adapters": {"adapters", "core", "personas"},
    "worker": {"core", "personas", "worker"},
    "bots": set(ROOMS),
    "bench": {"bench", *ROOMS},
}
CHAT_LOGIC = {  # of core: what happens between a platform and the queue, and commands; the worker knows nothing of it
    *("engine", "intake", "lanes", "delivery", "group", "bots", "moving", "commands", "consent", "files", "privacy"),
    *("growth.goingback", "growth.reasons", "growth.telling", "unsaying"),
}
ADAPTERS_SHARE = {f"adapters.{name}" for name in ("base", "emoji", "fetching", "pieces", "reading")}
HEAVY = {"accelerate", "peft", "torch", "transformers"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in MAY_IMPORT
    for path in (ROOT / room).rglob("*.py")
}


def imports(node: ast.AST, at_start: bool = True) -> Iterator[tuple[str, bool]]:
    """Every module that is imported below `node`, and whether that happens as soon as this module is imported."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, at_start) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        names = [f"{base}.{alias.name}" for alias in node.names]
        yield from ((name if name in MODULES else base, at_start) for name in names)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or for_types_only(node):
        at_start = False
    for child in ast.iter_child_nodes(node):
        yield from imports(child, at_start)


def for_types_only(node: ast.AST) -> bool:
    """Is this `if TYPE_CHECKING:`?"""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def fault(module: str, target: str, at_start: bool) -> str:
    """What is wrong with `module` importing `target`; empty if nothing is."""
    room, top = module.split(".")[0], target.split(".")[0]
    if target.startswith("."):
        return "imports are written in full"
    if top in MAY_IMPORT and top not in MAY_IMPORT[room]:
        return f"{room} knows nothing of {top}"
    if room == "worker" and any(f"{target}.".startswith(f"core.{name}.") for name in CHAT_LOGIC):
        return "the worker knows no chat logic"
    shared = target in {"adapters", *ADAPTERS_SHARE}
    if room == top == "adapters" and not shared and platform(target) != platform(module):
        return "adapters know nothing of each other"
    if top == "redis" and not module.startswith("core.store."):
        return "only core/store knows Redis"
    if top in HEAVY and room not in {"worker", "bench"}:
        return "torch and its kin stay in worker/"
    if (room, top) == ("bots", "worker") and at_start:
        return "bots import the worker inside functions, so that a bot starts without torch"
    return ""


def platform(module: str) -> str:
    """The platform that a module of `adapters` belongs to. What the console is shown on has a folder of its own."""
    part = (module + ".").split(".")[1]
    return {"terminal": "console"}.get(part, part)


def faults(module: str, source: str) -> list[str]:
    """Everything that is wrong with the imports of `module`."""
    found = [(target, fault(module, target, at_start)) for target, at_start in imports(ast.parse(source))]
    return [f"{module} imports {target}: {why}" for target, why in found if why]


def cycle(sources: dict[str, str]) -> list[str]:
    """Modules that need each other in order to be imported, first and last the same; empty if there are none."""
    graph = {
        module: {target for target, at_start in imports(ast.parse(source)) if at_start and target in sources}
        for module, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


PLANTED = [
    ("personas.card", "import core.errors", "personas knows nothing of core"),
    ("core.engine", "from adapters import console", "core knows nothing of adapters"),
    ("core.prompt", "def f():\n    from worker import serve", "core knows nothing of worker"),
    ("core.prompt", "def f():\n    import torch", "torch and its kin stay in worker/"),
    ("core.engine", "from .events import Message", "imports are written in full"),
    ("core.memory", "import redis.asyncio as aredis", "only core/store knows Redis"),
    ("adapters.discord", "import worker", "adapters knows nothing of worker"),
    ("adapters.discord", "if True:\n    from bots import assemble", "adapters knows nothing of bots"),
    ("adapters.discord", "from adapters.slack import send", "adapters know nothing of each other"),
    ("adapters.base", "import adapters.console", "adapters know nothing of each other"),
    ("worker.serve", "from adapters.base import Limits", "worker knows nothing of adapters"),
    ("worker.serve", "from core.engine import Engine", "the worker knows no chat logic"),
    ("worker.serve", "from core import delivery", "the worker knows no chat logic"),
    ("worker.night.run", "def f():\n    import core.group.attention", "the worker knows no chat logic"),
    ("worker.serve", "from redis import Redis", "only core/store knows Redis"),
    ("bots.up", "from worker import serve", "bots import the worker inside functions"),
    ("bots.up", "try:\n    import worker.serve\nexcept ImportError: ...", "bots import the worker inside functions"),
    ("bots.up", "from transformers import AutoTokenizer", "torch and its kin stay in worker/"),
    ("bots.up", "import bench.queue", "bots knows nothing of bench"),
]
SOUND = [
    ("core.store.client", "import redis.asyncio\nfrom core.errors import StoreError"),
    ("adapters.discord", "import discord\nfrom adapters.base import Limits\nfrom core.events import Message"),
    ("worker.model", "import torch\nfrom core.store.queue import Queue\nfrom core import jobs"),
    ("bots.up", "async def f():\n    from worker.serve import serve"),
    ("bench.queue", "import torch, worker.serve"),
]


@pytest.mark.parametrize(("module", "source", "why"), PLANTED)
def test_a_planted_fault_is_found(module, source, why):
    """Each rule can fail, and says which one it is."""
    assert [why in found for found in faults(module, source)] == [True]


@pytest.mark.parametrize(("module", "source"), SOUND)
def test_what_is_allowed_passes(module, source):
    """The rules leave room for what the rooms are for."""
    assert faults(module, source) == []


def test_a_planted_cycle_is_found():
    """Two modules that need each other at import; put off into a function or to the type checker, it is none."""
    needs_b = {"core.a": "from core.b import x"}

    assert sorted(set(cycle(needs_b | {"core.b": "class C:\n    import core.a"}))) == ["core.a", "core.b"]
    assert cycle(needs_b | {"core.b": "def f():\n    import core.a"}) == []
    assert cycle(needs_b | {"core.b": "if TYPE_CHECKING:\n    import core.a"}) == []


def test_the_rooms_import_only_what_they_may():
    """The five folders and the benchmarks keep to the rules above."""
    assert {module.split(".")[0] for module in MODULES} >= set(ROOMS)
    assert [found for module, path in MODULES.items() for found in faults(module, path.read_text("utf-8"))] == []


def test_there_are_no_import_cycles():
    """Every module can be imported first."""
    assert cycle({module: path.read_text("utf-8") for module, path in MODULES.items()}) == []


WHERE = """import importlib.util, sys
for name in sys.argv[1:]: print(importlib.util.find_spec(name).submodule_search_locations[0])"""


@pytest.mark.parametrize("room", ROOMS)
def test_our_plain_names_are_ours(room):
    """No package of the same name answers in a folder's place."""
    assert [Path(place) for place in importlib.util.find_spec(room).submodule_search_locations] == [ROOT / room]


def test_an_installed_limen_finds_its_own_folders_from_anywhere(tmp_path):
    """The editable install puts this checkout, and nothing else, behind the five names."""
    try:
        importlib.metadata.distribution("limen")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("limen is not installed in this Python")
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    found = subprocess.run(
        [sys.executable, "-c", WHERE, *ROOMS], cwd=tmp_path, env=plain, capture_output=True, text=True, check=True
    )

    assert found.stdout.splitlines() == [str(ROOT / room) for room in ROOMS]
