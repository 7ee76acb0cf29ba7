"""What reflection is tried on: a card, turns of a talk, and no embedder."""

from collections.abc import Sequence
from pathlib import Path

from core.events import Person
from core.memory import Memory
from personas.reading import read
from worker.embed import Vectors

HAZEL = read(Path(__file__).parents[2] / "personas" / "hazel.yaml", "hazel.yaml")
ANN, US = Person("p:ann", "Ann"), Person("bot", "Hazel", is_bot=True)


def turn(text: str, at: float, ours: bool = False) -> Memory:
    """Ann says something, or we do."""
    return Memory(id=f"x/{at:g}", text=text, time=at, author=US if ours else ANN, talk="a|hazel|x", ours=ours)


class Nothing:
    """No embedder."""

    async def embed(self, texts: Sequence[str]) -> Vectors | None:
        """Not now."""
        return None
