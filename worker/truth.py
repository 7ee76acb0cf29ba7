"""Of several replies, those that say what the card says of what was asked: taste picks among these alone. Pure.

A small model that is asked for its ship names it in every second reply, and another one in the others. People who like
exclamation marks would have taste pick the wrong ship, if only it is exclaimed.
"""

import re
from collections.abc import Sequence

from core.recall.terms import terms, words

AS_MUCH = 0.65  # of what the reply that says most of it says: wordings differ
NAME = 3.5  # times as much as another word says a name: of "Jory, the ship's cook" it is what was asked for
SOME = 0.3  # of a fact, which is more than a word that falls by chance
_CLAIMS = re.compile(r"\b(?:[Mm]y name(?:'s| is)|I am|I'm|[Cc]all me)(?: called| named)?,? (\w\w+)")


class Truth:
    """What the card says of what was `asked`, in `facts`, and the `names` of the persona.

    What was in the question is no answer to it, and a fact that is mostly there is not asked for: "Is she the Gannet?"
    """

    def __init__(self, facts: Sequence[str], asked: str, names: Sequence[str] = ()) -> None:
        heard = set(terms(asked))
        known = [(fact, set(terms(fact))) for fact in facts]
        self._wanted = [
            _weights(fact, of - heard) for fact, of in known if of - heard and len(of & heard) <= len(of) / 2
        ]
        self._own = {word for name in names for word in words(name)}
        self._facts = bool(facts)

    def truest(self, replies: Sequence[str]) -> list[int]:
        """Places of the replies that say about as much of a fact as any, and do not claim to be somebody else; all of
        them, if none is so."""
        if not self._facts:
            return [*range(len(replies))]
        shares = [self._told(reply) for reply in replies]
        least = AS_MUCH * max(shares, default=0.0)
        good = [place for place, share in enumerate(shares) if share >= least]
        return [place for place in good if not self.pretends(replies[place])] or good

    def is_told(self, replies: Sequence[str]) -> bool:
        """Does one of these say some of it? Where nothing was asked for, there is nothing to say."""
        return not self._wanted or any(self._told(one) >= SOME and not self.pretends(one) for one in replies)

    def pretends(self, reply: str) -> bool:
        """Does it say that it is somebody with another name? Nobody knows that of a persona without names."""
        claimed = (name.lower() for name in _CLAIMS.findall(reply) if name[0].isupper())
        return bool(self._own) and any(name not in self._own for name in claimed)

    def _told(self, reply: str) -> float:
        """How much it says of the fact of which it says most, 0 to 1."""
        said = set(terms(reply))
        return max((_share(one, said) for one in self._wanted), default=0.0)


def _weights(fact: str, wanted: set[str]) -> dict[str, float]:
    names = set(terms(" ".join(word for word in fact.split()[1:] if word[0].isupper())))
    return {term: NAME if term in names else 1.0 for term in wanted}


def _share(wanted: dict[str, float], said: set[str]) -> float:
    return sum(weight for term, weight in wanted.items() if term in said) / sum(wanted.values())
