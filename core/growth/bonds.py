"""What people are to a persona, in words: for its prompt and for people. Pure."""

from core.personality import State, bond

WELL, SOME = 0.45, 0.08  # familiarity from which somebody is known well, and from which at all
FOND = 0.3


def acquaintance(state: State, person: str, now: float) -> str:
    """What whoever speaks is to it, as a stage direction; empty for somebody of whom there is nothing to say."""
    known, warmth = bond(state, person, now)
    well = known >= WELL
    whom = "them" if well else "the one who speaks to you"
    feels = (
        f" You like {whom}."
        if warmth >= FOND
        else f" You are a little reserved with {whom}."
        if warmth <= -FOND
        else ""
    )
    return (("You know the one who speaks to you well." if well else "") + feels).strip()


def described(known: float, warmth: float) -> str:
    """A relationship in a few words, such as `knows well, likes`."""
    how = "knows well" if known >= WELL else "has met" if known >= SOME else "hardly knows"
    feels = ", likes" if warmth >= FOND else ", keeps at a distance" if warmth <= -FOND else ""
    return how + feels
