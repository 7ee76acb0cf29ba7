"""How long people wait for the first token: late in a long talk, and while somebody else's long prompt is read."""

import statistics
from collections.abc import Sequence
from functools import partial

from bench.engine.clock import Clock, ms, ratio
from bench.engine.decode import Figures
from bench.engine.shapes import prompts
from bench.engine.stand import Stand, pretend
from bench.report import say
from core.jobs import BASE
from worker.generator import Finished, Piece, Request

TURNS, SAID, REPLIED = 20, 71, 8  # tokens of a turn: 19 of them are a history of 1,500
BRIEF = 30  # tokens of a message of two lines, as most are
LONG, SHORT = 4000, 100  # tokens of prompts
GAPS = (3, 2, 5, 4)  # steps between two short requests, by turns


def turns(stand: Stand, clock: Clock, talks: int) -> Figures:
    """First token at turn 20 over turn 2 of the same talk; each turn adds as many tokens."""
    early, late = [], []
    for number in range(talks):
        stand.arena.forget_idle()
        times = _talk(stand, clock, prompts(TURNS, [SAID], stand.vocabulary, seed=7000 + number))
        say(f"  turn 2: {times[1] * 1000:.0f} ms, turn 20: {times[-1] * 1000:.0f} ms")
        early.append(times[1])
        late.append(times[-1])
    return {"ttft_turn20_over_turn2": ratio(late, early), "ttft_turn2_ms": ms(early), "ttft_turn20_ms": ms(late)}


def brief_turns(stand: Stand, clock: Clock, repeats: int) -> Figures:
    """The same where a message is brief, after histories of turns 20 and 2 that only count as read."""
    taken: dict[int, list[float]] = {1: [], TURNS - 1: []}
    for number in range(2 * repeats):
        turn = [*taken][number % 2]
        past = turn * (SAID + REPLIED)
        (talk,) = prompts(1, [past + BRIEF], stand.vocabulary, seed=5000 + number)
        stand.arena.forget_idle()
        pretend(stand.arena, talk[:past], BASE)
        taken[turn].append(clock.of(partial(_until_first, stand, stand.request(talk, 1))))
    early, late = taken.values()
    return {"ttft_turn20_over_turn2_brief": ratio(late, early)}


def _talk(stand: Stand, clock: Clock, said: Sequence[Sequence[int]]) -> list[float]:
    """Seconds to the first token of each turn."""
    history: list[int] = []
    times = []
    for words in said:
        history += words
        request = stand.request(history, REPLIED)
        times.append(clock.of(partial(_until_first, stand, request)))
        history += _rest(stand, request)
    return times


def _until_first(stand: Stand, request: Request) -> None:
    """Let it join, and step until its first token is there."""
    stand.engine.add(request)
    while not any(isinstance(event, Piece) and event.id == request.id for event in stand.engine.step()):
        pass


def _rest(stand: Stand, request: Request) -> list[int]:
    """The tokens of its reply, once it has ended."""
    while True:
        for event in stand.engine.step():
            if isinstance(event, Finished) and event.id == request.id:
                found: list[int] = stand.loaded.tokenizer.encode(event.text, add_special_tokens=False)
                return found


def under_prefill(stand: Stand, clock: Clock, apart: int) -> Figures:
    """First token of a short request while a long prompt is read, over idle: from its beginning to its end, with
    `apart` times the usual gaps in between. It comes halfway through a step."""
    shorts = [stand.request(talk, 1) for talk in prompts(60, [SHORT], stand.vocabulary, seed=6000)]
    (novel,) = prompts(1, [LONG], stand.vocabulary, seed=6001)
    stand.arena.forget_idle()
    idle = [clock.of(partial(_until_first, stand, shorts.pop())) for _ in range(6)][1:]
    stand.engine.add(stand.request(novel, 1))
    busy: list[float] = []
    while shorts:
        steps = [clock.of(stand.engine.step) for _ in range(GAPS[len(busy) % len(GAPS)] * apart)]
        if not stand.engine.active:
            break
        busy.append(steps[-1] / 2 + clock.of(partial(_until_first, stand, shorts.pop())))
    while stand.engine.active:
        stand.engine.step()
    idle += [clock.of(partial(_until_first, stand, shorts.pop())) for _ in range(min(5, len(shorts)))]
    usual = statistics.median(idle)
    say(f"  idle {usual * 1000:.0f} ms; under a prompt of {LONG}: {[round(one * 1000) for one in busy]} ms")
    return {
        "ttft_under_prefill": round(statistics.mean(busy) / usual, 2),
        "ttft_under_prefill_worst": round(max(busy) / usual, 2),
        "ttft_idle_ms": round(usual * 1000, 1),
    }
