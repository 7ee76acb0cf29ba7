"""Trials on a real ledger: votes since one began decide what a persona speaks with, and nothing else does."""

import random
import threading
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from core.events import Person, PersonaKey, Place
from core.feedback import Fact
from core.settings import Night
from core.store.client import Client
from core.store.keys import DAY
from core.store.ledger import Ledger, Record
from core.store.loras import Loras, common
from core.votes.trial import Finding, Side
from worker.night import trials
from worker.night.trials import Trial, judge_trials

ALONE = PersonaKey("discord:b1", "mira", "discord:77:user:ann")
ROOM = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
Pool = Literal["none", "card"]
OLD, NEW = "mira/20261126-1", "mira/20261127-1"


class Bench:
    """A persona with a trial, and votes on its replies."""

    def __init__(self, client: Client) -> None:
        self.loras, self.ledger, self.client = Loras(client), Ledger(client), client
        self.count = 0

    async def begin(self, persona: PersonaKey) -> None:
        await self.loras.promote(persona, OLD, "night")
        await self.loras.canary(persona, NEW, 0.5, "night")

    async def reply(self, persona: PersonaKey, version: str, votes: dict[str, str], **changes: Any) -> None:
        """A reply in a session of its own, an hour after the one before."""
        self.count += 1
        name, at = f"r-{self.count:04}", time.time() + 3600 * self.count
        place = Place("discord", "77", "room")
        plain = {
            "id": name, "persona": persona, "conversation": persona.conversation(place), "place": place,
            "author": Person("discord:77:ann"), "answers": (), "time": at, "text": "a reply of some length",
            "sections": (), "roles": (), "lora_version": version,
        }  # fmt: skip
        await self.ledger.keep(Record(**plain | changes), [])
        for user, emoji in votes.items():
            assert "recorded" == await self.ledger.rate(name, Fact(f"{name} {user}", user, emoji, at + 10))

    async def votes(self, persona: PersonaKey, new: float, old: float, replies: int, people: int = 1) -> None:
        """Sessions in turns, liked at these rates."""
        dice = random.Random(1)
        for number in range(replies):
            version, rate = (NEW, new) if number % 2 else (OLD, old)
            names = [f"p{one}" for one in range(people)]
            await self.reply(persona, version, {one: "👍" if dice.random() < rate else "👎" for one in names})

    async def judge(self, persona: PersonaKey, days: float = 1, pool: Pool = "none", **changes: Any) -> Trial:
        now = max(time.time() + days * DAY, time.time() + 3600 * self.count)
        night = Night(trial_days=999 if days < 3 else 3, pool=pool)
        (found,) = await judge_trials(self.loras, self.ledger, night, now, only=[persona], **changes)
        return found


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    client = Client(redis_url)
    yield Bench(client)
    await client.close()


@pytest.mark.parametrize(("persona", "people"), [(ALONE, 1), (ROOM, 4)])
async def test_a_worse_one_is_rolled_back_by_itself(persona: PersonaKey, people: int, bench: Bench) -> None:
    """The old one goes on; history says why, in numbers."""
    await bench.begin(persona)
    await bench.votes(persona, 0.15, 0.85, 60, people)
    found = await bench.judge(persona)
    serving = await bench.loras.serving(persona)

    assert Finding.WORSE == found.decision.finding
    assert (OLD, "", OLD) == (serving.live, serving.canary, found.live)
    assert NEW == serving.history[0].version
    assert serving.history[0].why.startswith("trial: worse: ")
    assert f" of {30 * people} liked" in serving.history[0].why


async def test_a_better_one_goes_live_at_once(bench: Bench) -> None:
    """Whoever looks again finds no trial."""
    await bench.begin(ALONE)
    await bench.votes(ALONE, 0.9, 0.2, 60)

    assert (Finding.BETTER, NEW) == ((found := await bench.judge(ALONE)).decision.finding, found.live)
    assert (NEW, (OLD,)) == ((serving := await bench.loras.serving(ALONE)).live, serving.before)
    assert [] == await judge_trials(bench.loras, bench.ledger, Night(), time.time())


async def test_to_look_changes_nothing(bench: Bench) -> None:
    """Though it is decided."""
    await bench.begin(ALONE)
    await bench.votes(ALONE, 0.1, 0.9, 60)

    assert Finding.WORSE == (await bench.judge(ALONE, apply=False)).decision.finding
    assert NEW == (await bench.loras.serving(ALONE)).canary


async def test_few_votes_decide_nothing_until_the_days_are_over(bench: Bench) -> None:
    """Then it goes live, for nothing speaks against it; one that something speaks against waits."""
    await bench.begin(ALONE)
    await bench.votes(ALONE, 0.5, 0.5, 14)

    assert Finding.GO_ON == (await bench.judge(ALONE)).decision.finding
    assert Finding.BETTER == (found := await bench.judge(ALONE, days=3.1)).decision.finding
    assert "nothing spoke against it in 3 days" in found.decision.why
    assert NEW == (await bench.loras.serving(ALONE)).live


async def test_whoever_talks_meanwhile_does_not_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's loop renews leases: a hundred thousand votes are read beside it."""
    where, real = set[int](), trials.ballots

    def watched(*args: Any) -> Any:
        where.add(threading.get_ident())
        return real(*args)

    monkeypatch.setattr(trials, "ballots", watched)
    await bench.begin(ALONE)
    await bench.judge(ALONE)

    assert 1 == len(where)
    assert threading.get_ident() not in where


@pytest.mark.parametrize("own", ["pin", "rollback", "trial"])
async def test_scopes_that_do_not_speak_with_the_cards_have_no_voice_in_its_trial(own: str, bench: Bench) -> None:
    """Their replies with the base are no votes on a live version that is the base."""
    card = common(ROOM)
    await bench.loras.canary(card, NEW, 0.5, "night")
    if own == "trial":
        await bench.loras.canary(ALONE, OLD, 0.5, "night")
    elif own == "pin":
        await bench.loras.pin(ALONE, "base")
    else:
        for version in (OLD, "base", NEW):
            await bench.loras.promote(ALONE, version, "command")
        await bench.loras.rollback(ALONE)
    for _ in range(3):
        await bench.reply(ALONE, "base", {"p0": "👍"})
        await bench.reply(ROOM, "base", {"p1": "👍"})
        await bench.reply(ROOM, NEW, {"p1": "👎"})

    evidence = (await bench.judge(card, pool="card")).evidence
    assert (Side(3, 0), Side(3, 3)) == (evidence.tried, evidence.live)


async def test_what_only_one_side_was_voted_on_is_not_decided_by_time(bench: Bench) -> None:
    """Nor is it in favour of the new one; after five times as long the old one goes on, and history says why."""
    await bench.begin(ALONE)
    for _ in range(20):
        await bench.reply(ALONE, NEW, {"p0": "👎"})

    assert Finding.GO_ON == (found := await bench.judge(ALONE, days=14.9)).decision.finding
    assert "fewer than 5 votes on the live one" in found.decision.why
    assert Finding.OVER == (await bench.judge(ALONE, days=15.1)).decision.finding
    assert (OLD, "") == ((serving := await bench.loras.serving(ALONE)).live, serving.canary)
    assert serving.history[0].why.startswith("trial: over: no answer in 15 days (fewer than 5 votes on the live one")


@pytest.mark.parametrize(("new", "finding"), [("👎", Finding.WORSE), ("👍", Finding.BETTER)])
async def test_with_all_sessions_it_is_compared_with_before(new: str, finding: Finding, bench: Bench) -> None:
    """The live version had half of its replies liked."""
    for number in range(40):
        await bench.reply(ALONE, OLD, {"p0": "👍👎"[number % 2]}, time=time.time() - DAY + 600 * number)
    await bench.loras.promote(ALONE, OLD, "night")
    await bench.loras.canary(ALONE, NEW, 1.0, "night")
    for _ in range(100):
        await bench.reply(ALONE, NEW, {"p0": new})

    assert finding == (found := await bench.judge(ALONE)).decision.finding
    assert "of the live one's 20 of 40 liked before" in found.decision.why


async def test_with_all_sessions_and_no_past_most_dislikes_end_it(bench: Bench) -> None:
    """When its days are over."""
    await bench.loras.promote(ALONE, OLD, "night")
    await bench.loras.canary(ALONE, NEW, 1.0, "night")
    for number in range(9):
        await bench.reply(ALONE, NEW, {"p0": "👎👍"[number % 3 == 0]})

    assert Finding.GO_ON == (await bench.judge(ALONE)).decision.finding
    assert Finding.WORSE == (await bench.judge(ALONE, days=3.1)).decision.finding
    assert OLD == (await bench.loras.serving(ALONE)).live


async def test_one_that_was_not_heard_does_not_go_live(bench: Bench) -> None:
    """Nobody has talked; or no worker can load it, and the old one spoke in its place."""
    await bench.begin(ALONE)
    await bench.reply(ALONE, OLD, {"p0": "👍"})
    assert "fewer than 5 votes on it" in (await bench.judge(ALONE, days=9)).decision.why
    await bench.votes(ALONE, 0.5, 0.5, 14)
    await bench.loras.faulty(NEW, "set aside")

    found = await bench.judge(ALONE, days=9, apply=False)
    assert (Finding.OVER, "over: cannot be loaded: set aside") == (found.decision.finding, found.decision.why)


async def test_a_trial_of_what_no_worker_can_load_ends_after_some_hours(bench: Bench) -> None:
    """The live one goes on, and nights do; history says why. Before, it may be a disk that comes back."""
    await bench.begin(ALONE)
    await bench.loras.faulty(NEW, "of other weights: it is set aside")

    assert (Finding.GO_ON, OLD) == ((found := await bench.judge(ALONE, days=5.9 / 24)).decision.finding, found.live)
    assert "cannot be loaded" in found.decision.why
    assert Finding.OVER == (await bench.judge(ALONE, days=6.1 / 24)).decision.finding
    assert (OLD, "") == ((serving := await bench.loras.serving(ALONE)).live, serving.canary)
    assert "trial: over: cannot be loaded: of other weights: it is set aside" == serving.history[0].why


async def test_what_one_worker_cannot_load_but_another_can_is_heard_out(bench: Bench) -> None:
    """It does not go live meanwhile; if it stays so, the old one goes on."""
    await bench.begin(ALONE)
    await bench.votes(ALONE, 0.9, 0.9, 40)
    await bench.loras.faulty(NEW, "no space left")
    last = time.time() + 3600 * bench.count
    await bench.reply(ALONE, NEW, {}, time=last + 10 * DAY)

    days = (last - time.time()) / DAY
    assert Finding.GO_ON == (await bench.judge(ALONE, days=days + 10.1)).decision.finding
    await bench.reply(ALONE, NEW, {}, time=time.time() + 15 * DAY)
    assert Finding.OVER == (await bench.judge(ALONE, days=15.1)).decision.finding
    assert OLD == (await bench.loras.serving(ALONE)).live


async def test_only_votes_on_the_two_count(bench: Bench) -> None:
    """Not from before, of other versions or personas, to files or given elsewhere; one per person and reply."""
    await bench.reply(ALONE, NEW, {"p0": "👎"}, time=time.time() - 100)
    await bench.begin(ALONE)
    await bench.reply(ALONE, "base", {"p0": "👎"})
    await bench.reply(ALONE, NEW, {"p0": "👎"}, source="import")
    await bench.reply(ALONE, NEW, {"p0": "👎"}, source="file")
    await bench.reply(ROOM, NEW, {"p0": "👎"})
    await bench.reply(ALONE, OLD, {"p0": "👎"})
    await bench.reply(ALONE, NEW, {"p0": "👍"})
    await bench.ledger.rate(f"r-{bench.count:04}", Fact("again", "p0", "🔥", time.time() + 3600 * 7))

    evidence = (await bench.judge(ALONE)).evidence
    assert (Side(1, 1), Side(1, 0)) == (evidence.tried, evidence.live)


async def test_a_vote_that_is_taken_back_is_gone(bench: Bench) -> None:
    """With what it had shown."""
    await bench.begin(ALONE)
    await bench.reply(ALONE, NEW, {"p0": "👎"})
    await bench.ledger.rate("r-0001", Fact("back", "p0", "👎", time.time() + 9 * DAY, removed=True))

    assert Side() == (await bench.judge(ALONE)).evidence.tried


async def test_a_scopes_own_trial_is_one_against_the_cards(bench: Bench) -> None:
    """Where it has nothing of its own and scopes learn together; lost, it speaks with the card's again."""
    await bench.loras.promote(common(ROOM), OLD, "night")
    await bench.loras.canary(ROOM, NEW, 0.5, "night")
    await bench.votes(ROOM, 0.1, 0.9, 60, 2)
    found = await bench.judge(ROOM, pool="card")

    assert (Finding.WORSE, OLD, OLD) == (found.decision.finding, found.against, found.live)
    assert OLD == (await bench.loras.spoken(ROOM, pool=True)).live


async def test_a_cards_lora_is_judged_by_all_its_scopes(bench: Bench) -> None:
    """Whose replies are on record as their own."""
    card = PersonaKey("discord:b1", "mira", "*")
    await bench.begin(card)
    await bench.votes(ROOM, 0.1, 0.9, 40, 2)
    await bench.votes(ALONE, 0.1, 0.9, 40)

    assert Finding.WORSE == (await bench.judge(card)).decision.finding
