"""Trials of new LoRAs: the votes since one began → evidence → it goes live, goes away, or the trial goes on.

Whoever calls: a worker's clock every few minutes, and `limen lora trials`. Saying it twice, or from two places at once,
is harmless: only a trial that is still on is decided.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from core import feedback
from core.errors import LimenError
from core.events import PersonaKey
from core.feedback import Verdict, Vote, standing
from core.jobs import BASE
from core.settings import Night
from core.store.keys import DAY
from core.store.ledger import Entry, Ledger
from core.store.loras import CARD, Fault, Loras, Serving, common
from core.text import shorten
from core.votes import polarity
from core.votes.polarity import Polarity
from core.votes.trial import LONGEST, Ballot, Decision, Evidence, Finding, decide, weigh
from worker.night.sight import Sight, shared

log = logging.getLogger("limen.worker")

KNOWN = 30 * DAY  # seconds before a trial from which voters are known, and how the live version was liked
STUCK = 6 * 3600.0  # seconds for which no worker could load a version, and then its trial is over
BATCH = 500  # replies that are read at once


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial as it stands: which version against which, since when, what was voted, and what follows from it.

    `live` is what the persona speaks with now: after a decision that was carried out, the winner.
    """

    persona: PersonaKey
    version: str
    against: str
    live: str
    began: float
    evidence: Evidence
    decision: Decision


async def judge_trials(
    loras: Loras, ledger: Ledger, night: Night, now: float, *, only: Collection[PersonaKey] | None = None,
    apply: bool = True,
) -> list[Trial]:  # fmt: skip
    """Look at every trial (or those of `only` some personas), and carry out what follows, unless only to look.

    A trial that cannot be judged does not keep the others waiting, and none the event loop: votes are read in a thread.
    Raises ConfigError for the operator's emoji; StoreError.
    """
    meanings, faults = polarity.load(night.polarity), {fault.version: fault for fault in await loras.faults()}
    judged, everyone = [], await loras.everyone()
    for persona, own in everyone.items():
        if own.canary and (only is None or persona in only):
            serving = await loras.spoken(persona, night.pool == "card")
            entries = await _entries(ledger, await _taking_part(ledger, persona, everyone), serving.began - KNOWN)
            fault = faults.get(serving.canary)
            trial = await asyncio.to_thread(_trial, persona, serving, entries, meanings, night, now, fault)
            judged.append(await _settled(loras, trial) if apply else trial)
    return judged


async def _taking_part(
    ledger: Ledger, persona: PersonaKey, everyone: Mapping[PersonaKey, Serving]
) -> list[PersonaKey]:  # fmt: skip
    """Whose replies tell of a trial: the persona's; of a card's common LoRA, those of all scopes that speak with it,
    which have nothing of their own, live or on trial."""
    if persona.scope != CARD:
        return [persona]
    own = {one: everyone.get(one, Serving()) for one in await ledger.personas() if common(one) == persona}
    return [one for one, serving in own.items() if serving.untaught and not serving.canary]


async def _entries(ledger: Ledger, personas: Iterable[PersonaKey], since: float) -> list[Entry]:
    """What these said in real talk, without the prompts, oldest first. What was said to files is the operator's look at
    it, and what was said elsewhere by none of ours."""
    found = []
    for one in personas:
        ids = await ledger.replies(one, since)
        for at in range(0, len(ids), BATCH):
            found += await ledger.outlines(ids[at : at + BATCH])
    talk = (entry for entry in found if entry.record.source == "chat")
    return sorted(talk, key=lambda entry: entry.record.time)


def _trial(
    persona: PersonaKey, serving: Serving, entries: Sequence[Entry], meanings: Polarity, night: Night, now: float,
    fault: Fault | None,
) -> Trial:  # fmt: skip
    evidence, days = weigh(*ballots(persona, serving, entries, meanings, night.weak_signals, now)), _days(serving, now)
    decision = decide(evidence, days, night.trial_days, alone=serving.share >= 1)
    if fault and decision.finding in (Finding.BETTER, Finding.GO_ON):
        late = days >= LONGEST * night.trial_days
        decision = _unloaded(fault, late or now - _lately(serving, entries, fault) >= STUCK)
    return Trial(
        persona=persona, version=serving.canary, against=serving.live, live=serving.live, began=serving.began,
        evidence=evidence, decision=decision,
    )  # fmt: skip


def _days(serving: Serving, now: float) -> float:
    return (now - serving.began) / DAY


def _lately(serving: Serving, entries: Sequence[Entry], fault: Fault) -> float:
    """Since when nobody at all could speak with what is on trial."""
    heard = [entry.record.time for entry in entries if entry.record.lora_version == serving.canary]
    return max(serving.began, fault.since, *heard)


def _unloaded(fault: Fault, over: bool) -> Decision:
    """What a worker cannot load does not go live; after some hours the live one goes on alone."""
    why = f"cannot be loaded: {shorten(fault.reason, 300)}"
    return Decision(Finding.OVER, f"over: {why}") if over else Decision(Finding.GO_ON, why)


def ballots(
    persona: PersonaKey, serving: Serving, entries: Sequence[Entry], meanings: Polarity, weak: float, now: float
) -> tuple[list[Ballot], list[Ballot]]:
    """The votes on replies that one of the two versions has given since the trial began, and those on replies of the
    live one from before. `entries`: oldest first.

    Other replies tell only how far people can be trusted.
    """
    sight = Sight(weak=bool(weak))
    for entry in entries:
        sight.add(entry)
    seen = sight.seen()
    many = persona.scope == CARD or shared(persona, seen)
    reading = feedback.read(seen, meanings, shared=many, now=now, weak=weak)
    ours = {
        entry.record.id: entry
        for entry in entries
        if entry.record.lora_version in ((serving.live, serving.canary) if _in(entry, serving) else (serving.live,))
    }
    cast = [
        (ours[verdict.reply], _ballot(ours[verdict.reply], vote, serving.canary, sight.groups[verdict.reply]))
        for verdict, vote in _votes(reading.verdicts)
        if verdict.reply in ours
    ]
    sides = ([one for entry, one in cast if _in(entry, serving) is side] for side in (True, False))
    beside, before = (_relative(side) for side in sides)
    return beside, before


def _in(entry: Entry, serving: Serving) -> bool:
    """Was it said during the trial?"""
    return entry.record.time >= serving.began


def _relative(cast: list[Ballot]) -> list[Ballot]:
    """What each counts beside the weightiest. For training nobody new counts much; both versions have the same voters,
    so that here only who counts more than others matters."""
    most = max((one.weight for one in cast), default=1.0)
    return [msgspec.structs.replace(one, weight=one.weight / most) for one in cast]


def _votes(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, Vote]]:
    return [(verdict, vote) for verdict in verdicts for vote in verdict.votes if vote.value and vote.weight > 0]


def _ballot(entry: Entry, vote: Vote, canary: str, session: str) -> Ballot:
    times = [fact.time for fact in standing(entry.facts) if fact.user == vote.user]
    return Ballot(
        tried=entry.record.lora_version == canary, liked=vote.value > 0, weight=vote.weight * abs(vote.value),
        time=max([entry.record.time, *times]), sitting=f"{vote.user} in {session}",
    )  # fmt: skip


async def _settled(loras: Loras, trial: Trial) -> Trial:
    """Do what follows. What the persona speaks with then."""
    if trial.decision.finding == Finding.GO_ON:
        return trial
    won = trial.decision.finding == Finding.BETTER
    try:
        live = await loras.settle(trial.persona, trial.version, won, f"trial: {trial.decision.why}")
    except LimenError as error:
        log.warning("the trial of %s could not be settled: %s", trial.version, error)
        return trial
    log.info("the trial of %s is over (%s); %s speaks with %s", trial.version, trial.decision.why, trial.persona, live)
    return msgspec.structs.replace(trial, live=trial.against if live == BASE else live)  # which may be the card's
