"""A night as one story: collect → split → train → gate → promote or reject → report. `Teacher.night` is all of it.

What is computed is computed in a thread; in between, the store is asked. Nothing that serves is touched before the last
step, which moves one pointer: whatever goes wrong before, the live persona is as it was.
"""

import asyncio
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from core.errors import LimenError, LoraError, StoreError
from core.events import PersonaKey
from core.feedback import Reading, Seen
from core.jobs import BASE
from core.nights import Manifest, Night, Outcome
from core.settings import Settings
from core.store.consents import Consents
from core.store.ledger import Ledger
from core.store.loras import CARD, Loras, Serving, common
from core.store.personalities import Personalities
from core.store.personas import Personas
from core.votes import polarity
from personas.card import Card
from worker import fetch
from worker.lora import files
from worker.lora import manifest as manifests
from worker.lora.basehash import base_hash
from worker.lora.check import base_names
from worker.lora.files import Weights, write
from worker.lora.keeping import clear_tainted, introduce, keep_night
from worker.lora.manifest import check_base
from worker.lora.store import LoraStore
from worker.model import load
from worker.night import leftovers, words
from worker.night.base import Base, prepare
from worker.night.draft import Draft
from worker.night.examples import Collected, Example, collect
from worker.night.pooling import together
from worker.night.reading import read
from worker.night.sight import shared
from worker.night.split import Split, split
from worker.night.study import Studied, grid, study
from worker.night.train import Recipe

log = logging.getLogger("limen.night")

UNSURE = "of the latest votes, too few are sure enough to judge by"


@dataclass(frozen=True)
class Tools:
    """What a night works with. Without `selves` nobody's learning is paused."""

    settings: Settings
    ledger: Ledger
    consents: Consents
    loras: Loras
    personas: Personas
    store: LoraStore
    selves: Personalities | None = None


@dataclass(frozen=True)
class Plan:
    """How nights are made. `day` is the operator's; `scheduled`: nobody waits for it; `live`: no trial first.

    `dry`: trained and judged, and nothing kept; `sweep`: a small grid of settings is tried on the same rows. `code`:
    which limen this is.
    """

    day: str
    dry: bool = False
    sweep: bool = False
    scheduled: bool = False
    live: bool = False
    seed: int = 0
    code: str = ""


class Due(msgspec.Struct, frozen=True):
    """A persona with something to learn: reactions that came since its last night, which is what it is ordered by."""

    persona: PersonaKey
    effective: float
    fresh: int


class Over(Exception):
    """A night ends here, and nothing was changed."""

    def __init__(self, outcome: Outcome, *reasons: str) -> None:
        super().__init__(*reasons)
        self.outcome, self.reasons = outcome, reasons


class Teacher:
    """Everybody's nights, over one copy of the base model, which is loaded when it is first needed."""

    def __init__(self, tools: Tools, plan: Plan, tell: Callable[[str, int, int], None] = lambda what, at, of: None):
        self._tools, self._plan, self._tell = tools, plan, tell

    async def due(self) -> list[Due]:
        """Who has something to learn, who has most first; a card's scopes before what each learns by itself."""
        fresh = await self._tools.ledger.fresh()
        if self._tools.settings.night.pool == "none":
            fresh = {persona: count for persona, count in fresh.items() if persona.scope != CARD}
        stale = [one.persona for one in await self._tools.loras.rebuild_due() if one.persona]
        found = {**dict.fromkeys(stale, 0), **fresh}
        order = sorted(found, key=lambda persona: (persona not in stale, persona.scope != CARD, -found[persona]))
        return [Due(persona, float(found[persona]), found[persona]) for persona in order]

    async def night(self, persona: PersonaKey) -> Night:
        """One persona's night. What it can name goes wrong in the outcome FAILED. Raises StoreError."""
        page = Draft(persona, self._plan.day, self._tools.settings, self._plan.seed)
        fresh = (await self._tools.ledger.fresh()).get(persona, 0)
        left = await asyncio.to_thread(leftovers.begun, self._kept(persona), fresh)
        page.asof = left or leftovers.Begun(page.began, fresh)
        if left:
            since = words.clock(left.time)
            page.notes.append(
                f"It was cut off before, and is about what was known then: what came since {since} waits."
            )
        try:
            await self._learn_and_judge(persona, page)
        except Over as over:
            page.end(over.outcome, *over.reasons)
        except StoreError:
            raise
        except LimenError as error:
            page.end(Outcome.FAILED, f"{error}.")
        except Exception:
            shutil.rmtree(self._kept(persona), ignore_errors=True)  # else it would break the next one, too
            raise
        shutil.rmtree(self._kept(persona), ignore_errors=True)  # also of a night that was killed
        if not self._plan.dry:
            if page.settled:
                await self._tools.ledger.learned(persona, page.asof.fresh)
            await self._clear_tainted(persona, page)
        return page.night()

    async def _learn_and_judge(self, persona: PersonaKey, page: Draft) -> None:
        serving = await self._fixed(persona)
        page.before = serving.live
        rows = (await self._collect(persona, page)).examples
        card = await self._card(rows, page)
        base = await asyncio.to_thread(lambda: self.base)
        parent, live = await self._weights(base, persona, serving, page)
        parts = await self._divided(rows, persona, live, page)
        people = leftovers.digest(person for one in parts.taught for person in one.people)
        begun = msgspec.structs.replace(page.asof, people=people)
        await asyncio.to_thread(leftovers.begin, self._kept(persona), begun)
        found = await asyncio.to_thread(
            study, base, card, parts, self._recipes(), live, parent, tell=self._tell, kept=self._kept(persona)
        )
        page.teach(found.learned, self._base_name)
        page.show(found.exam)
        page.judge(found.judgement)
        if found.judgement.outcome == Outcome.PROMOTED:
            await self._promote(persona, page, parts, found, parent, serving)

    # What there is to learn from.

    async def _fixed(self, persona: PersonaKey) -> Serving:
        """What serves now. Raises Over if it shall stay so."""
        serving = await self._tools.loras.serving(persona)
        if await self._is_paused(persona):
            raise Over(Outcome.PINNED, "Learning is paused; /resume in the chat lets it go on.")
        if serving.pinned:
            raise Over(Outcome.PINNED, f"It is pinned to {serving.live}; `limen lora pin --off` lets nights change it.")
        if serving.canary and self._plan.scheduled:
            raise Over(Outcome.WAITING, f"{serving.canary} is on trial, and the reactions to it decide first.")
        return serving

    async def _is_paused(self, persona: PersonaKey) -> bool:
        """Has somebody said `/pause learning`?"""
        selves = self._tools.selves
        return selves is not None and (await selves.read(persona)).state.paused

    async def _collect(self, persona: PersonaKey, page: Draft) -> Collected:
        """Its examples. Raises Over if they are too few."""
        found = await self._found(persona, page)
        page.count(found)
        needed, effective = self._tools.settings.night.least, found.effective
        if (missing := math.ceil(needed - effective)) > 0:
            said = f"{effective:.1f} of {needed:g} labels that it needs"
            raise Over(
                Outcome.NOT_ENOUGH, f"Not enough yet: {said}; {missing} {'are' if missing > 1 else 'is'} missing."
            )
        for kind, verb in ((True, "liked"), (False, "disliked")):
            if not any(one.liked == kind for one in found.examples):
                raise Over(Outcome.NOT_ENOUGH, f"Nobody {verb} anything, so there is nothing to tell apart.")
        return found

    async def _divided(self, rows: Sequence[Example], persona: PersonaKey, live: Weights | None, page: Draft) -> Split:
        """What learns and what judges. Raises Over if nothing can judge."""
        learned = await self._learned(live)
        parts = split(rows, learned)
        if parts.folds:
            parts = parts.judged_by((await self._found(persona, page, parts.known)).examples, learned)
            parts = parts if parts.folds else parts._replace(notes=[UNSURE])
        if not parts.folds:
            page.settled = True  # what came in can do no more than wait for others
            raise Over(Outcome.WAITING, f"{parts.notes[0][0].upper()}{parts.notes[0][1:]}.")
        page.divide(parts)
        return parts

    async def _found(self, persona: PersonaKey, page: Draft, known: Collection[str] | None = None) -> Collected:
        """Its examples; of a card, those of all its scopes."""
        keys = [persona] if persona.scope != CARD else await self._scopes(persona)
        pool = persona.scope == CARD
        founds = [await self._collected(key, pool=pool, page=page, known=known) for key in keys]
        return founds[0] if len(founds) == 1 else together(founds)

    async def _collected(
        self, persona: PersonaKey, pool: bool, page: Draft, known: Collection[str] | None
    ) -> Collected:  # fmt: skip
        """The examples of one scope. `known`: the replies on which votes may foretell others; None: all."""
        settings, now = self._tools.settings, page.asof.time
        rated = self._tools.ledger.kept.rated
        lasting = now - rated + min(leftovers.LEFT_FOR, rated / 20)  # the oldest may go before this is gone on from
        meanings = polarity.load(settings.night.polarity)

        def read_all(seen: Sequence[Seen]) -> Reading:
            weak = settings.night.weak_signals
            return read(seen, meanings, shared=shared(persona, seen), now=now, weak=weak, known=known)

        return await collect(
            self._tools.ledger, self._tools.consents, persona, read_all, now=now,
            half_life_days=settings.retention.half_life_days, weak=settings.night.weak_signals > 0, pool=pool,
            since=lasting, until=now,
        )  # fmt: skip

    async def _scopes(self, pooled: PersonaKey) -> list[PersonaKey]:
        """All personas of a card on one bot account that learn."""
        keys = [key for key in await self._tools.ledger.personas() if common(key) == pooled and key != pooled]
        return [key for key in keys if not await self._is_paused(key)]

    async def _card(self, rows: Sequence[Example], page: Draft) -> Card:
        """The card as it was when it last spoke. Raises Over if it is gone, or shall not grow."""
        latest = max(rows, key=lambda one: one.time)
        entry = await self._tools.ledger.get(latest.reply)
        card = await self._tools.personas.card(entry.record.card_hash) if entry else None
        if card is None:
            card = Card(name=page.persona.card, title=page.persona.card.capitalize(), description="…")
        if not card.evolves:
            raise Over(Outcome.PINNED, "Its card says that it does not evolve.")
        page.title = card.title
        return card

    async def _learned(self, live: Weights | None) -> tuple[str, ...]:
        """The replies that a version has learned from; of one that was brought by hand nothing is known."""
        if live is None:
            return ()
        manifest = await asyncio.to_thread(lambda: manifests.read(self._tools.store.folder(live.version)))
        return manifest.rows if manifest else ()

    async def _weights(
        self, base: Base, persona: PersonaKey, serving: Serving, page: Draft
    ) -> tuple[Weights | None, Weights | None]:
        """(what it begins with: the card's LoRA if its scopes learn together; what serves now); None is the base."""
        pooled = common(persona)
        parent = None
        if self._tools.settings.night.pool == "card" and persona != pooled:
            theirs = (await self._tools.loras.serving(pooled)).live
            parent = await asyncio.to_thread(self._read, base, theirs, page)
            if serving.untaught:
                page.before = theirs
                return parent, parent
        return parent, await asyncio.to_thread(self._read, base, serving.live, page)

    def _read(self, base: Base, version: str, page: Draft) -> Weights | None:
        """A version's weights; None for the base, and for one that cannot be read: then the base is what we compare,
        and the page says so."""
        if version == BASE:
            return None
        try:
            folder = self._tools.store.folder(version)
            check_base(folder, self._folder)
            return files.read(folder, base.shape, version)
        except LoraError as error:
            log.warning("%s is set aside: %s", version, error)
            page.notes.append(f"{version} is set aside, and the base is what the new one is compared with: {error}.")
            return None

    # Learning.

    @cached_property
    def base(self) -> Base:
        """The model. Raises ModelError, LoraError."""
        settings = self._tools.settings
        threads = settings.night.threads or settings.model.threads
        model = msgspec.structs.replace(settings.model, quantize="none", threads=threads)
        loaded = load(msgspec.structs.replace(settings, model=model))
        return prepare(loaded, self._names, settings.lora.targets, settings.lora.rank)

    @cached_property
    def _folder(self) -> Path:
        settings = self._tools.settings
        return fetch.obtain(settings.model.ref, settings.model.fallback, settings.worker.cache)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return base_names(self._tools.settings, self._folder)

    @cached_property
    def _base_hash(self) -> str:
        return base_hash(self._folder)

    @property
    def _base_name(self) -> str:
        return self._names[0]

    def _recipes(self) -> list[Recipe]:
        """How to learn: as the settings say, or in several ways, of which the best is kept."""
        night = self._tools.settings.night
        usual = Recipe(
            rate=night.rate, beta=night.beta, anchor=night.anchor, kl=night.kl, depth=night.depth,
            passes=night.passes, practice=night.practice, seed=self._plan.seed,
        )  # fmt: skip
        return grid(usual) if self._plan.sweep else [usual]

    def _kept(self, persona: PersonaKey) -> Path:
        """Where a training that was ended in the middle lies."""
        return leftovers.folder(self._tools.settings.home, persona)

    # What becomes of it.

    async def _clear_tainted(self, persona: PersonaKey, page: Draft) -> None:
        """Delete the files that somebody was forgotten by. They serve no more, so if they cannot be deleted now, that
        changes nothing of how the night ended. Raises StoreError."""
        try:
            await clear_tainted(self._tools.store, self._tools.loras, persona)
        except StoreError:
            raise
        except (LimenError, OSError) as error:
            log.warning("files of %s that somebody was forgotten by are still there: %s", persona, error)
            said = "Files that hold what was forgotten serve no more, but could not be deleted; the next night tries"
            page.notes.append(f"{said} again: {error}.")

    async def _promote(
        self, persona: PersonaKey, page: Draft, parts: Split, found: Studied, parent: Weights | None, serving: Serving,
    ) -> None:  # fmt: skip
        """Into the store, and then on trial, or live at once."""
        if self._plan.dry:
            page.end(Outcome.DRY_RUN, *found.judgement.reasons)
            return
        rows = parts.taught
        manifest = Manifest(
            version="", persona=str(persona), night=page.id, made=time.time(), base=self._base_name,
            base_hash=self._base_hash, rows=tuple(one.reply for one in rows),
            people=tuple(sorted({person for one in rows for person in one.people})), seed=page.seed,
            code=self._plan.code, parent=parent.version if parent else "", settings=page.settings,
            scores=found.judgement.scores,
        )  # fmt: skip
        tools, share = self._tools, 0.0 if self._plan.live else self._tools.settings.night.canary
        with tempfile.TemporaryDirectory(prefix="limen-night-") as place:
            folder = Path(place) / "lora"
            await asyncio.to_thread(write, folder, found.learned.weights, self._base_name)
            kept = await keep_night(tools.store, tools.loras, tools.ledger, persona, page.day, folder, manifest)
        page.version, page.settled = kept.version, False  # unless it may speak, what came in is learned again
        page.end(await introduce(tools.loras, persona, kept.version, share, serving), *found.judgement.reasons)
        page.settled = True
