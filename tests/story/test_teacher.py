"""One persona's night from ledger to LoRA, with a model that speaks a little, a real Redis and a real store: every way
that it can end, and that whatever goes wrong leaves the live one as it was."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from bots.assemble import Parts, parts
from bots.loras import store
from core.config import load
from core.errors import LoraError, StoreError
from core.events import Kind, Person, PersonaKey, Place
from core.feedback import Fact
from core.growth.changes import Paused
from core.nights import Night, Outcome
from core.settings import Settings
from core.store.consents import Consents, Purpose
from core.store.ledger import Record, Told
from core.store.loras import CARD, Made, common, family
from personas.card import Card
from personas.sampling import Sampling
from tests.fakes import loras, school
from worker.lora.manifest import read as manifest
from worker.night import leftovers, run, train
from worker.night.measure import Asked, prompt, speak
from worker.night.run import Plan, Teacher, Tools
from worker.night.study import Studied
from worker.night.train import Recipe

BOT = "discord:b1"
ANN = Card(name="ann", title="Ann", description="You are Ann.", sampling=Sampling(temperature=1.0, max_tokens=40))
HERE, THERE = (PersonaKey(BOT, "ann", f"discord:{server}:channel:room") for server in (77, 88))
BASE = "base"
# Of its own, so that what is best for large models may change.
RECIPE = {
    "LIMEN_NIGHT__RATE": "0.005", "LIMEN_NIGHT__PASSES": "3", "LIMEN_NIGHT__DEPTH": "1",
    "LIMEN_NIGHT__BETA": "0.1", "LIMEN_NIGHT__ANCHOR": "0.5",
    "LIMEN_NIGHT__KL": "1.5",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return school.folder(tmp_path_factory.mktemp("model"))


def settings(home: Path, model: Path, **night: object) -> Settings:
    given = {f"LIMEN_NIGHT__{name.upper()}": str(value) for name, value in night.items()}
    return load(
        {
            "LIMEN_MODEL__REF": str(model),
            "LIMEN_MODEL__THREADS": "1",
            "LIMEN_MODEL__DTYPE": "float32",
            "LIMEN_NIGHT__THREADS": "1",
            **RECIPE,
            "LIMEN_NIGHT__CANARY": "0.5",
            "LIMEN_LORA__TARGETS": "all",
            **given,
        },
        home=home,
    )


@pytest.fixture
async def p(redis_url: str, home: Path, model: Path) -> AsyncIterator[Parts]:
    async with parts(settings(home, model), redis_url) as found:
        await found.personas.publish(ANN)
        yield found


@pytest.fixture(scope="module")
def studied() -> dict[object, Studied]:
    """What has been learned, by what it was learned from."""
    return {}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch, studied: dict[object, Studied]) -> None:
    """The same votes are learned from and judged once for all tests that ask what comes before and after that."""
    real = run.study

    def study(base, card, parts, recipes, live, parent=None, **more):  # type: ignore[no-untyped-def]
        rows = [
            [(one.reply, one.text, one.liked, round(one.weight, 4)) for one in some]
            for some in (parts.rows, parts.taught, *parts.before, *parts.folds)
        ]
        weights = sum(float(one.double().abs().sum()) for one in base.loaded.model.parameters())
        known = str((weights, card, rows, recipes))
        if live or parent:
            return real(base, card, parts, recipes, live, parent, **more)
        if known not in studied:
            studied[known] = real(base, card, parts, recipes, live, parent, **more)
        return studied[known]

    monkeypatch.setattr(run, "study", study)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training takes a dozen steps: enough where it does not matter how much is learned."""
    monkeypatch.setattr(run, "Recipe", partial(Recipe, fewest=90, visits=90))


def teacher(p: Parts, model: Path, plan: Plan | None = None, **night: object) -> Teacher:
    given = settings(p.settings.home, model, **night)
    tools = Tools(given, p.ledger, Consents(p.client), p.loras, p.personas, store(given), p.growth.store)
    return Teacher(tools, plan or Plan(day="20261127", code="test"))


async def talked(
    p: Parts, persona: PersonaKey = HERE, count: int = 90, seed: int = 0, people: int = 12,
    likes: Callable[[str], bool] = school.likes, ago: float = 86_400.0, yes: bool = True,
) -> list[str]:  # fmt: skip
    """So many replies, an hour apart so that each is a session, and a vote on each, by people who allow training."""
    dice, now, server = random.Random(seed), time.time() - ago, persona.scope.split(":")[1]
    place, ids = Place("discord", server, "room", kind=Kind.CHANNEL), list[str]()
    for at in range(count):
        who, text, said = Person(f"discord:{server}:u{at % people}"), school.reply(dice), now - (count - at) * 7200
        record = Record(
            id=f"{server}-{seed}-{at}", persona=persona, conversation=persona.conversation(place), place=place,
            author=who, answers=(f"m{at}",), time=said, text=text, sections=(), roles=(), people=(who.id,),
            card_hash=ANN.hash,
        )  # fmt: skip
        await p.ledger.keep(record, [Told("system", "You are Ann."), Told("user", f"what of {dice.random():.3f}?")])
        fact = Fact(f"f-{record.id}", who.id, "👍" if likes(text) else "👎", said + 60)
        await p.ledger.rate(record.id, fact)
        ids.append(record.id)
        if yes and at < people:
            await p.privacy.say(who.id, True, Purpose.TRAIN)
    return ids


def share(t: Teacher, p: Parts, version: str) -> float:
    """Of 300 replies with this version, how many are to people's taste: its standard error is 0.03."""
    weights = t._read(t.base, version, run.Draft(HERE, "", p.settings, 0))
    asked = [
        Asked("", prompt(t.base, (Told("system", "You are Ann."), Told("user", f"what of {n}?")))) for n in range(300)
    ]
    return sum(map(school.likes, speak(t.base, asked, weights, ANN.sampling, 3))) / len(asked)


def why(night: Night) -> str:
    return " ".join(night.reasons)


@pytest.mark.usefixtures("once")
async def test_what_people_liked_goes_on_trial(p: Parts, model: Path) -> None:
    """It says more of it; where it comes from stands in its manifest, and how it came about on the page."""
    ids = await talked(p)
    t = teacher(p, model)
    (due,) = await t.due()
    night = await t.night(HERE)
    serving = await p.loras.serving(HERE)

    assert (HERE, 90) == (due.persona, due.fresh)
    assert Outcome.TRIAL == night.outcome, why(night)
    assert (BASE, night.version, 0.5) == (serving.live, serving.canary, serving.share)
    assert share(t, p, night.version) > share(t, p, BASE) + 0.1  # three standard errors; how far it goes differs by CPU
    told = manifest(store(p.settings).folder(night.version))
    assert told
    assert (night.version, str(HERE), "test", "") == (told.version, told.persona, told.code, told.parent)
    assert (set(ids), {f"discord:77:u{n}" for n in range(12)}) == ({*told.rows}, {*told.people})
    assert (90, 90, 90) == (
        night.ratings.reactions, night.ratings.replies, night.rows.train
    )  # fmt: skip
    assert all(check.passed for check in night.checks)
    assert night.samples
    assert night.voice
    assert night.curve
    assert ("Ann", BASE, 0.005) == (night.title, night.before, night.settings["rate"])
    assert [] == await t.due()
    assert [] == list((p.settings.home / "nights").glob("*"))


@pytest.mark.usefixtures("once")
async def test_without_a_trial_it_is_live_at_once(p: Parts, model: Path) -> None:
    """As the plan says, or the settings; it has learned from all there is, so nothing yet can compare it."""
    await talked(p)
    first = await teacher(p, model, Plan("20261127", live=True)).night(HERE)
    assert (Outcome.PROMOTED, first.version) == (first.outcome, (await p.loras.serving(HERE)).live), why(first)

    second = await teacher(p, model, canary=0).night(HERE)
    assert (first.version, Outcome.WAITING) == (second.before, second.outcome), why(second)
    assert "has learned from all of it" in why(second)
    assert first.version == (await p.loras.serving(HERE)).live


async def test_after_a_rollback_what_the_next_one_learned_from_is_new_again(
    p: Parts, model: Path, request: pytest.FixtureRequest
) -> None:
    """It was learned by the one that was taken back, not by the one that serves, whenever that went live."""
    await talked(p)
    await p.loras.promote(HERE, loras_of(p, model, "x/1"), "command")
    first = await teacher(p, model, Plan("20261127", live=True)).night(HERE)
    assert first.checks, why(first)
    await p.loras.promote(HERE, first.version or loras_of(p, model, "x/2"), "command")
    await p.loras.rollback(HERE)
    request.getfixturevalue("briefly")
    night = await teacher(p, model, Plan("20261127", dry=True)).night(HERE)

    assert "x/1" == night.before
    assert night.rows.held == first.rows.held > 0
    assert night.checks


def loras_of(p: Parts, model: Path, version: str, base: str = "") -> str:
    """A version in the store that changes next to nothing, as peft writes it."""
    one = teacher(p, model)
    shape = one.base.shape
    folder = p.settings.home / version.replace("/", "-")
    loras.write(folder, shape, 4, ("q_proj",), 1, alpha=0.001, base=base or str(model))
    store(p.settings).add(version, folder)
    return version


@pytest.mark.usefixtures("once")
async def test_a_rehearsal_keeps_nothing(p: Parts, model: Path) -> None:
    """It says what would have been."""
    await talked(p)
    before = await p.client.scan("*")
    t = teacher(p, model, Plan("20261127", dry=True))
    night = await t.night(HERE)

    assert (Outcome.DRY_RUN, "") == (night.outcome, night.version), why(night)
    assert "it finds the liked one likelier" in why(night)
    assert sorted(before) == sorted(await p.client.scan("*"))
    assert [] == list(store(p.settings).versions())
    assert 1 == len(await t.due())


async def test_too_few_ratings_are_told_with_how_many_are_missing(p: Parts, model: Path) -> None:
    """No model is even loaded, and the reactions are not lost: the next night has them, too."""
    await talked(p, count=12)
    t = teacher(p, model)
    night = await t.night(HERE)

    assert Outcome.NOT_ENOUGH == night.outcome
    missing = int(why(night).split("; ")[1].split()[0])
    assert night.ratings.effective + missing >= 50 > night.ratings.effective + missing - 1
    assert "base" not in vars(t)
    assert [12] == [due.fresh for due in await t.due()]


@pytest.mark.parametrize(("likes", "said"), [(True, "disliked"), (False, "liked")])
async def test_only_likes_or_only_dislikes_teach_nothing(p: Parts, model: Path, likes: bool, said: str) -> None:
    """With the reason."""
    await talked(p, likes=lambda _: likes)
    night = await teacher(p, model, least=10).night(HERE)

    assert (Outcome.NOT_ENOUGH, f"Nobody {said} anything, so there is nothing to tell apart.") == (
        night.outcome, why(night)
    )  # fmt: skip


async def test_who_is_pinned_learns_nothing(p: Parts, model: Path) -> None:
    """Nor does who is on trial by the clock, or was told to pause."""
    await talked(p)
    await p.loras.pin(HERE, BASE)
    pinned = await teacher(p, model).night(HERE)
    await p.loras.unpin(HERE)
    await p.loras.canary(HERE, "x/1", 0.5)
    trial = await teacher(p, model, Plan("20261127", scheduled=True)).night(HERE)

    await p.growth.store.append(HERE, [Paused(id="p", time=1.0, on=True)])
    paused = await teacher(p, model).night(HERE)

    assert (Outcome.PINNED, Outcome.WAITING) == (pinned.outcome, trial.outcome)
    assert (Outcome.PINNED, "Learning is paused; /resume in the chat lets it go on.") == (paused.outcome, why(paused))
    assert "limen lora pin --off" in why(pinned)
    assert "x/1 is on trial" in why(trial)


async def test_votes_of_coins_change_nothing(p: Parts, model: Path) -> None:
    """Whatever was learned from them is not let in."""
    dice = random.Random(5)
    await talked(p, likes=lambda _: dice.random() < 0.5)
    night = await teacher(p, model).night(HERE)

    assert night.outcome in (Outcome.UNDECIDED, Outcome.REJECTED), why(night)
    assert (BASE, "") == ((await p.loras.serving(HERE)).live, (await p.loras.serving(HERE)).canary)
    assert [] == list(store(p.settings).versions())


async def test_numbers_that_are_none_leave_the_live_one(p: Parts, model: Path, monkeypatch) -> None:
    """The night says so, and its reactions wait for the next one."""
    await talked(p)
    live = loras_of(p, model, "x/1")
    await p.loras.promote(HERE, live, "command")
    monkeypatch.setattr(train, "schedule", lambda step, steps: float("nan"))
    t = teacher(p, model)
    night = await t.night(HERE)

    assert Outcome.FAILED == night.outcome
    assert "the loss of step 2 is nan" in why(night)
    assert live == (await p.loras.serving(HERE)).live
    assert 1 == len(await t.due())


@pytest.mark.usefixtures("briefly")
async def test_a_night_that_goes_wrong_in_one_of_a_grid_goes_on(p: Parts, model: Path, monkeypatch) -> None:
    """The settings that broke are named, and the best of the others are kept."""
    await talked(p)
    real = train.objective

    def fragile(rows, gain, likelihood, recipe):  # type: ignore[no-untyped-def]
        return real(rows, gain, likelihood, recipe) * (float("nan") if recipe.rate > 1e-3 else 1)

    monkeypatch.setattr(train, "objective", fragile)
    night = await teacher(p, model, Plan("20261127", dry=True, sweep=True)).night(HERE)

    taken = [one for one in night.tried if one.taken]
    assert 6 == len(night.tried)
    assert [2e-3, 2e-3] == [one.rate for one in night.tried if "nan" in one.why and not one.held]
    assert [(night.settings["rate"], night.settings["anchor"])] == [(one.rate, one.anchor) for one in taken]
    assert min(min(one.held) for one in night.tried if one.held) == min(taken[0].held)
    assert night.outcome != Outcome.FAILED, why(night)


@pytest.mark.usefixtures("once")
async def test_what_is_made_live_while_it_trains_stays(p: Parts, model: Path, monkeypatch) -> None:
    """The new one is kept, and does not speak; what it learned from is learned again."""
    await talked(p)
    loop, real = asyncio.get_running_loop(), run.study
    theirs = loras_of(p, model, "x/1")

    def meanwhile(*args, **more):  # type: ignore[no-untyped-def]
        found = real(*args, **more)
        asyncio.run_coroutine_threadsafe(p.loras.promote(HERE, theirs, "command"), loop).result(30)
        return found

    monkeypatch.setattr(run, "study", meanwhile)
    t = teacher(p, model)
    night = await t.night(HERE)

    assert (Outcome.FAILED, 1) == (night.outcome, len(await t.due()))
    assert f"({theirs} is live now), so {night.version} stays in the store" in why(night)
    assert (theirs, "") == ((await p.loras.serving(HERE)).live, (await p.loras.serving(HERE)).canary)
    assert {theirs, night.version} == {*store(p.settings).versions()}


@pytest.mark.usefixtures("once")
async def test_somebody_who_is_forgotten_while_it_trains_is_in_no_lora(p: Parts, model: Path, monkeypatch) -> None:
    """Nothing is kept, neither in the store nor of whose words it was."""
    await talked(p)
    loop, real = asyncio.get_running_loop(), run.study

    def meanwhile(*args, **more):  # type: ignore[no-untyped-def]
        found = real(*args, **more)
        asyncio.run_coroutine_threadsafe(p.privacy.forget("discord:77:u3"), loop).result(30)
        return found

    monkeypatch.setattr(run, "study", meanwhile)
    night = await teacher(p, model).night(HERE)

    assert (Outcome.FAILED, "") == (night.outcome, night.version)
    assert "was forgotten while it was trained" in why(night)
    assert (BASE, "") == ((await p.loras.serving(HERE)).live, (await p.loras.serving(HERE)).canary)
    assert [] == list(store(p.settings).versions())
    assert [] == await p.loras.of_person("discord:77:u2")


async def test_what_a_killed_training_left_goes_with_the_next_night(p: Parts, model: Path) -> None:
    """Whether it is gone on from or not: it has learned from rows that may be gone by now."""
    await talked(p, count=12)
    left = p.settings.home / "nights" / family(HERE) / "whole.pt"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a LoRA")
    await teacher(p, model).night(HERE)

    assert not left.exists()


class Cut(BaseException):
    """The process was ended: nobody handles it."""


async def test_what_comes_after_it_was_cut_off_waits_for_the_next_night(p: Parts, model: Path, monkeypatch) -> None:
    """It goes on with the rows, weights and folds that it began with, though people talk and vote on, even while it
    reads; but a vote that was taken back counts no more."""
    ids, seen, t = await talked(p), [], teacher(p, model)
    weights = t._weights

    def cut(base, card, parts, *args, kept: Path, **more):  # type: ignore[no-untyped-def]
        folds = [[(one.reply, one.weight) for one in fold] for fold in parts.folds]
        seen.append(({one.reply: one.weight for one in parts.taught}, folds, (kept / "half.pt").exists()))
        (kept / "half.pt").touch()
        raise Cut

    async def meanwhile(*args):  # type: ignore[no-untyped-def]
        await p.ledger.rate(ids[2], Fact("in between", "discord:77:u7", "👎", time.time()))
        return await weights(*args)

    async def settled(persona: PersonaKey, page: run.Draft) -> None:
        page.settled = True

    async def cut_off() -> None:
        with pytest.raises(Cut):
            await t.night(HERE)

    monkeypatch.setattr(run, "study", cut)
    with monkeypatch.context() as patch:
        patch.setattr(t, "_weights", meanwhile)
        await cut_off()
    late = await talked(p, seed=1, count=10, ago=-21 * 3600)
    await p.ledger.rate(ids[0], Fact("late", "discord:77:u5", "👎", time.time()))
    await cut_off()
    for emoji in ("👍", "👎"):
        await p.ledger.rate(ids[1], Fact(emoji, "discord:77:u1", emoji, time.time(), removed=True))
    await cut_off()
    monkeypatch.setattr(t, "_learn_and_judge", settled)
    night = await t.night(HERE)

    assert seen[0][:2] == seen[1][:2]
    assert [False, True, True] == [there for *_, there in seen]
    assert {*ids} == {*seen[0][0]}
    assert {*ids} - {ids[1]} == {*seen[2][0]}
    assert any(note.startswith("It was cut off before") for note in night.notes)
    assert [len(late) + 4] == [due.fresh for due in await t.due()]


async def test_what_was_cut_off_is_not_gone_on_from_without_somebody(p: Parts, model: Path, monkeypatch) -> None:
    """Who was forgotten, or took consent back, was in those weights; and what another machine has done is done."""
    await talked(p)
    t, there = teacher(p, model), []

    def cut(*args, kept: Path, **more):  # type: ignore[no-untyped-def]
        there.append((kept / "half.pt").exists())
        (kept / "half.pt").touch()
        raise Cut

    monkeypatch.setattr(run, "study", cut)
    for act in (
        lambda: p.privacy.say("discord:77:u3", False, Purpose.TRAIN),
        lambda: p.ledger.learned(HERE, 1),
        lambda: p.ledger.learned(HERE, 0),
    ):
        with pytest.raises(Cut):
            await t.night(HERE)
        await act()
    with pytest.raises(Cut):
        await t.night(HERE)

    assert [False, False, False, True] == there


async def test_a_reaction_that_came_later_is_not_one_without_consent(p: Parts, model: Path, monkeypatch) -> None:
    """A night that goes on counts what it began with."""
    await talked(p, count=89)
    t = teacher(p, model)
    leftovers.begin(leftovers.folder(p.settings.home, HERE), leftovers.Begun(time.time() - 60, 0))
    await talked(p, seed=1, count=1, ago=90 - 7200)  # said before, and rated since
    monkeypatch.setattr(run, "study", lambda *args, **more: (_ for _ in ()).throw(LoraError("that is all")))
    night = await t.night(HERE)

    assert (89, {}) == (night.ratings.replies, night.ratings.refused), why(night)


@pytest.mark.usefixtures("once")
async def test_a_lora_of_another_base_is_set_aside(p: Parts, model: Path) -> None:
    """The page names it, the base is what the new one is compared with, and the new one is of the base of now."""
    await talked(p)
    live = loras_of(p, model, "x/1", base="another/model")
    await p.loras.promote(HERE, live, "command")
    t = teacher(p, model)
    night = await t.night(HERE)

    assert Outcome.TRIAL == night.outcome, why(night)
    (note,) = [note for note in night.notes if "set aside" in note]
    assert "x/1 is set aside" in note
    assert "another/model" in note
    assert "the base does in" in why(night)


@pytest.mark.usefixtures("once")
async def test_a_base_that_has_changed_since_is_noticed_by_its_weights(p: Parts, model: Path, tmp_path: Path) -> None:
    """Though it has the same name and sizes."""
    place = tmp_path / "model"
    await asyncio.to_thread(school.folder, place)
    await talked(p)
    first = await teacher(p, place, Plan("20261127", live=True)).night(HERE)
    tuned = school._taught(school.STEPS)
    weight = tuned.model.norm.weight
    with torch.no_grad():
        weight += 1e-3
        tuned.save_pretrained(place)
        weight -= 1e-3
    second = await teacher(p, place, Plan("20261128", live=True)).night(HERE)

    assert (Outcome.PROMOTED, Outcome.PROMOTED) == (first.outcome, second.outcome), why(second)
    assert any(first.version in note and "set aside" in note for note in second.notes)


async def test_nothing_crosses_a_scope_without_consent_to_it(p: Parts, model: Path) -> None:
    """Scopes of a card learn together from those who agreed to that, and from nobody else."""
    await talked(p, HERE, count=80)
    theirs = await talked(p, THERE, count=160, seed=1)
    t = teacher(p, model, pool="card", canary=0)
    pooled = common(HERE)
    before = [due.persona for due in await t.due()]
    none = await t.night(pooled)
    for n in range(12):
        await p.privacy.say(f"discord:88:u{n}", True, Purpose.POOL)
    some = await t.night(pooled)

    assert ([pooled, THERE, HERE], [THERE, HERE]) == (before, [due.persona for due in await t.due()])
    assert (Outcome.NOT_ENOUGH, {"no consent": 240}) == (none.outcome, none.ratings.refused)
    assert Outcome.PROMOTED == some.outcome, why(some)
    told = manifest(store(p.settings).folder(some.version))
    assert told
    assert ({*theirs}, str(pooled)) == ({*told.rows}, told.persona)
    assert all(person.startswith("discord:88:") for person in told.people)
    assert some.version == (await p.loras.serving(pooled)).live
    assert {"no consent": 80} == some.ratings.refused


async def test_a_scope_builds_on_the_cards_lora_and_must_be_better_than_it(p: Parts, model: Path) -> None:
    """It serves where a scope has none of its own, so it is what the new one is compared with; its people are taken
    over into the manifest."""
    await talked(p, HERE, count=80)
    await talked(p, THERE, count=160, seed=1)
    for n in range(12):
        await p.privacy.say(f"discord:88:u{n}", True, Purpose.POOL)
    t = teacher(p, model, pool="card", canary=0)
    card = await t.night(common(HERE))
    own = await t.night(HERE)

    assert card.version == own.before, why(own)
    assert "what serves now" in why(own)
    assert abs(own.curve[0].margin) < 1e-3  # counted from where it began


async def test_a_card_that_nobody_talks_to_has_nothing_to_learn(p: Parts, model: Path) -> None:
    """Nor is that an error."""
    night = await teacher(p, model, pool="card").night(PersonaKey(BOT, "noa", CARD))

    assert Outcome.NOT_ENOUGH == night.outcome


async def test_two_personas_in_one_night_are_examined_by_their_own(p: Parts, model: Path) -> None:
    """One copy of the model: the second's samples are of what it learned, the opposite of the first's."""
    await talked(p, HERE)
    await talked(p, THERE, likes=lambda text: not school.likes(text))
    t = teacher(p, model)
    first, second = await t.night(HERE), await t.night(THERE)

    shares = [sum(school.likes(one.after) for one in night.samples) for night in (first, second)]
    assert shares[0] >= 4 > 2 >= shares[1]


async def test_who_must_be_rebuilt_comes_first_and_its_files_go(p: Parts, model: Path) -> None:
    """Whether there was enough to learn from, or not."""
    await talked(p, HERE, count=20)
    await talked(p, THERE, count=30)
    version = loras_of(p, model, f"{family(HERE)}/20261126-1")
    await p.loras.made(version, Made(str(HERE)), ["discord:77:u1"])
    await p.loras.promote(HERE, version, "night")
    await p.privacy.forget("discord:77:u1")
    t = teacher(p, model)

    assert [HERE, THERE] == [due.persona for due in await t.due()]
    assert Outcome.NOT_ENOUGH == (await t.night(HERE)).outcome
    assert [] == [*store(p.settings).versions(), *await p.loras.rebuild_due()]


async def test_files_that_cannot_be_deleted_change_nothing_of_how_a_night_ends(
    p: Parts, model: Path, monkeypatch
) -> None:
    """What passed the gate speaks, its page says so, and what it has learned from is not new again; the files stay
    due."""

    async def found(persona: PersonaKey, page: run.Draft) -> None:
        page.settled = True
        page.end(Outcome.PROMOTED, "It is better.")

    def denied(version: str) -> None:
        raise LoraError("the LoRA store s3://loras cannot be written (AccessDenied)")

    await talked(p, count=12)
    await p.loras.made("x/1", Made(str(HERE)), ["discord:77:u1"])
    await p.loras.taint("discord:77:u1")
    t = teacher(p, model)
    monkeypatch.setattr(t, "_learn_and_judge", found)
    monkeypatch.setattr(t._tools.store, "remove", denied)
    night = await t.night(HERE)

    assert (Outcome.PROMOTED, ("It is better.",)) == (night.outcome, night.reasons)
    assert "could not be deleted; the next night tries again" in night.notes[-1]
    assert ["x/1"] == [due.version for due in await p.loras.rebuild_due()]
    assert HERE not in await p.ledger.fresh()


async def test_a_redis_that_fails_is_not_the_personas_fault(p: Parts, model: Path, monkeypatch) -> None:
    """The night is not over: whoever runs it tries again."""

    async def gone(*_: object) -> None:
        raise StoreError("Redis is gone")

    await talked(p, count=12)
    monkeypatch.setattr(p.loras, "serving", gone)
    with pytest.raises(StoreError):
        await teacher(p, model).night(HERE)
