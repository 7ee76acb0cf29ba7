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
_NAMED = re.compile(r"(?<!n't )(?<!n’t )\b(?:[Mm]y name(?:['’]s| is)|[Cc]all me) (\w\w+)\b(?!['’]s)")
_IS = re.compile(r"\bI(?:['’]m| am)(?: called| named)? (\w\w+)\b(?!['’]s)")


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
        told = {word for fact in facts for word in words(fact)}
        names_told = [words(fact)[2:] for fact in facts]  # "You are Captain Mira."
        self._who = any(name and self._own.issuperset(name) for name in names_told)
        self._known = self._own | told
        self._facts = bool(facts)

    def truest(self, replies: Sequence[str]) -> list[int]:
        """Places of the replies that do not claim to be somebody else, if there are any, and of these say about as much
        of a fact as any; where nothing was asked, all."""
        if not self._facts:
            return [*range(len(replies))]
        honest = [place for place, one in enumerate(replies) if not self.pretends(one)] or [*range(len(replies))]
        shares = {place: self._told(replies[place]) for place in honest}
        least = AS_MUCH * max(shares.values(), default=0.0)
        return [place for place, share in shares.items() if share >= least]

    def is_told(self, replies: Sequence[str]) -> bool:
        """Does one of these say some of it? Where nothing was asked for, there is nothing to say."""
        return not self._wanted or any(self._told(one) >= SOME and not self.pretends(one) for one in replies)

    def pretends(self, reply: str) -> bool:
        """Does it say that it is somebody with another name? Nobody knows that of a persona without names; and "I'm
        Scottish" is such only where somebody asked who it is."""
        claimed = [*_NAMED.findall(reply), *(_IS.findall(reply) if self._who else ())]
        names = (name.lower() for name in claimed if name[0].isupper() and not name.isupper())
        return bool(self._own) and any(name not in self._known for name in names)

    def _told(self, reply: str) -> float:
        """How much it says of the fact of which it says most, 0 to 1."""
        said = set(terms(reply))
        return max((_share(one, said) for one in self._wanted), default=0.0)


def _weights(fact: str, wanted: set[str]) -> dict[str, float]:
    names = set(terms(" ".join(word for word in fact.split()[1:] if word[0].isupper())))
    return {term: NAME if term in names else 1.0 for term in wanted}


def _share(wanted: dict[str, float], said: set[str]) -> float:
    return sum(weight for term, weight in wanted.items() if term in said) / sum(wanted.values())
