"""`limen night`: learn now, look at what was found, and hear of it in the morning. The model only echoes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bots import nights
from bots.assemble import Parts, parts
from core.delivery import Delivery
from core.events import Kind, Person, PersonaKey, Place
from core.feedback import Fact
from core.nights import Count, Night, Outcome, Ratings, Sample
from core.store import keys
from core.store.ledger import Record, Told
from core.store.loras import Made, family
from core.store.nights import RUN, Last
from tests.fakes.commands import limen, meanwhile, opened
from tests.fakes.loras import write
from tests.fakes.outlet import Shelf

MIRA = PersonaKey("console:local", "mira", "console:local:user:me")
NOA = PersonaKey("discord:b1", "noa", "discord:77:channel:room")
HERE = Place("console", "local", "me", kind=Kind.DM)
NOTES = "console:local|mira|console:local:me"


@pytest.fixture
def _here(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    monkeypatch.setenv("LIMEN_TESTING", "1")
    monkeypatch.setenv("LIMEN_MODEL__REF", "echo:")


@pytest.fixture
async def p(redis_url: str, home: Path, _here: None) -> AsyncIterator[Parts]:
    async with opened(redis_url, home) as found:
        yield found


async def spoke(p: Parts, persona: PersonaKey, times: int = 1) -> None:
    """A persona that the echo finds worth a night: the more it spoke, the more."""
    for number in range(times):
        record = Record(
            id=f"{persona.card}-{number}", persona=persona, conversation=persona.conversation(HERE), place=HERE,
            author=Person("console:local:me"), answers=("m1",), time=time.time(), text="Aye", sections=(), roles=(),
        )  # fmt: skip
        await p.ledger.keep(record, [Told("user", "hello")])


def night(id: str, persona: PersonaKey = MIRA, ago: float = 60.0, **more: object) -> Night:
    began = time.time() - ago
    plain = Night(
        id=id, persona=persona, title="Captain Mira", day="20261127", began=began, ended=began + 30,
        outcome=Outcome.PROMOTED, version=f"{id}-v", reasons=("shown to be better",),
        samples=(Sample("<b>Storms?</b>", "Rain.", "Aye, storms!"),),
        ratings=Ratings(people=(Count("console:local:me", votes=3, likes=2, trust=0.5, share=1.0),)),
    )  # fmt: skip
    return replace(plain, **more)


async def test_everybody_who_has_something_to_learn_does(p: Parts) -> None:
    """Who has most first; each is told, kept and listed; the run is a success."""
    await spoke(p, NOA)
    await spoke(p, MIRA, 2)

    said = await meanwhile("night", "--now")
    listed = json.loads((await meanwhile("night", "list", "--json")).out)

    assert 0 == said.status
    told = [line for line in said.err.splitlines() if "undecided" in line]
    assert ["mira in console:local:user:me", "noa in discord:77:channel:room of discord:b1"] == [
        line.partition(":  ")[0].partition(": undecided")[0] for line in told
    ]
    assert ["noa", "mira"] == [row["persona"]["card"] for row in listed]
    assert await p.nights.last_success() > 0
    assert ("", "") == (await p.nights.holder(RUN), await p.nights.holder(str(MIRA)))


async def test_one_persona_is_let_learn_by_hand(p: Parts) -> None:
    """As JSON for machines; nobody else's night, and no run of all."""
    await spoke(p, NOA)

    said = await meanwhile("night", "--now", "--persona", "Mira", "--json")

    assert (0, ["mira"]) == (said.status, [row["persona"]["card"] for row in json.loads(said.out)])
    assert [1, 0] == [len(await p.nights.of(key)) for key in (MIRA, NOA)]
    assert await p.nights.last() is None


async def test_a_rehearsal_is_told_and_not_kept(p: Parts) -> None:
    """Nothing is written to Redis."""
    await spoke(p, MIRA)
    before = await p.client.scan("*")

    said = await meanwhile("night", "--now", "--dry-run")

    assert (0, True) == (said.status, "mira in console:local:user:me: undecided" in said.err)
    assert before == await p.client.scan("*")


async def test_versions_that_nobody_goes_back_to_go_after_a_while(
    p: Parts, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run deletes them and says so; a rehearsal and `keep_days: 0` leave them, and what is live stays in any case."""
    old, live = f"{family(MIRA)}/20250101-1", f"{family(MIRA)}/20250101-2"
    then = time.time() - 200 * keys.DAY
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: then)
        for version in (old, live):
            write(home / "loras" / version)
            await p.loras.made(version, Made(str(MIRA), "abc"), ())
        for version in (old, *(f"{family(MIRA)}/20250101-{number}" for number in range(3, 13)), live):
            await p.loras.promote(MIRA, version, "night")

    left = [
        (await meanwhile("night", "--now", *more, **changed), (home / "loras" / old).exists())
        for more, changed in ((["--dry-run"], {}), ([], {"LIMEN_LORA__KEEP_DAYS": "0"}), ([], {}))
    ]
    told = json.loads((await meanwhile("lora", "list", "--persona", "mira", "--json")).out)

    assert [True, True, False] == [there for _, there in left]
    assert [False, False, True] == ["1 LoRA that no rollback goes back to" in said.err for said, _ in left]
    assert (home / "loras" / live).exists()
    assert {old} == {past["version"] for one in told["personas"] for past in one["history"] if past["deleted"]}


async def test_who_is_at_it_already_is_told(p: Parts) -> None:
    """A run that is at work, or a persona that learns already, is named with the next step."""
    await spoke(p, MIRA)
    await p.nights.lease(RUN, "elsewhere:7:1")
    await p.nights.lease(str(MIRA), "elsewhere:8:1")

    everyone, one = await meanwhile("night", "--now"), await meanwhile("night", "--now", "--persona", "mira")

    assert (1, True) == (everyone.status, "a nightly run is at work already: elsewhere:7:1" in everyone.err)
    assert (1, True) == (one.status, "learns already: elsewhere:8:1" in one.err)
    assert "→" in everyone.err
    assert "→" in one.err


@pytest.mark.parametrize(
    ("wrong", "status", "why"),
    [
        (["--persona", "mira"], 2, "--persona goes with --now"),
        (["--now", "--persona", "mirra"], 1, "did you mean mira?"),
        (["--now", "--persona", "mira", "--scope", "here"], 2, "is not a scope"),
        (["--now", "list"], 2, "--now belongs behind `list`, or not here"),
        (["report"], 1, "there was no night yet"),
        (["report", "--open", "--json"], 2, "only one of them"),
        (["list", "--persona", "mirra"], 1, "did you mean mira?"),
    ],
)
@pytest.mark.usefixtures("_here")
def test_what_cannot_be_done_is_told(wrong: list[str], status: int, why: str) -> None:
    """With what was probably meant, or the next step."""
    said = limen("night", *wrong)

    assert (status, True) == (said.status, why in said.err)


@pytest.mark.usefixtures("_here")
def test_an_hour_that_is_none_is_told_wherever_it_matters() -> None:
    """A shape that cannot be at once; an hour that is none when nights are looked at, and by the doctor."""
    shape, hour = limen("status", LIMEN_NIGHT__AT="noon"), limen("night", LIMEN_NIGHT__AT="25:00")
    doctor = limen("doctor", LIMEN_NIGHT__AT="25:00")

    for said in (shape, hour):
        assert (1, True) == (said.status, "is not allowed; expected a time such as 04:00, or five fields" in said.err)
    assert (1, True) == (doctor.status, "night.at: '25:00' is not allowed" in " ".join(doctor.out.split()))


async def test_a_report_is_shown_as_text_page_and_data(p: Parts, tmp_path: Path) -> None:
    """The latest, or that of a day or id; of all, or of one persona."""
    await p.nights.keep(night("m/1", ago=99_999, day="20261126"))
    await p.nights.keep(night("m/2"))
    await p.nights.keep(night("n/1", NOA, ago=10, title="Noa"))

    def shown(said: str) -> str:
        return str(json.loads(said)["id"])

    assert "n/1" == shown((await meanwhile("night", "report", "--json")).out)
    assert "m/2" == shown((await meanwhile("night", "report", "--json", "--persona", "mira")).out)
    assert "m/1" == shown((await meanwhile("night", "report", "--json", "2026-11-26")).out)
    assert "m/2" == shown((await meanwhile("night", "report", "--json", "m/2")).out)
    assert "Captain Mira" in (await meanwhile("night", "report", "--persona", "mira")).out
    file = tmp_path / "night.html"
    assert 0 == (await meanwhile("night", "report", "--persona", "mira", "--html", file)).status
    page = file.read_text("utf-8")
    assert "Captain Mira" in page
    assert "&lt;b&gt;Storms?" in page
    missing = await meanwhile("night", "report", "20200101")
    assert (1, True) == (missing.status, "there are those of 20261127, 20261126" in missing.err)


async def test_how_it_stands_is_shown_in_80_columns(p: Parts) -> None:
    """By itself, in `limen status`, and by the doctor."""
    await spoke(p, MIRA)
    await p.ledger.rate("mira-0", Fact(id="f", user="console:local:me", emoji="👍", time=time.time()))
    await p.nights.ran(Last(time.time() - 90, time.time(), nights=3, failed=1, left=1))
    await p.nights.ran(Last(time.time() - 60, time.time(), trouble="its process was ended by signal 9; night.log"))
    await p.nights.keep(night("m/1", outcome=Outcome.FAILED))
    await p.nights.leave([NOA])

    said, listed, status = [await meanwhile(*asked) for asked in (["night"], ["night", "list"], ["status"])]
    doctor = " ".join((await meanwhile("doctor")).out.split())

    assert (0, 0) == (said.status, listed.status)
    for what in ("next ", "broke off", "1 persona from the last run", "mira in console:local:user:me · 1 new reaction"):
        assert what in said.out
    assert "failed" in listed.out
    assert "nights " in status.out
    assert max(map(len, [*said.out.splitlines(), *listed.out.splitlines(), *status.out.splitlines()])) <= 80
    assert "the last run broke off: its process was ended by signal 9" in doctor
    assert "1 night of the latest 1 failed" in doctor


async def test_nights_that_are_off_are_said_to_be(p: Parts) -> None:
    """By setting, or because what generates takes no LoRAs; a worker of nights alone then does not start."""
    for setting in ({"LIMEN_NIGHT__ENABLED": "false"}, {"LIMEN_MODEL__ENGINE": "openai", "LIMEN_OPENAI__LORAS": "off"}):
        said = await meanwhile("night", "status", **setting)
        refused = await meanwhile("worker", "--nights", **setting)

        assert "none by itself" in said.out
        assert (1, True) == (refused.status, "nothing for a worker of nights to do" in refused.err)


async def test_a_note_is_told_in_the_morning_to_whichever_terminal_is_open(p: Parts) -> None:
    """Once, to the conversation of the operator's choice; what is news comes first, and all of it is not told."""
    settings = replace(p.settings, night=replace(p.settings.night, report=NOTES))
    many = [night(f"m/{n}", title=f"Number {n}", outcome=Outcome.NOT_ENOUGH) for n in range(6)]
    async with parts(settings, p.client.url) as ours:
        await nights.post(ours, [*many, night("m/9")])
    shelf = Shelf()
    carried = [asyncio.create_task(Delivery(p.client, p.ledger, shelf, "console:local").run()) for _ in range(2)]
    await shelf.wait(lambda: shelf.finals)
    await _until_empty(p)
    for task in carried:
        task.cancel()

    (note,) = shelf.finals
    assert (HERE.channel, "mira", NOTES) == (note.place.channel, note.persona.card, note.conversation)
    assert note.text.startswith("Captain Mira had a good night")
    assert "… and 2 more" in note.text


async def _until_empty(p: Parts) -> None:
    async with asyncio.timeout(30):
        while await p.client.do("XLEN", keys.REPLIES("console:local")):
            await asyncio.sleep(0.01)


async def test_nobody_is_told_where_nobody_wants_to_be(p: Parts) -> None:
    """No conversation is set; or a card that is none: the night is a night all the same."""
    for report in ("", "console:local|mirra|console:local:me"):
        settings = replace(p.settings, night=replace(p.settings.night, report=report))
        async with parts(settings, p.client.url) as ours:
            await nights.post(ours, [night("m/9")])

    assert [] == await p.client.scan("limen:replies:*")


async def test_trials_are_looked_at_by_one_worker_at_a_time(p: Parts) -> None:
    """A lease that is not ended keeps the others from looking until the next time."""
    await nights.judge(p)
    await nights.judge(p)

    assert 0 < await p.client.do("PTTL", keys.NIGHT_LEASE(nights.TRIALS)) <= 600_000
