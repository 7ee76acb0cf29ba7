"""How long it takes to replay a long life: 100,000 changes, decoded and folded. No model, no Redis.

Process CPU, the median of five. The state must be the same to the last bit from the first change, from a snapshot in
the middle, and change by change; if it is not, that is an error and no figure.
"""

import random
import statistics
from collections.abc import Iterator

import msgspec

from bench.report import Spent
from core.errors import LimenError
from core.growth.changes import AnyChange, Born, Dial, Rated, Style, Talked, decode, encode
from core.personality import State, replay

EVENTS, ROUNDS, PEOPLE = 100_000, 5, 60
DIALS = ("openness", "extraversion", "agreeableness", "neuroticism", "warmth", "humour", "verbosity", "boldness")


def measure(seed: int) -> dict[str, float]:
    """`replay_s`: seconds of CPU. Raises LimenError if two ways to replay do not end the same."""
    bodies = [encode(change) for change in life(random.Random(seed))]
    taken = []
    for _ in range(ROUNDS):
        with Spent() as spent:
            whole = replay(State(), map(decode, bodies))
        taken.append(spent.cpu)
    _check(whole, bodies)
    return {"replay_s": round(statistics.median(taken), 3), "replay_events": len(bodies)}


def _check(whole: State, bodies: list[bytes]) -> None:
    half = replay(State(), map(decode, bodies[: EVENTS // 2]))
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(half), type=State)
    ways = [replay(kept, map(decode, bodies[EVENTS // 2 :])), State()]
    for body in bodies:
        ways[1] = replay(ways[1], [decode(body)])
    if any(msgspec.msgpack.encode(way) != msgspec.msgpack.encode(whole) for way in ways):
        raise LimenError("a replay is not equal to the last bit", "this is a fault in core/personality.py")


def life(chance: random.Random) -> Iterator[AnyChange]:
    """Talk and ratings of many people, over two years and more."""
    dials = {name: Dial(0.5, 0.3, 0.7) for name in DIALS}
    now = 1_750_000_000.0
    yield Born(id="born", time=now, day=_day(now), card="bench", dials=dials)
    for number in range(1, EVENTS):
        now += chance.expovariate(1 / 600)
        person = f"discord:77:u{chance.randrange(PEOPLE)}"
        yield _rated(chance, number, now, person) if chance.random() < 0.2 else _talked(chance, number, now, person)


def _talked(chance: random.Random, number: int, now: float, person: str) -> Talked:
    return Talked(
        id=f"t{number}", time=now, day=_day(now), person=person, causes=(f"m{number}",), where="discord:1|mira|room",
        name=person[-3:], known=1.0, warmth=chance.uniform(-0.02, 0.05), pushes=_pushes(chance, 3, 0.001),
        pull=(chance.uniform(-0.1, 0.1), 0.02, 0.0), reply=f"r{number}", style=Style(1, 23, 1, 1),
    )  # fmt: skip


def _rated(chance: random.Random, number: int, now: float, person: str) -> Rated:
    return Rated(
        id=f"r{number}", time=now, day=_day(now), person=person, causes=(f"x{number}",), reply=f"r{number - 1}",
        emoji="👍", value=1.0, rated=1.0, warmth=0.05, pushes=_pushes(chance, 5, 0.02), pull=(0.1, 0.05, 0.0),
    )  # fmt: skip


def _pushes(chance: random.Random, count: int, most: float) -> dict[str, float]:
    return {name: chance.uniform(-most, most) for name in chance.sample(DIALS, count)}


def _day(now: float) -> int:
    return int(now // 86_400)
