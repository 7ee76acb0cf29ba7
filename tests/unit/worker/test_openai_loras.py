"""LoRAs on a server at runtime: loaded when wanted, given up in turn, and what is said where they cannot be had."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import LoraError
from tests.fakes.openai import Act, Fake, fake
from tests.fakes.remote import OURS, asking, ended, place, remote, until
from worker.openai.generator import Remote
from worker.openai.loras import CANNOT, REST


@pytest.fixture
def server() -> Iterator[Fake]:
    """A vLLM that may be given LoRAs."""
    with fake() as it:
        it.takes_loras = True
        yield it


@pytest.fixture
def generator(server: Fake) -> Iterator[Remote]:
    with remote(server, lora__slots="2") as it:
        yield it


def spoke(generator: Remote, *loras: str) -> tuple[str, str]:
    """(which LoRA is said to have spoken, which model the server was asked for), for one request."""
    end = ended(generator, asking("hi", loras=loras))["r1"]
    assert "stop" == end.finish, end.error
    return end.lora, end.text.removesuffix(" heard: hi")


def changes(server: Fake) -> list[str]:
    """Loads (+) and unloads (-) in order, without the question whether LoRAs are taken."""
    marks = {"/v1/load_lora_adapter": "+", "/v1/unload_lora_adapter": "-"}
    return [
        marks[heard.path] + heard.body["lora_name"].removeprefix(OURS)
        for heard in server.heard
        if heard.path in marks and heard.body
    ]


def test_a_version_is_loaded_once_and_speaks(server: Fake, generator: Remote):
    """Under a name of its own, from its folder; who has none speaks with the base."""
    assert [("mira-1/2", f"{OURS}mira-1+2")] * 2 == [spoke(generator, "mira-1/2") for _ in range(2)]
    assert ("base", "tiny") == spoke(generator)
    assert (["+mira-1+2"], {f"{OURS}mira-1+2": "/loras/mira-1/2"}) == (changes(server), server.loras)
    assert {"loras": 1, "lora_slots": 2, "lora_trouble": ""}.items() <= generator.about().items()


def test_the_least_recently_used_gives_way(server: Fake, generator: Remote):
    """There are never more than `lora.slots`."""
    for version in ("a", "b", "a", "c", "b"):
        assert (version, f"{OURS}{version}") == spoke(generator, version)

    assert ["+a", "+b", "-b", "+c", "-a", "+b"] == changes(server)
    assert {f"{OURS}b", f"{OURS}c"} == set(server.loras)


def test_one_in_use_never_gives_way(server: Fake, generator: Remote):
    """Others wait until a slot is free; those whose LoRA is there do not."""
    server.default = Act(hold=1)
    for name in ("a", "b", "c"):
        generator.add(asking("hi", name, loras=(name,)))
    until(lambda: server.open == 2)
    generator.add(asking("hi", "b2", loras=("b",)))
    until(lambda: server.open == 3)
    assert ["+a", "+b"] == changes(server)

    server.let_go()
    ends = ended(generator)

    assert {"a": "a", "b": "b", "c": "c", "b2": "b"} == {name: end.lora for name, end in ends.items()}
    assert ("+c", 2) == (changes(server)[-1], len(server.loras))


def test_who_waits_for_a_slot_can_be_cancelled(server: Fake, generator: Remote):
    """And is in nobody's way."""
    server.default = Act(hold=1)
    for name in ("a", "b", "c"):
        generator.add(asking("hi", name, loras=(name,)))
    until(lambda: server.open == 2)
    generator.cancel("c")
    server.let_go()
    ends = ended(generator)

    assert ("cancelled", "stop") == (ends["c"].finish, ends["a"].finish)
    assert ("d", f"{OURS}d") == spoke(generator, "d")


def test_many_who_want_the_same_load_it_once(server: Fake, generator: Remote):
    """However close they come."""
    ends = ended(generator, *(asking("hi", f"r{number}", loras=("a",)) for number in range(8)))

    assert ({"a"}, ["+a"]) == ({end.lora for end in ends.values()}, changes(server))


def test_a_refused_version_leaves_the_word_to_the_one_before(
    server: Fake, generator: Remote, caplog: pytest.LogCaptureFixture
):
    """In order of preference, the base last; said once, shown in `limen status`, and not asked for each time."""
    server.bad_loras = {"/loras/new": (400, "rank 64 is greater than max_lora_rank"), "/loras/worse": (500, "NaN")}

    assert [("old", f"{OURS}old")] * 2 == [spoke(generator, "new", "old") for _ in range(2)]
    assert ("base", "tiny") == spoke(generator, "worse", "new")
    assert ["+new", "+old", "+worse"] == changes(server)
    assert "new: rank 64 is greater than max_lora_rank; worse: NaN" == generator.about()["lora_trouble"]
    assert 1 == caplog.text.count("LoRA new cannot be used")


def test_a_refused_version_is_known_until_it_is_taken(server: Fake, generator: Remote, monkeypatch: pytest.MonkeyPatch):
    """It is tried again after a while; whether anybody tries or not, `limen status` says what is wrong."""
    server.bad_loras = {"/loras/a": (400, "rank 64 is greater than max_lora_rank")}
    spoke(generator, "a")
    loras, now = generator._speaker.loras, time.monotonic()
    monkeypatch.setattr(loras, "_clock", lambda: now + REST + 1)

    assert {"a": "rank 64 is greater than max_lora_rank"} == generator.faults()
    server.bad_loras = {}
    assert ("a", f"{OURS}a") == spoke(generator, "a")
    assert {} == generator.faults()


def test_a_folder_that_is_gone_is_a_version_that_is_refused(server: Fake):
    """The server is not even asked."""

    def missing(version: str) -> Path:
        if version == "gone":
            raise LoraError("there is no LoRA gone")
        return place(version)

    with remote(server, missing) as generator:
        assert ("old", f"{OURS}old") == spoke(generator, "gone", "old")
        assert "gone: there is no LoRA gone" == generator.about()["lora_trouble"]

    assert ["+old"] == changes(server)


def test_a_server_that_takes_no_loras_talks_with_its_base(server: Fake):
    """That is said, and nothing is tried."""
    server.takes_loras = False
    with remote(server) as generator:
        assert ("base", "tiny") == spoke(generator, "a")
        assert (CANNOT, 0) == (generator.about()["lora_trouble"], generator.about()["lora_slots"])

    assert [] == changes(server)


def test_a_server_that_forbids_loading_talks_with_its_base(server: Fake):
    """The way to load LoRAs is often closed on purpose: that is no wrong key."""
    server.forbids = {"/load_lora_adapter"}
    with remote(server) as generator:
        assert ("base", "tiny") == spoke(generator, "a")
        assert CANNOT == generator.about()["lora_trouble"]


def test_a_server_started_without_loras_is_believed_at_the_first_load(server: Fake, generator: Remote):
    """vLLM has the address for it even then."""
    server.bad_loras = {"/loras/a": (400, "LoRA is not enabled. Use --enable-lora to enable LoRA.")}

    assert [("base", "tiny")] * 2 == [spoke(generator, "a", "b") for _ in range(2)]
    assert ["+a"] == changes(server)
    assert f"{CANNOT} (LoRA is not enabled" in str(generator.about()["lora_trouble"])


def test_loras_can_be_turned_off(server: Fake):
    """`openai.loras: off` asks for none."""
    with remote(server, openai__loras="off") as generator:
        assert ("base", "tiny") == spoke(generator, "a")
        assert "openai.loras is off" == generator.about()["lora_trouble"]

    assert ["/models", "/chat/completions"] == server.paths()


def test_a_server_that_was_started_anew_gets_its_loras_again(server: Fake, generator: Remote):
    """The reply comes from the LoRA, not from the base."""
    spoke(generator, "a")
    server.loras.clear()

    assert ("a", f"{OURS}a") == spoke(generator, "a")
    assert ["+a", "+a"] == changes(server)


def test_one_that_is_taken_but_never_known_is_refused(server: Fake, generator: Remote):
    """Two tries, then the next one."""
    no = Act(status=404, body={"error": {"message": "The model `limen-a` does not exist."}})
    server.script += [no, no]

    assert ("b", f"{OURS}b") == spoke(generator, "a", "b")
    assert "a: the server took it, but does not know it" == generator.about()["lora_trouble"]


def test_what_an_earlier_worker_left_is_taken_over(server: Fake):
    """It counts among the slots, and is not loaded anew where it is the same."""
    server.loras = {f"{OURS}a": "/loras/a", f"{OURS}b": "/loras/b", "others": "/elsewhere"}
    with remote(server, lora__slots="2") as generator:
        assert 2 == generator.about()["loras"]
        spoke(generator, "b")
        spoke(generator, "c")

    assert ["-a", "+c"] == changes(server)
    assert {f"{OURS}b", f"{OURS}c", "others"} == set(server.loras)


@pytest.mark.parametrize(("knows", "expected"), [(True, ["+a"]), (False, ["+a", "-a", "+a"])])
def test_another_one_of_the_same_name_is_replaced(server: Fake, knows: bool, expected: list[str]):
    """In place where the server knows how, else by unloading it first."""
    server.knows_inplace, server.loras = knows, {f"{OURS}a": "/other/home/a"}
    with remote(server) as generator:
        assert ("a", f"{OURS}a") == spoke(generator, "a")

    assert (expected, "/loras/a") == (changes(server), server.loras[f"{OURS}a"])


@pytest.mark.parametrize(("path", "expected"), [("/loras/a", ["+a"]), ("/other/a", ["+a", "+a"])])
def test_one_that_somebody_else_has_loaded_meanwhile(server: Fake, path: str, expected: list[str]):
    """The same will do; another one is replaced."""
    with remote(server) as generator:
        server.loras[f"{OURS}a"] = path
        assert ("a", f"{OURS}a") == spoke(generator, "a")

    assert (expected, "/loras/a") == (changes(server), server.loras[f"{OURS}a"])


def test_two_homes_on_one_server_do_not_meet(server: Fake, generator: Remote):
    """Their personas may have the same names, and so their versions; each hears its own, and unloads its own."""
    with remote(server, lambda version: Path("/theirs") / version, lora__store="/theirs", lora__slots="1") as theirs:
        names = [spoke(one, version)[1] for one in (generator, theirs) for version in ("a", "b")]
        again = [spoke(one, "b")[1] for one in (generator, theirs)]

    assert (4, names[1::2]) == (len({*names}), again)
    assert ["/loras/a", "/loras/b", "/theirs/b"] == sorted(server.loras.values())


def test_a_server_that_is_busy_while_loading_is_asked_again(server: Fake, generator: Remote):
    """503 is no fault of the LoRA."""
    server.bad_loras = {"/loras/a": (503, "not yet")}
    generator.add(asking("hi", loras=("a",)))
    until(lambda: len(changes(server)) >= 2)
    server.bad_loras = {}

    assert "a" == ended(generator)["r1"].lora
