"""How a night reads what people feel: as `core/feedback.py` does, and by what replies have in common besides."""

from collections.abc import Collection, Sequence

from core import feedback
from core.feedback import Reading, Seen
from core.votes.foretold import MOST, Foretold
from core.votes.polarity import Polarity
from worker.night.evidence import looks


def read(
    seen: Sequence[Seen], polarity: Polarity, *, shared: bool, now: float, weak: float = 0.0,
    known: Collection[str] | None = None,
) -> Reading:  # fmt: skip
    """`known`: the replies on which votes teach what others may think, and speak of people's trust; None: all. Votes on
    the others are then worth what agreement on the same reply makes them, which knows nothing of what replies say, so
    they can judge (see `worker/night/split.py`)."""
    if not shared:
        return feedback.read(seen, polarity, shared=False, now=now, weak=weak)
    order = sorted(range(len(seen)), key=lambda at: seen[at].time)
    places = [at for at in order if (known is None or seen[at].reply in known) and seen[at].text][-MOST:]
    foretold = Foretold(looks([seen[at].text for at in places]), places)
    return feedback.read(seen, polarity, shared=True, now=now, weak=weak, foretell=foretold)
