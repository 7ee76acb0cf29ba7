"""How far an append-only log stands. Whole files and a real server: tests/story/test_redis_server.py."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.store import damage


def command(*words: bytes) -> bytes:
    """As the server writes it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


FIRST = command(b"SET", b"a", b"1")
SECOND = command(b"SET", b"b", b"2" * 40)
words = st.lists(st.binary(max_size=40), max_size=3)
commands = st.lists(st.builds(lambda name, rest: command(name, *rest), st.sampled_from([b"SET", b"DEL"]), words))


@given(commands, st.data())
def test_a_log_cut_anywhere_stands_up_to_its_last_whole_command(log: list[bytes], data: st.DataObject) -> None:
    """Whatever byte the file ends at: nothing whole is given up, and it counts as torn."""
    at = data.draw(st.integers(0, sum(map(len, log))))
    ends = [sum(map(len, log[:n])) for n in range(len(log) + 1)]
    good = max(end for end in ends if end <= at)

    assert (good, "" if at in ends else "torn") == damage.stands(b"".join(log)[:at])


def test_a_transaction_stands_as_a_whole_or_not_at_all() -> None:
    """Of MULTI ... without EXEC nothing is kept."""
    begun = FIRST + command(b"MULTI") + SECOND

    assert (len(FIRST), "torn") == damage.stands(begun)
    assert (len(begun + command(b"EXEC")), "") == damage.stands(begun + command(b"EXEC"))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (FIRST.replace(b"*3", b"*2"), "bad"),
        (FIRST.replace(b"$3", b"$x"), "bad"),
        (FIRST.replace(b"*3", b"*0"), "bad"),
        (FIRST.replace(b"$3", b"$4"), "bad"),
        (FIRST.replace(b"$1", b"$9999"), "bad"),
        (b"\0" * len(FIRST), "bad"),
        (b"garbage", "bad"),
    ],
)
def test_damage_before_other_writes_is_never_taken_for_a_torn_tail(broken: bytes, why: str) -> None:
    """A wrong length reaches past the end as a torn write does; but whole writes follow it."""
    assert (len(SECOND), why) == damage.stands(SECOND + broken + SECOND + SECOND)


def test_zeros_at_the_end_are_a_torn_tail() -> None:
    """A file system may leave them after a power cut."""
    assert (len(FIRST), "torn") == damage.stands(FIRST + b"\0" * 4000)


def test_an_annotation_is_no_damage() -> None:
    """Servers may write a time between commands."""
    log = b"#TS:1700000000\r\n" + FIRST

    assert (len(log), "") == damage.stands(log)
    assert (len(log), "torn") == damage.stands(log + b"#TS:17")


def test_a_log_stands_up_to_the_command_that_nobody_knows() -> None:
    """A changed name is well formed; the server tells which."""
    assert (len(FIRST), "bad") == damage.stands(FIRST + command(b"SEX", b"b", b"2") + SECOND, refused=b"SEX")


def test_a_sound_log_of_a_newer_server_is_not_called_damaged(tmp_path: Path) -> None:
    """Redis 7 says `Bad file format` of what Valkey 9 wrote; offering to set that aside would cost all of it."""
    base = tmp_path / damage.LOG / "appendonly.aof.1.base.rdb"
    base.parent.mkdir()
    said = f"Bad file format reading the append only file {base.name}: make a backup of your AOF file"
    base.write_bytes(b"VALKEY080")
    assert damage.foreign(tmp_path, said)

    base.write_bytes(b"XXLKEY080")
    assert not damage.foreign(tmp_path, said)
