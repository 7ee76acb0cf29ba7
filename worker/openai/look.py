"""What a server is, found out by asking: which model, how much context, whether it takes LoRAs.

For the start, and for doctor. Generates nothing and changes nothing.
"""

import msgspec

from core.errors import ModelError
from core.settings import Openai
from worker.openai.loras import CANNOT
from worker.openai.server import Model, Server
from worker.openai.trouble import Trouble


class Look(msgspec.Struct, frozen=True):
    """`models` are all that it lists; `context` is 0 where it does not say. `no_loras` says why it takes none."""

    model: str
    models: tuple[Model, ...]
    context: int
    owner: str
    no_loras: str

    @property
    def listed(self) -> bool:
        """Does it list the model that is asked for?"""
        return any(model.id == self.model for model in self.models)

    @property
    def bases(self) -> list[str]:
        """What it lists, without LoRAs."""
        return [model.id for model in self.models if not model.parent]


async def look(server: Server, wanted: Openai) -> Look:
    """Raises Trouble when it cannot be asked; ModelError when there is no model to ask for."""
    models = await _models(server, wanted.model)
    bases = [model for model in models if not model.parent]
    if not wanted.model and not bases:
        raise ModelError(f"{server.where} lists no model", "load one there, or name it with openai.model")
    chosen = next((model for model in bases if model.id == wanted.model or not wanted.model), Model(wanted.model))
    off = "openai.loras is off" if wanted.loras == "off" else "" if await server.takes_loras() else CANNOT
    return Look(chosen.id, tuple(models), chosen.context, chosen.owned_by or "", off)


async def _models(server: Server, named: str) -> list[Model]:
    """Some servers list nothing. Whoever names a model can do without."""
    try:
        return await server.models()
    except Trouble as trouble:
        if trouble.status in (404, 405, 501) and named:
            return []
        raise
