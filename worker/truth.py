"""Of several replies, those that say what the card says of what was asked: taste picks among these alone. Pure.

A small model that is asked for its ship names it in every second reply, and another one in the others. People who like
exclamation marks would have taste pick the wrong ship, if only it is exclaimed.
"""

from collections.abc import Sequence

from core.recall.terms import terms

AS_MUCH = 2 / 3  # of what the reply that says most of it says: wordings differ


def truest(facts: Sequence[str], asked: str, replies: Sequence[str]) -> list[int]:
    """Places of the replies that say some of the `facts`, about as much of them as any; all, if none says any.

    What was in the question is no answer to it, and a fact that is mostly there is not asked for: "Is she the Gannet?"
    """
    heard, known = set(terms(asked)), [set(terms(fact)) for fact in facts]
    wanted = [fact - heard for fact in known if len(fact & heard) <= len(fact) / 2 and fact]
    shares = [max((_share(one, set(terms(reply))) for one in wanted), default=0.0) for reply in replies]
    least = AS_MUCH * max(shares, default=0.0)
    return [place for place, share in enumerate(shares) if share >= least]


def _share(wanted: set[str], said: set[str]) -> float:
    return len(wanted & said) / len(wanted)
