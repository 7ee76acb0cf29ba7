"""Of several replies, those that say what the card says of what was asked: taste picks among these alone. Pure.

A small model that is asked for its ship names it in every second reply, and another one in the others. People who like
exclamation marks would have taste pick the wrong ship, if only it is exclaimed.
"""

import re
from collections.abc import Sequence

from core.recall.terms import terms, words

AS_MUCH = 0.65  # of what the reply that says most of it says: wordings differ
NAME = 3.5  # times as much as another word says a name: of "Jory, the ship's cook" it is what was asked for
_CLAIMS = re.compile(r"\b(?:[Mm]y name(?:'s| is)|I am|I'm|[Cc]all me)(?: called| named)?,? (\w\w+)")


def truest(facts: Sequence[str], asked: str, replies: Sequence[str], names: Sequence[str] = ()) -> list[int]:
    """Places of the replies that say some of the `facts`, about as much of them as any, and do not claim to be somebody
    who bears none of its `names`; all of them, if none is so.

    What was in the question is no answer to it, and a fact that is mostly there is not asked for: "Is she the Gannet?"
    """
    if not facts:
        return [*range(len(replies))]
    heard = set(terms(asked))
    known = [(fact, set(terms(fact))) for fact in facts]
    wanted = [_weights(fact, of - heard) for fact, of in known if of - heard and len(of & heard) <= len(of) / 2]
    shares = [max((_share(one, set(terms(reply))) for one in wanted), default=0.0) for reply in replies]
    least = AS_MUCH * max(shares, default=0.0)
    good = [place for place, share in enumerate(shares) if share >= least]
    honest = [place for place in good if not pretends(replies[place], names)] if names else good
    return honest or good


def pretends(reply: str, names: Sequence[str]) -> bool:
    """Does it say that it is somebody with another name?"""
    own = {word for name in names for word in words(name)}
    return any(claim[0].isupper() and claim.lower() not in own for claim in _CLAIMS.findall(reply))


def _weights(fact: str, wanted: set[str]) -> dict[str, float]:
    names = set(terms(" ".join(word for word in fact.split()[1:] if word[0].isupper())))
    return {term: NAME if term in names else 1.0 for term in wanted}


def _share(wanted: dict[str, float], said: set[str]) -> float:
    return sum(weight for term, weight in wanted.items() if term in said) / sum(wanted.values())
