"""Both ends of the queue: bots accept and cancel, workers claim, publish, complete. The rules are in `queue.lua`.

Knows jobs and results as msgpack; knows nothing of prompts or platforms. Delivery is at least once up to a worker,
and exactly once out of it: completing needs the fence of the lease, and takes effect together with what follows
from the reply (history, ledger, the stream back).
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from importlib.resources import files

import msgspec

from core.errors import StaleLease
from core.jobs import Chunk, Done, Generate, Job, Lane, Result
from core.store import keys
from core.store.client import Client, Effect, Value

SCRIPT = files("core.store").joinpath("queue.lua").read_text()
ACCEPT = "#!lua\n" + SCRIPT  # refused as a whole while Redis is out of memory
ON = "#!lua flags=allow-oom\n" + SCRIPT  # what was accepted goes on even then: it is what makes room
_encode = msgspec.msgpack.Encoder().encode
_job = msgspec.msgpack.Decoder(Job).decode
_added = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_result: Callable[[bytes], Result] = msgspec.msgpack.Decoder(Result).decode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and timings of the queue. Times in seconds.

    `depth`: jobs that may wait in each lane; `line`: in one conversation, and events in one job. `floor`: the share of
    claims that background jobs get at least while people wait too, 0 to 0.5. `keep`: lines of talk per conversation.
    """

    depth: int = 1000
    line: int = 20
    attempts: int = 3
    lease: float = 15.0
    retry: float = 2.0
    floor: float = 0.125
    keep: int = 2000

    def wire(self) -> dict[str, int]:
        """As `queue.lua` wants them."""
        return {
            "depth": self.depth,
            "line": self.line,
            "attempts": self.attempts,
            "keep": self.keep,
            "seen": keys.SEEN_FOR,
        }


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A line of talk for a conversation to keep: `body` is msgpack; `index`: (set key, member) pairs to note it in."""

    conversation: str
    id: str
    body: bytes
    index: tuple[str, ...] = ()


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many answers in any `window` (seconds): they are counted under `key`.

    With `told`, a key, people are to be told when it is reached, once in the window, by this `note`.
    """

    key: str
    most: int
    window: float
    told: str = ""
    note: str = ""


class Turns(msgspec.Struct, frozen=True):
    """At most so many answers until the count under `key` is reset."""

    key: str
    most: int


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What a new job has to pass; what joins one that waits is let through. Only what is queued is counted.

    `alone`: only if nothing is to be said in its conversation, and nothing has been since this time (seconds UTC).
    """

    bounds: tuple[Bound, ...] = ()
    turns: Turns | None = None
    alone: float | None = None


class Stop(msgspec.Struct, frozen=True):
    """Cancel the jobs of a conversation: all, or those that answer this author."""

    conversation: str
    author: str = ""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One event for the store: dedupe by `seen`, keep `line`, queue `job` if `gate` lets it. `merge`, `delay` in s.

    With `stop` the job is queued only if there was nothing to stop. `reset` is the key of a count of `Turns` that
    begins anew with it.
    """

    seen: str = ""
    line: Heard | None = None
    job: Generate | None = None
    merge: float = 0.0
    delay: float = 0.0
    gate: Gate | None = None
    stop: Stop | None = None
    reset: str = ""


class What(StrEnum):
    """What became of an offer."""

    SEEN = "seen"
    HEARD = "heard"
    QUEUED = "queued"
    MERGED = "merged"
    FULL = "full"
    OVER = "over"
    STOPPED = "stopped"


_answers = msgspec.msgpack.Decoder(list[tuple[What, str, float]]).decode


class Accepted(msgspec.Struct, frozen=True):
    """`job` is the one that will answer. `place`: as `Queue.place`; for FULL, how many wait already.

    OVER: a bound of the gate is reached. `place` says which (from 1) if people are to be told of it, else 0.

    SEEN names the job that the event went to when it was first told, if there was one: whoever lost that answer has
    it here.
    """

    what: What
    job: str = ""
    place: int = 0


class Claim(msgspec.Struct, frozen=True):
    """A job in a worker's hands: nobody else's until its lease ends. `fence` proves it."""

    job: Generate
    fence: int
    attempt: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A job that failed for good. `died` in seconds UTC."""

    job: Generate
    reason: str
    attempts: int
    died: float


class View(msgspec.Struct, frozen=True):
    """A conversation, and the one that it is to become. `mark` says whether both are still as they were seen.

    Of the old one: its jobs, each with the events that joined it; its lines (id, position, body), in order. `first` is
    the position of the new one's first line; `about`: what is known of each (`core/store/conversations.py`).
    """

    old: str
    new: str
    mark: str
    jobs: tuple[tuple[Generate, tuple[str, ...]], ...]
    lines: tuple[tuple[str, float, bytes], ...]
    about: dict[str, str]
    first: float
    about_new: dict[str, str]


class Depths(msgspec.Struct, frozen=True):
    """The queue in numbers, for `limen status`."""

    live: int
    background: int
    conversations: int
    delayed: int
    leased: int
    dead: int


class Queue:
    """The queue of one Redis. Every method raises StoreError when Redis cannot be reached."""

    def __init__(self, client: Client, limits: Limits | None = None) -> None:
        self._client = client
        self.limits = limits or Limits()
        self._wire = _encode(self.limits.wire())

    async def _run(self, op: str, *args: Value) -> object:
        return await self._client.script(ACCEPT if op == "accept" else ON, [keys.QUEUE.pattern], [op, *args])

    # What bots call.

    async def accept(self, offers: Sequence[Offer]) -> list[Accepted]:
        """Take a batch of events in one round trip. Saying it twice is harmless where offers carry `seen`."""
        bodies: list[bytes] = []
        batch = _encode([_offer(offer, bodies) for offer in offers])
        answer = await self._run("accept", batch, self._wire, *bodies)
        assert isinstance(answer, bytes)
        return [Accepted(what, job, int(place)) for what, job, place in _answers(answer)]

    async def seen(self, seen: str) -> bool:
        """Was an offer with this `seen` taken before?"""
        return bool(await self._client.do("EXISTS", seen))

    async def submit(self, job: Generate, merge: float = 0.0, delay: float = 0.0) -> Accepted:
        """Queue one job. Saying it twice is harmless for as long as the job is not done."""
        return (await self.accept([Offer(job=job, merge=merge, delay=delay)]))[0]

    async def cancel(self, job: str) -> str:
        """Stop a job: `waiting` (it is gone), `running` (its worker stops within a token) or `gone`."""
        return _text(await self._run("cancel", job))

    async def place(self, job: str) -> int:
        """How many answers are due before this job's, itself included; 0 while it is answered, -1: no such job."""
        answer = await self._run("place", job)
        assert isinstance(answer, int)
        return answer

    async def jobs(self, conversation: str) -> list[str]:
        """Ids of a conversation's jobs, the one in flight first."""
        answer = await self._run("jobs", conversation)
        assert isinstance(answer, list)
        return [_text(job) for job in answer]

    # What workers call.

    async def claim(self, worker: str, most: int) -> tuple[list[Claim], float]:
        """Up to `most` jobs, and the seconds until something falls due by itself (-1: nothing will)."""
        floor = int(1 / self.limits.floor) if self.limits.floor > 0 else 0
        answer = await self._run("claim", worker, most, int(self.limits.lease * 1000), floor)
        assert isinstance(answer, list)
        due, rows = answer
        claims = []
        for job, fence, attempt, payload, more in rows:
            try:
                claims.append(Claim(_whole(payload, more), int(fence), int(attempt)))
            except msgspec.MsgspecError:  # of another version; the jobs beside it must not suffer
                await self._run("fail", job, fence, 0, "this version of limen cannot read the job", 1)
        return claims, due / 1000 if due >= 0 else -1.0

    async def bell(self, seconds: float) -> bool:
        """Wait until there may be something to claim."""
        return await self._client.wait_for(keys.BELL.pattern, seconds)

    async def beat(self, claims: Sequence[Claim]) -> list[str]:
        """Keep these leases. For each: `held`, `cancel` (somebody wants it stopped) or `stale` (no longer ours)."""
        answer = await self._run("beat", int(self.limits.lease * 1000), *_fences(claims))
        assert isinstance(answer, list)
        return [_text(word) for word in answer]

    async def publish(self, claim: Claim, chunk: Chunk) -> str:
        """Pass partial text on. `held`, `cancel` or `stale`, as `beat`."""
        carrier = keys.CARRIER(claim.job.replies)
        return _text(await self._run("publish", claim.job.id, claim.fence, _encode(chunk), carrier))

    async def complete(self, claim: Claim, done: Done, effects: Iterable[Effect] = ()) -> None:
        """The whole reply, and every write that follows from it, at once or not at all. Raises StaleLease."""
        (heard,) = await self.complete_all([(claim, done, effects)])
        if not heard:
            raise StaleLease(f"job {claim.job.id} was handed on")

    async def complete_all(self, ends: Iterable[tuple[Claim, Done, Iterable[Effect]]]) -> list[bool]:
        """Several replies with what follows from each, in one round trip. For each: False if its lease was lost."""
        words: list[Value] = []
        for claim, done, effects in ends:
            commands = list(effects)
            words += (claim.job.id, claim.fence, _encode(done), len(commands))
            words += [word for command in commands for word in (len(command), *command)]
        answer = await self._run("complete", *words) if words else []
        assert isinstance(answer, list)
        return [heard == 1 for heard in answer]

    async def fail(self, claim: Claim, reason: str, final: bool = False) -> str:
        """It did not work: try again later, or (no attempts left, or `final`) lay it with the dead letters.

        `waiting`, `dead`, `gone` (it was to be cancelled anyway) or `stale` (no longer ours).
        """
        delay = self.limits.retry * 2 ** (claim.attempt - 1)
        said = reason.encode(errors="replace")  # it may quote anything
        return _text(await self._run("fail", claim.job.id, claim.fence, int(delay * 1000), said, int(final)))

    async def release(self, claims: Sequence[Claim]) -> int:
        """Give jobs back, first in their lines; this attempt does not count. How many were still ours."""
        answer = await self._run("release", *_fences(claims)) if claims else 0
        assert isinstance(answer, int)
        return answer

    async def disown(self, workers: Sequence[str]) -> int:
        """Take from workers known to be dead what they held, without waiting for the lease."""
        answer = await self._run("disown", *workers) if workers else 0
        assert isinstance(answer, int)
        return answer

    async def holders(self) -> set[str]:
        """Names of the workers that hold a lease now."""
        held = await self._client.do("ZRANGE", keys.LEASES.pattern, 0, -1)
        names = await self._client.do_all([("HGET", keys.JOB(job.decode()), "worker") for job in held], atomic=False)
        return {name.decode() for name in names if name}

    # What operators call.

    async def depths(self) -> Depths:
        """The queue in numbers."""
        waiting, live, background, delayed, leased, dead = await self._client.do_all(
            [
                ("HMGET", keys.DEPTH.pattern, *Lane),
                *(("ZCARD", keys.READY(lane)) for lane in Lane),
                *(("ZCARD", key.pattern) for key in (keys.DELAYED, keys.LEASES, keys.DEAD)),
            ]
        )
        return Depths(int(waiting[0] or 0), int(waiting[1] or 0), live + background, delayed, leased, dead)

    async def dead(self, most: int = 1000) -> list[DeadLetter]:
        """The dead letters, oldest first."""
        ids = [job.decode() for job in await self._client.do("ZRANGE", keys.DEAD.pattern, 0, most - 1)]
        fields = ("payload", "more", "reason", "attempts", "died")
        rows = await self._client.do_all([("HMGET", keys.JOB(job), *fields) for job in ids], atomic=False)
        return [
            DeadLetter(_whole(payload, more), reason.decode(), int(attempts), int(died) / 1000)
            for payload, more, reason, attempts, died in rows
            if died
        ]

    async def get(self, job: str) -> Generate | None:
        """A job that waits, runs or is dead; None if there is no such job."""
        payload, more = await self._client.do("HMGET", keys.JOB(job), "payload", "more")
        return _whole(payload, more) if payload else None

    async def all(self) -> list[Generate]:
        """Every job that waits, runs or is dead, in no order."""
        names = await self._client.scan(keys.JOB("*"))
        jobs = [await self.get(name.removeprefix(keys.JOB(""))) for name in names]
        return [job for job in jobs if job]

    async def requeue(self, jobs: Sequence[str]) -> int:
        """Give dead letters another set of attempts. How many there were."""
        answer = await self._run("requeue", *jobs) if jobs else 0
        assert isinstance(answer, int)
        return answer

    async def drop(self, job: str, running: bool = False) -> bool:
        """Forget a waiting or dead job (or a `running` one) without a word; what its worker makes of it is lost."""
        return bool(await self._run("drop", job, int(running)))

    async def recall(self, job: str) -> bool:
        """Let a running job begin anew: what its worker was told no longer holds. False if it does not run."""
        return bool(await self._run("recall", job))

    # What moves a conversation.

    async def view(self, old: str, new: str) -> View:
        """Two conversations as they are now, for `move`."""
        answer = await self._run("view", *_both(old, new))
        assert isinstance(answer, list)
        mark, (jobs, order, lines, about, later, _, about_new) = answer
        bodies, known = dict(_pairs(lines)), {name: _pairs(of) for name, of in (("old", about), ("new", about_new))}
        return View(
            old, new, _text(mark),
            tuple((_job(payload), _added(more) if more else ()) for _, payload, more in jobs),
            tuple((line.decode(), float(score), bodies.get(line, b"")) for line, score in _pairs(order)),
            {field.decode(): value.decode() for field, value in known["old"]},
            float(later[1]) if later else 0.0,
            {field.decode(): value.decode() for field, value in known["new"]},
        )  # fmt: skip

    async def move(
        self, view: View, jobs: Sequence[tuple[Generate, tuple[str, ...]]], effects: Sequence[Effect]
    ) -> bool:
        """Let a conversation go on as the other one, with these jobs. False, and nothing done, if the view is old."""
        words: list[Value] = [*_both(view.old, view.new), view.mark, len(jobs)]
        for job, more in jobs:
            words += (job.id, _encode(job), _encode(more) if more else "")
        words.append(len(effects))
        words += [word for command in effects for word in (len(command), *command)]
        return bool(await self._run("move", *words))


def decode_result(body: bytes) -> Result:
    """One entry of a replies stream."""
    return _result(body)


FIRST_BODY = 4  # the place in ARGV of the first body that `accept` passes


def _offer(offer: Offer, bodies: list[bytes]) -> dict[str, object]:
    wire: dict[str, object] = {}
    if offer.seen:
        wire["seen"] = offer.seen
    if offer.line:
        wire["line"] = _heard(offer.line, _put(bodies, offer.line.body))
    if offer.job:
        wire["job"] = _submission(offer.job, _put(bodies, _encode(offer.job)), offer.merge, offer.delay)
    if offer.job and offer.gate:
        wire["gate"] = _gate(offer.gate, offer.job.conversation)
    if offer.stop:
        author = {"author": offer.stop.author} if offer.stop.author else {}
        wire["stop"] = {"conv": offer.stop.conversation} | author
    if offer.reset:
        wire["reset"] = offer.reset
    return wire


def _gate(gate: Gate, conversation: str) -> dict[str, object]:
    wire: dict[str, object] = {"bounds": [_bound(bound) for bound in gate.bounds]}
    if gate.turns:
        wire["turns"] = {"key": gate.turns.key, "most": gate.turns.most}
    if gate.alone is not None:
        wire |= {"about": keys.TALK(conversation), "time": gate.alone}
    return wire


def _bound(bound: Bound) -> dict[str, object]:
    wire: dict[str, object] = {"key": bound.key, "most": bound.most, "window": int(bound.window * 1000)}
    return wire | {"told": bound.told} if bound.told else wire


def _put(bodies: list[bytes], body: bytes) -> int:
    bodies.append(body)
    return FIRST_BODY + len(bodies) - 1


def _heard(line: Heard, body: int) -> dict[str, object]:
    talk = line.conversation
    return {
        "order": keys.ORDER(talk),
        "lines": keys.LINES(talk),
        "seq": keys.SEQUENCE(talk),
        "id": line.id,
        "body": body,
        "index": line.index,
    }


def _submission(job: Generate, payload: int, merge: float, delay: float) -> dict[str, object]:
    return {
        "id": job.id,
        "conv": job.conversation,
        "lane": job.lane,
        "author": job.author.id,
        "events": job.events,
        "replies": keys.REPLIES(job.replies),
        "payload": payload,
        "merge": int(merge * 1000),
        "delay": int(delay * 1000),
    }


def _whole(payload: bytes, more: bytes | None) -> Generate:
    """A job with the events that joined it while it waited."""
    job = _job(payload)
    return msgspec.structs.replace(job, events=job.events + _added(more)) if more else job


def _fences(claims: Sequence[Claim]) -> list[str | int]:
    return [word for claim in claims for word in (claim.job.id, claim.fence)]


def _both(old: str, new: str) -> list[str]:
    return [old, new, *(key(talk) for talk in (old, new) for key in (keys.ORDER, keys.LINES, keys.TALK))]


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _text(answer: object) -> str:
    assert isinstance(answer, bytes)
    return answer.decode()
