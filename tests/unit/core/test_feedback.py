"""core/feedback.py: which reactions stand."""

from core.feedback import Fact, standing


def fact(user: str, emoji: str, time: float, removed: bool = False, is_bot: bool = False) -> Fact:
    return Fact(f"{user}{emoji}{time}", user, emoji, time, removed, is_bot)


def test_a_removed_reaction_no_longer_stands_but_others_do() -> None:
    """Each person's each emoji is on its own."""
    facts = [fact("a", "👍", 1), fact("a", "❤", 2), fact("b", "👍", 3), fact("a", "👍", 4, removed=True)]

    assert {("a", "❤"), ("b", "👍")} == {(f.user, f.emoji) for f in standing(facts)}


def test_facts_may_arrive_out_of_order() -> None:
    """Their own time decides, not when we heard of them."""
    assert [] == standing([fact("a", "👍", 5, removed=True), fact("a", "👍", 1)])


def test_put_back_after_it_was_taken_away_it_stands() -> None:
    """The last word counts."""
    assert 1 == len(standing([fact("a", "👍", 1), fact("a", "👍", 2, removed=True), fact("a", "👍", 3)]))


def test_reactions_of_bots_never_stand() -> None:
    """They are kept as facts only."""
    assert [] == standing([fact("bot", "👍", 1, is_bot=True)])
