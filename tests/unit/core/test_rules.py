"""core/rules.py: each condition by itself, several together, and the first that holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules import INTENT, Now, conditions, decide, holds, phrases
from personas import patterns
from personas.card import Rule, When


@pytest.mark.parametrize(
    ("when", "now", "expected"),
    [
        (When(keywords=("storm",)), Now(text="A STORM is coming"), True),
        (When(keywords=("storm",)), Now(text="brainstorming"), False),
        (When(keywords=("I give up",)), Now(text="well,  i give\nup now"), True),
        (When(keywords=("I'm stupid",)), Now(text="I’m stupid"), True),
        (When(keywords=("c++",)), Now(text="I write C++, mostly"), True),
        (When(keywords=("嵐",)), Now(text="明日は嵐だ"), True),
        (When(regex=r"\bstorms?\b"), Now(text="Storms!"), True),
        (When(regex=r"^ok$"), Now(text="ok then"), False),
        (When(time="09:00-17:00"), Now(text="", clock="09:00"), True),
        (When(time="09:00-17:00"), Now(text="", clock="17:00"), False),
        (When(time="22:00-06:00"), Now(text="", clock="23:59"), True),
        (When(time="22:00-06:00"), Now(text="", clock="05:59"), True),
        (When(time="22:00-06:00"), Now(text="", clock="06:00"), False),
        (When(first_contact=True), Now(text="", first_contact=True), True),
        (When(first_contact=True), Now(text=""), False),
        (When(mood="sly"), Now(text="", mood="sly"), True),
        (When(mood="sly"), Now(text="", mood="merry"), False),
        (When(dial="warmth>0.7"), Now(text="", dials={"warmth": 0.7}), False),
        (When(dial="warmth >= 0.7"), Now(text="", dials={"warmth": 0.7}), True),
        (When(dial="warmth<0.7"), Now(text="", dials={"warmth": 0.1}), True),
        (When(dial="warmth<0.7"), Now(text=""), False),
        (When(intent=("good night",)), Now(text="", near={"good night": INTENT}), True),
        (When(intent=("good night",)), Now(text="", near={"good night": INTENT - 0.01}), False),
        (When(intent=("good night",)), Now(text="good night"), False),
        (When(), Now(text="anything"), False),
    ],
)
def test_a_condition_holds_or_not(when: When, now: Now, expected: bool):
    """Each kind of condition, on both sides of its edge."""
    assert expected == holds(when, now)


def test_of_several_conditions_all_must_hold():
    """A late deploy is one that is named and late."""
    when = When(time="16:00-23:59", keywords=("deploy",))

    assert [True, False, False] == [
        holds(when, Now(text=text, clock=clock))
        for text, clock in (("deploy!", "17:00"), ("deploy!", "10:00"), ("hello", "17:00"))
    ]


def test_the_first_rule_that_holds_decides():
    """Those before it do not, and those behind it are not asked."""
    rules = [Rule(when=When(keywords=(word,)), say=word) for word in ("b", "a", "a b")]

    decision = decide(rules, Now(text="a b"))

    assert decision
    assert ("rules[0]", "b") == (decision.name, decision.rule.say)
    assert decide(rules, Now(text="c")) is None


def test_a_pattern_that_never_ends_holds_no_one_up(caplog: pytest.LogCaptureFixture):
    """Backtracking for ever is cut off; the rule does not hold, and the log says which it was."""
    when = When(regex=r"(a+)+$")

    (condition,) = conditions(when, Now(text="a" * 4_000 + "!"))

    assert not condition.holds
    assert "takes longer than 200 ms" in condition.why
    assert "(a+)+$" in caplog.text


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(\w+\s*)+:", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(x|x)*y"])
def test_a_pattern_that_could_never_end_is_found_before_it_is_used(pattern: str):
    """By trying it on messages that are made to be hard for it."""
    assert "takes too long" in patterns.fault(pattern)


@pytest.mark.parametrize(
    "pattern", [r"\bstorms?\b", r"^(thanks|thank you|got it|ok|okay)[.! ]*$", r"(?i)key\s*[:=]\s*\S+"]
)
def test_an_ordinary_pattern_passes(pattern: str):
    """As our own cards have them."""
    assert "" == patterns.fault(pattern)


def test_a_broken_pattern_is_named_as_such():
    """With what is wrong about it."""
    assert patterns.fault("(a").startswith("is not a regular expression")


def test_phrases_are_collected_once():
    """However many rules name them."""
    rules = [Rule(when=When(intent=("a", "b")), silent=True), Rule(when=When(intent=("b", "c")), silent=True)]

    assert ["a", "b", "c"] == phrases(rules)


@given(
    st.text(max_size=300),
    st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02}:{t[1]:02}"),
    st.sampled_from(["00:00-12:00", "12:00-00:00", "22:30-05:15", "05:15-22:30"]),
)
def test_no_message_breaks_a_decision(text: str, clock: str, span: str):
    """Whatever people say, and at whatever time; a time and its opposite never hold at once."""
    begin, end = span.split("-")
    there, back = (holds(When(time=time), Now(text=text, clock=clock)) for time in (span, f"{end}-{begin}"))

    assert there != back
    assert (
        decide([Rule(when=When(keywords=(text or "x",), regex="x"), silent=True)], Now(text=text)) is None
        or "x" in text.lower()
    )
