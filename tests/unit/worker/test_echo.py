"""worker/echo.py: it keeps to the seam, so that what is tested with it holds for a real model."""

from core.prompt import Prompt, Said, Section
from personas.sampling import Sampling
from worker.echo import Echo
from worker.generator import Finished, Piece, Request

PROMPT = Prompt(
    (Section("who", "You are Mira."),), (Said("user", "ex?"), Said("assistant", "ex!")),
    (Said("user", "one"), Said("assistant", "1")), (), Said("user", "two three"),
)  # fmt: skip
WHOLE = "I heard 2 lines. You said: two three"


def run(echo: Echo, seed: int = 5, **sampling: object) -> tuple[Finished, str]:
    """(how it ended, what it streamed)"""
    tokens = echo.render(PROMPT, 10).tokens
    echo.add(Request(id="a", tokens=tokens, sampling=Sampling(**sampling), seed=seed))  # type: ignore[arg-type]
    text, steps = "", 0
    while steps < 100:
        for event in echo.step():
            if isinstance(event, Finished):
                assert 0 == echo.active
                return event, text
            text += event.text
        steps += 1
    raise AssertionError("it does not end")


def test_it_says_what_it_heard() -> None:
    """Word by word, the same each time."""
    assert (Finished(id="a", text=WHOLE, finish="stop", tokens=8), WHOLE) == run(Echo())


def test_it_stops_at_a_stop_string_and_at_its_length() -> None:
    """As a model does."""
    assert ("I heard 2 lines.", "stop") == (run(Echo(), stop=("You",))[1], run(Echo(), stop=("You",))[0].finish)
    assert ("I heard 2", "length", 3) == (
        run(Echo(), max_tokens=3)[1], run(Echo(), max_tokens=3)[0].finish, run(Echo(), max_tokens=3)[0].tokens,
    )  # fmt: skip


def test_the_seed_decides_what_more_it_says() -> None:
    """Only where it was made to say more."""
    assert f"{WHOLE} 5-0 5-1" == run(Echo(words=2))[1]
    assert run(Echo(words=2), seed=5) != run(Echo(words=2), seed=6)
    assert run(Echo(), seed=5) == run(Echo(), seed=6)


def test_it_stops_when_told() -> None:
    """With what it has."""
    echo = Echo()
    echo.add(Request(id="a", tokens=echo.render(PROMPT, 10).tokens, sampling=Sampling(), seed=1))

    assert [Piece("a", "I", 1)] == echo.step()
    echo.cancel("a")
    assert [Finished(id="a", text="I", finish="cancelled", tokens=1)] == echo.step()
