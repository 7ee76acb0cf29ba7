"""`limen lora`: a LoRA is brought in, tried, made live, gone back from and deleted, and a running worker follows."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bots.assemble import Parts
from bots.collisions import ROOT
from bots.options import ACCOUNT, SCOPE
from core.events import Line, Person, PersonaKey
from core.store import server
from core.store.loras import family
from core.store.queue import Offer
from tests.fakes import loras
from tests.fakes.commands import Said, limen, meanwhile, opened, working
from tests.fakes.jobs import job, until
from tests.fakes.manifests import manifest
from tests.fakes.tiny import tiny
from worker.echo import Echo
from worker.generator import Request
from worker.lora import manifest as manifests

MIRA = PersonaKey(ACCOUNT, "mira", SCOPE)
TO_MIRA = ("--persona", "mira")


@pytest.fixture
def base(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose base model is the tiny one; no Redis runs yet."""
    tiny().model.config.save_pretrained(home / "tiny")
    monkeypatch.setenv("LIMEN_HOME", str(home))
    monkeypatch.setenv("LIMEN_MODEL__REF", str(home / "tiny"))
    monkeypatch.delenv("REDIS_URL", raising=False)
    return home


@pytest.fixture
def here(base: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same on the Redis of the tests."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    return base


@pytest.fixture
async def p(redis_url: str, here: Path) -> AsyncIterator[Parts]:
    async with opened(redis_url, here) as found:
        yield found


def lora(*args: object, stdin: str = "") -> Said:
    return limen("lora", *args, stdin=stdin)


def add(home: Path, *args: object, seed: int = 1, base: str = "tiny") -> str:
    """Bring one in for Mira; its version."""
    said = lora("add", loras.write(home / f"made-{seed}", seed=seed, base=base), *TO_MIRA, *args)
    assert 0 == said.status, said.err
    return said.out.strip()


def listed(*args: object) -> dict[str, Any]:
    return json.loads(lora("list", "--json", *args).out)


def mira() -> dict[str, Any]:
    """What the list says of Mira."""
    (found,) = listed()["personas"]
    return found


def test_a_lora_is_brought_in_and_serves(here: Path):
    """As an immutable copy under a name of its persona's own, which is printed alone."""
    first, second = add(here), add(here, seed=2)
    found = mira()

    assert [f"{family(MIRA)}/{first[-10:-2]}-{number}" for number in (1, 2)] == [first, second]
    assert (second, "", [first]) == (found["live"], found["canary"], found["before"])
    assert [(second, "command"), (first, "command")] == [(one["version"], one["why"]) for one in found["history"]]
    made, kept = here / "made-1", here / "loras" / first
    assert {file.name: file.read_bytes() for file in made.iterdir()} == {f.name: f.read_bytes() for f in kept.iterdir()}


def test_it_works_where_nothing_runs_yet(base: Path):
    """Redis is started, as by other commands; the LoRA waits for the first worker."""
    version = add(base)

    assert server.running(base) is not None
    assert version in lora("list").out


def test_a_lora_can_be_tried_first(here: Path):
    """With a share of the replies; then it is made live, or the trial ended."""
    first, second = add(here), add(here, "--canary", "0.25", "--name", "bold", seed=2)

    assert (first, second, 0.25) == tuple(mira()[key] for key in ("live", "canary", "share"))
    assert "0" == str(lora("promote", second, *TO_MIRA, "--canary", "0").status)
    assert (first, "") == tuple(mira()[key] for key in ("live", "canary"))
    assert "10% of the sessions" in lora("promote", second, *TO_MIRA, "--canary", "0.1").out
    assert 0 == lora("promote", second, *TO_MIRA).status
    assert (second, "") == tuple(mira()[key] for key in ("live", "canary"))


def test_a_rollback_goes_back_step_by_step(here: Path):
    """In the end to the base; then it says that there is nothing more."""
    first, second = add(here), add(here, seed=2)

    assert f"speaks with {first} again; {second} stays" in lora("rollback", *TO_MIRA).out
    assert "speaks with the base again" in lora("rollback", *TO_MIRA).out
    assert "nothing before it" in lora("rollback", *TO_MIRA).out
    assert "base" == mira()["live"]


def test_a_rollback_ends_the_trial_of_a_first_lora(here: Path):
    """And says so: there is no version before, but what was new speaks no more."""
    version = add(here, "--canary", "0.5")

    said = lora("rollback", *TO_MIRA).out
    assert f"The trial of {version} is over; mira in console:local:user:me speaks with the base alone.\n" == said
    assert "" == mira()["canary"]
    assert "nothing before it" in lora("rollback", *TO_MIRA).out


def test_a_rollback_during_a_trial_keeps_the_old_voice(here: Path):
    """It is what was live all the time; another one goes further back."""
    first, second = add(here), add(here, "--canary", "0.5", seed=2)

    said = lora("rollback", *TO_MIRA).out
    assert f"The trial of {second} is over" in said
    assert f"speaks with {first} alone. Another rollback goes further back." in said
    assert (first, "") == tuple(mira()[key] for key in ("live", "canary"))
    assert f"speaks with the base again; {first} stays" in lora("rollback", *TO_MIRA).out


def test_where_scopes_learn_together_a_rollback_leads_to_the_cards(here: Path, monkeypatch: pytest.MonkeyPatch):
    """From the only version of its own."""
    monkeypatch.setenv("LIMEN_NIGHT__POOL", "card")
    folder = loras.write(here / "common")
    version = lora("add", folder, "--persona", "mira", "--scope", "*").out.strip()
    add(here, seed=2)

    assert f"speaks with {version} again" in lora("rollback", *TO_MIRA).out
    assert f"speaks with {version}, and there is nothing before it" in lora("rollback", *TO_MIRA).out


def test_the_base_can_be_chosen(here: Path):
    """And gone back from."""
    version = add(here)

    assert 0 == lora("promote", "base", *TO_MIRA).status
    assert "base" == mira()["live"]
    assert f"speaks with {version} again.\n" in lora("rollback", *TO_MIRA).out


def test_what_does_not_fit_is_not_brought_in(here: Path):
    """The reason and the next step; nothing is stored, nothing serves."""
    wrong = loras.write(here / "wrong", base="other/big")
    said = lora("add", wrong, *TO_MIRA)

    assert 1 == said.status
    assert "is for the base other/big" in said.err
    assert "→ train one for this model" in said.err
    assert {"personas": [], "unused": [], "missing": [], "to_be_rebuilt": [], "faults": []} == listed()


def test_the_name_of_the_base_can_be_overruled(here: Path):
    """What is stored says our base, so that workers take it."""
    version = add(here, "--any-base", base="other/big")

    assert "other/big" not in (here / "loras" / version / "adapter_config.json").read_text()
    assert 0 == lora("check", here / "loras" / version).status
    assert 1 == lora("check", here / "made-1").status


def test_a_check_says_what_a_lora_is(here: Path):
    """Without storing it."""
    folder = loras.write(here / "made", rank=4)
    said, data = lora("check", folder), json.loads(lora("check", folder, "--json").out)

    assert "It fits." in said.out
    assert (4, "tiny", 2) == (data["rank"], data["base"], data["layers"])
    assert not (here / "loras").exists()


def test_packages_of_others_say_nothing_meanwhile(here: Path):
    """What torch and torchao tell when they are imported helps nobody who brings a LoRA in."""
    command = [sys.executable, "-m", "bots", "lora", "check", str(loras.write(here / "made"))]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert ("It fits.", "") == (said.stdout.splitlines()[-1], said.stderr)


def test_a_version_is_shown_with_its_users(here: Path):
    """Rank, linears, base, size and who has it."""
    version = add(here)
    said, data = lora("show", version), json.loads(lora("show", version, "--json").out)

    assert all(row in said.out for row in ("rank      4", "q_proj", "in 2 layers", "base      tiny"))
    assert "used by   mira in console:local:user:me speaks with it" in said.out
    assert ([{"account": ACCOUNT, "card": "mira", "scope": SCOPE, "role": "live"}], 4) == (
        data["used_by"],
        data["rank"],
    )


def test_what_is_in_use_is_not_deleted(here: Path):
    """Not live, not on trial, not where a rollback leads; it says who has it."""
    first, second, third = add(here), add(here, seed=2), add(here, "--canary", "0.1", seed=3)

    for version, role in ((first, "goes back to it"), (second, "speaks with it"), (third, "tries it")):
        said = lora("remove", version, "--yes")
        assert (1, True) == (said.status, role in said.err)
        assert (here / "loras" / version).is_dir()


def test_force_deletes_what_is_in_use(here: Path):
    """The version before serves then; nobody waits for one that is gone, and its name is not given again."""
    first, second = add(here), add(here, seed=2)

    assert 0 == lora("remove", second, "--force", "--yes").status
    assert (first, []) == (mira()["live"], listed()["missing"])
    assert not (here / "loras" / second).exists()
    assert second[:-1] + "3" == add(here, seed=3)


def test_a_named_version_is_given_its_name_once(here: Path):
    """Even after it was deleted: a worker may remember it."""
    version = add(here, "--name", "bold")

    assert version.endswith("-bold")
    again = loras.write(here / "again", seed=9)
    assert "already" in lora("add", again, *TO_MIRA, "--name", "bold").err
    assert 0 == lora("remove", version, "--force", "--yes").status
    assert "a name is given only once" in lora("add", again, *TO_MIRA, "--name", "bold").err


def test_deleting_is_asked_about(here: Path):
    """No is no; a pipe that says nothing is told of --yes."""
    version = add(here)
    lora("promote", "base", *TO_MIRA)

    assert (1, "Nothing was deleted.") == (
        (said := lora("remove", version, "--force", stdin="n\n")).status,
        said.err.splitlines()[-1],
    )
    assert "add --yes" in lora("remove", version, "--force").err
    assert (here / "loras" / version).is_dir()
    assert 0 == lora("remove", version, "--force", stdin="y\n").status


def test_the_list_names_what_nobody_uses_and_what_is_gone(here: Path):
    """A version put there by hand, and one whose folder somebody deleted."""
    version = add(here)
    loras.write(here / "loras" / "poetry")
    (here / "loras" / version / "adapter_config.json").unlink()
    seen, said = listed(), lora("list").out

    assert (["poetry"], [version]) == (seen["unused"], seen["missing"])
    assert "nobody's" in said
    assert "Not in the store" in said
    checks = {one["name"]: one for one in json.loads(limen("doctor", "--json").out)["checks"]}
    assert ("warn", True) == (checks["LoRA"]["state"], version in checks["LoRA"]["said"])
    assert "ok" == checks["LoRA store"]["state"]


def test_the_old_name_of_promote_still_works(here: Path):
    """It is only not shown any more."""
    version = add(here)

    assert 0 == lora("use", "base", *TO_MIRA).status
    assert 0 == lora("use", version, *TO_MIRA).status
    assert " use " not in lora("--help").out
    assert " promote " in lora("--help").out


def made_by_a_night(home: Path, number: int, **changes: Any) -> str:
    """A LoRA with a manifest, brought in; its version."""
    folder = loras.write(home / f"night-{number}", seed=number)
    manifests.write(folder, manifest(**changes))
    said = lora("add", folder, *TO_MIRA)
    assert 0 == said.status, said.err
    return said.out.strip()


async def agree(p: Parts, *people: str) -> None:
    for person in people:
        await p.privacy.consent(person, "asked", "may it train?")


async def test_a_version_says_where_it_comes_from(p: Parts, here: Path):
    """How much it learned from, on what, with which settings and scores; one without a manifest says that."""
    await agree(p, "ann", "bob")
    version = await asyncio.to_thread(made_by_a_night, here, 1)
    said, data = await meanwhile("lora", "show", version), await meanwhile("lora", "show", version, "--json")
    plain = await asyncio.to_thread(add, here)

    assert "learned   from 2 replies, of 2 people" in said.out
    assert all(part in said.out for part in ("rate 0.001 · passes 3", "auc 0.8", "seed 7", "night     n-1"))
    assert ["r-1", "r-2"] == json.loads(data.out)["manifest"]["rows"]
    assert "no night made it" in (await meanwhile("lora", "show", plain)).out
    assert json.loads((await meanwhile("lora", "show", plain, "--json")).out)["manifest"] is None


async def test_two_versions_are_compared(p: Parts, here: Path):
    """Rows, people, settings and scores, and the weights by groups of layers; the same one twice is no change."""
    await agree(p, "ann", "bob")
    first = await asyncio.to_thread(made_by_a_night, here, 1)
    second = await asyncio.to_thread(
        made_by_a_night, here, 2, rows=("r-2", "r-3", "r-4"), people=("ann",), scores={"auc": 0.9}, parent="m/0"
    )
    said, data = (
        await meanwhile("lora", "diff", first, second),
        await meanwhile("lora", "diff", first, second, "--json"),
    )
    same = json.loads((await meanwhile("lora", "diff", first, first, "--json")).out)
    told = json.loads(data.out)

    assert "rows      1 in both · 1 only before · 2 only after" in said.out
    assert "people    1 in both · 1 only before · 0 only after" in said.out
    assert "scores    auc 0.8 → 0.9" in said.out
    assert "parent    none → m/0" in said.out
    assert {"first": ["bob"], "both": ["ann"], "second": []} == told["differ"]["people"]
    assert {} == told["differ"]["settings"] == same["differ"]["scores"]
    assert "all" == told["weights"][-1]["layers"]
    assert told["weights"][-1]["relative"] > 0.5
    assert [0.0] * len(same["weights"]) == [round(one["relative"], 6) for one in same["weights"]]


async def test_one_that_has_no_manifest_is_compared_by_its_weights(p: Parts, here: Path):
    """And it says why there is no more."""
    await agree(p, "ann", "bob")
    first, second = await asyncio.to_thread(made_by_a_night, here, 1), await asyncio.to_thread(add, here)
    said = await meanwhile("lora", "diff", first, second)

    assert "No night made the second" in said.out
    assert "distance" in said.out


async def test_who_has_not_agreed_is_not_brought_in_again(p: Parts, here: Path):
    """A copy from before somebody asked to be forgotten, say."""
    folder = loras.write(here / "old")
    manifests.write(folder, manifest())
    await agree(p, "ann")
    said = await meanwhile("lora", "add", folder, *TO_MIRA)

    assert (1, True) == (said.status, "asked to be forgotten" in said.err)
    assert [] == json.loads((await meanwhile("lora", "list", "--json")).out)["personas"]


async def test_to_forget_somebody_names_the_loras_that_stop(p: Parts, here: Path):
    """They are listed until the next night, and not brought back by hand."""
    await agree(p, "ann", "bob")
    version = await asyncio.to_thread(made_by_a_night, here, 1)
    said = await meanwhile("forget", "--user", "ann", "--yes")
    seen, page = await meanwhile("lora", "list", "--json"), await meanwhile("lora", "list")
    back = await meanwhile("lora", "promote", version, *TO_MIRA)

    assert "1 LoRAs" in said.out
    assert f"{version} speaks no more" in said.out
    assert [version] == json.loads(seen.out)["to_be_rebuilt"]
    assert "base" == json.loads(seen.out)["personas"][0]["live"]
    assert "somebody asked to be forgotten" in page.out
    assert (1, True) == (back.status, "asked to be forgotten" in back.err)
    assert 0 == (await meanwhile("lora", "remove", version, "--force", "--yes")).status
    assert [] == json.loads((await meanwhile("lora", "list", "--json")).out)["to_be_rebuilt"]


def test_a_persona_is_pinned(here: Path):
    """Shown in the list; kept by what people do by hand; taken off."""
    first, second = add(here), add(here, seed=2)

    assert f"speaks with {first}, and no night changes that" in lora("pin", first, *TO_MIRA).out
    assert "pinned" in lora("list").out
    assert (first, True) == tuple(mira()[key] for key in ("live", "pinned"))
    assert "and stays pinned" in lora("promote", second, *TO_MIRA).out
    assert "and stays pinned" in lora("rollback", *TO_MIRA).out
    assert f"speaks with {first}, and nights may change that" in lora("pin", "--off", *TO_MIRA).out
    assert "is not pinned" in lora("pin", "--off", *TO_MIRA).err
    assert 2 == lora("pin", *TO_MIRA).status == lora("pin", first, "--off", *TO_MIRA).status
    assert "there is no LoRA called 'x'" in lora("pin", "x", *TO_MIRA).err


def test_trials_are_shown_with_their_evidence(here: Path):
    """And not decided by being looked at."""
    assert "No LoRA is on trial" in lora("trials").out
    first, second = add(here), add(here, "--canary", "0.5", seed=2)
    said, (data,) = lora("trials").out, json.loads(lora("trials", "--judge", "--json").out)

    assert f"on trial  {second} · for" in said
    assert f"live      {first} · liked 0 of 0" in said
    assert "evidence  better 1 · worse 1" in said
    assert "not decided yet" in said
    assert (second, first, "go on") == (data["version"], data["against"], data["decision"]["finding"])
    assert second == mira()["canary"]
    assert "did you mean mira" in lora("trials", "--persona", "mirra").err


def test_the_cards_common_lora_is_named_by_a_star(here: Path):
    """It is a persona of its own for these commands."""
    folder = loras.write(here / "common")
    version = lora("add", folder, "--persona", "mira", "--scope", "*").out.strip()

    assert [("*", version)] == [(one["scope"], one["live"]) for one in listed()["personas"]]


def test_the_list_can_be_of_one_card(here: Path):
    """Then it is about its personas alone."""
    version = add(here)

    assert version in lora("list", *TO_MIRA).out
    assert [] == listed("--persona", "noa")["personas"]
    assert "No persona of this card has a LoRA yet" in lora("list", "--persona", "noa").out


def test_scopes_and_accounts_are_personas_of_their_own(here: Path):
    """The same card elsewhere has its own; one's version is not another's."""
    version = add(here)
    elsewhere = (*TO_MIRA, "--scope", "discord:77:channel:9", "--account", "discord:1")

    said = lora("promote", version, *elsewhere)
    assert (1, True) == (said.status, "scopes are walls" in said.err)
    other = lora("add", here / "made-1", *elsewhere).out.strip()
    personas = listed()["personas"]
    assert {("console:local", version), ("discord:1", other)} == {(one["account"], one["live"]) for one in personas}
    assert version.partition("/")[0] != other.partition("/")[0]


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("promote", "nothing", *TO_MIRA), 1, "there is no LoRA called 'nothing'"),
        (("promote", "base", "--persona", "mirra"), 1, "did you mean mira"),
        (("promote", "base", *TO_MIRA, "--canary", "0.5"), 1, "base is live: there is nothing to try"),
        (("promote", "x", *TO_MIRA, "--canary", "0"), 1, "x is not on trial"),
        (("promote", "x", *TO_MIRA, "--canary", "1.5"), 2, "1.5 is not in the range"),
        (("promote", "x", *TO_MIRA, "--canary", "nan"), 2, "nan is not in the range"),
        (("add", "tiny", *TO_MIRA, "--canary", "nan"), 2, "nan is not in the range"),
        (("promote", "x"), 2, "Missing option '--persona'"),
        (("promote", "x", *TO_MIRA, "--scope", "here"), 2, "is not a scope"),
        (("list", "--persona", "mirra"), 1, "did you mean mira"),
        (("remove", "base", "--yes"), 1, "there is no LoRA called 'base'"),
        (("remove", "../tiny", "--yes"), 1, "there is no LoRA called '../tiny'"),
        (("show", "../tiny"), 1, "cannot be the name of a LoRA"),
        (("add", "tiny", *TO_MIRA, "--name", "a/b"), 2, "letters, digits"),
        (("add", "nowhere", *TO_MIRA), 1, "there is no LoRA at nowhere"),
        (("add", "nowhere", "--persona", "mirra"), 1, "did you mean mira"),
    ],
)
def test_mistakes_are_told_with_the_next_step(args: tuple[str, ...], status: int, said: str, here: Path):
    """Never a traceback, never a silent default."""
    told = lora(*args)

    assert (status, True) == (told.status, said in told.err), told.err


def test_the_shell_completes_personas_and_versions(here: Path):
    """From the store, without asking Redis."""
    version = add(here)

    def completed(words: str) -> list[str]:
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_LIMEN_COMPLETE": "bash_complete"}
        command = [sys.executable, "-m", "bots"]
        said = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **asked}, capture_output=True, text=True, check=True
        )
        return [line.removeprefix("plain,") for line in said.stdout.split()]

    assert ["add"] == completed("limen lora a")
    assert [version] == completed("limen lora promote mira-")
    assert ["base"] == completed("limen lora promote ba")
    assert ["mira"] == completed("limen lora rollback --persona mi")


async def test_trouble_with_a_lora_is_seen_by_the_operator(p: Parts, here: Path):
    """In `status`, `doctor` and the list: which version, and why."""
    version = (await meanwhile("lora", "add", loras.write(here / "made"), *TO_MIRA)).out.strip()
    await p.loras.faulty(version, "adapter_model.safetensors is cut short")
    await p.loras.canary(MIRA, "x/1", 0.5)
    seen = json.loads((await meanwhile("status", "--json")).out)["loras"]
    page, doctor, rows = [await meanwhile(*asked) for asked in (("status",), ("doctor", "--json"), ("lora", "list"))]

    assert (1, 1, [version]) == (seen["personas"], seen["on_trial"], [fault["version"] for fault in seen["faults"]])
    assert "1 persona with one of their own, 1 on trial" in page.out
    for said in (page, rows):
        assert version in said.out
        assert "adapter_model.safetensors is cut short" in said.out
    told = [check["said"] for check in json.loads(doctor.out)["checks"] if check["name"] == "LoRA"]
    assert ["x/1 should serve", f"{version} could not be loaded"] == [
        row[: row.index(end) + len(end)] for row, end in zip(told, ("serve", "loaded"), strict=True)
    ]


def test_a_store_that_cannot_be_reached_is_a_warning(here: Path):
    """The base speaks without it; `doctor` says what to look at, and the list does too."""
    said = limen("doctor", "--json", LIMEN_LORA__STORE="nosuch://loras")
    (row,) = [check for check in json.loads(said.out)["checks"] if check["name"] == "LoRA store"]

    assert ("warn", True) == (row["state"], "nosuch://loras cannot be used" in row["said"])
    assert row["step"]
    assert (1, True) == ((told := limen("lora", "list", LIMEN_LORA__STORE="nosuch://loras")).status, "→" in told.err)


class Listening(Echo):
    """An echo that notes which LoRAs it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, ...]] = []

    def add(self, request: Request) -> None:
        self.asked.append(request.loras)
        super().add(request)


async def test_a_running_worker_follows_with_its_next_reply(p: Parts, here: Path):
    """A promotion, a trial and a rollback each count from the next claim on; nobody is told or restarted."""
    echo = Listening()
    made = [loras.write(here / f"made-{seed}", seed=seed) for seed in (1, 2)]
    card_hash = await p.personas.publish(p.card("mira"))

    async def ask(number: int) -> tuple[str, ...]:
        """A message to Mira, and what its reply is asked for with."""
        line = Line(f"m-{number}", Person("console:local:me"), "hi", 1.0)
        whole = msgspec.structs.replace(
            job(f"j-{number}"), persona=MIRA, card_hash=card_hash, events=(line.id,), ephemeral=(line,)
        )
        await p.queue.accept([Offer(job=whole)])

        async def asked() -> bool:
            return len(echo.asked) == number

        await until(asked)
        return echo.asked[-1]

    async with working(p, echo):
        before = await ask(1)
        first = (await meanwhile("lora", "add", made[0], *TO_MIRA)).out.strip()
        promoted = await ask(2)
        second = (await meanwhile("lora", "add", made[1], *TO_MIRA, "--canary", "1")).out.strip()
        tried = await ask(3)
        await meanwhile("lora", "rollback", *TO_MIRA)
        back = await ask(4)

    assert [(), (first,), (second, first), (first,)] == [before, promoted, tried, back]
