"""A night as a page that people would rather look at than read; `plain` is the terminal's, `note` the morning's.

Pure: a Night goes in, text comes out. The page is one file without scripts that asks nothing of any network. All of a
night's own words are escaped, for a persona may well have said `<script>`.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template

from core.jobs import BASE
from core.nights import Check, Count, Night, Outcome, Point, Ratings, Rows, Sample, Shift, Tried
from core.text import clean
from worker.night import words
from worker.night.charts import Series, emblem, lines, shift
from worker.night.note import note
from worker.night.plain import plain

__all__ = ["note", "page", "plain"]

SAMPLES = 4  # shown at once; the others are folded
PEOPLE = 12  # named one by one; the others as one
KINDS = 12  # of unknown emoji, and of reasons for a refusal
NIGHTS = 60  # in the strip of earlier ones
LONG = 700  # characters of a reply before it is folded
TOO_LONG = 20_000  # characters of a reply after which the page stops
ALIKE = 0.5  # two replies that share less are not worth comparing word by word
COMPARED = 400  # words at most, for comparing grows with their square
NOWHERE = '<span class="soft">none</span>'
TICK, CROSS = '<path d="m1.5 6.5 3 3 6-7"/>', '<path d="m2 2 8 8m0-8-8 8"/>'


def page(night: Night, previous: Sequence[Night] = ()) -> str:
    """The whole page, as one HTML document. `previous`: earlier nights of the same persona, in any order."""
    parts = (
        _decision(night),
        "<main>",
        _samples(night.samples),
        _voice(night.voice),
        _gate(night.checks),
        _ratings(night.ratings),
        _people(night.ratings.people),
        _training(night.curve, night.rows),
        _tried(night.tried),
        _notes(night.notes),
        _history([*_earlier(night, previous), night]),
        _made(night),
        "</main>",
    )
    title = f"{night.title}: {words.VERDICTS[night.outcome].lower()}, {words.date(night.day)}"
    return _template().substitute(title=_text(title), body="\n".join(part for part in parts if part))


@cache
def _template() -> Template:
    return Template(resources.files(__package__).joinpath("report.html").read_text("utf-8"))


def _text(value: str) -> str:
    """Somebody's words, fit to stand in HTML, quoted or not."""
    return escape(clean(value))


def _section(name: str, inside: str, hint: str = "") -> str:
    below = f'<p class="soft small">{hint}</p>' if hint else ""
    return f'<section><div class="head"><h2>{name}</h2>{below}</div><div>{inside}</div></section>'


def _list(rows: Iterable[str], kind: str) -> str:
    items = "".join(f'<li dir="auto">{_text(row)}</li>' for row in rows)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


# The decision


def _decision(night: Night) -> str:
    return f"""<header>
<h1><bdi>{_text(night.title)}</bdi></h1>
<p class="soft">Night of {_text(words.date(night.day))} · {_text(words.place(night.persona))}</p>
<div class="verdict"><h2>{words.VERDICTS[night.outcome]}</h2>{emblem(night.outcome)}</div>
<p class="lead">{_text(words.verdict(night))}</p>
{_list(night.reasons, "reasons")}
</header>"""


# Before and after


def _samples(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    shown = "".join(map(_sample, samples[:SAMPLES]))
    rest = samples[SAMPLES:]
    if rest:
        shown += f'<details class="gap"><summary>{len(rest)} more</summary>{"".join(map(_sample, rest))}</details>'
    return _section("How it answers", shown, "The same question, to the voice of before and to the new one.")


def _sample(sample: Sample) -> str:
    return f"""<div class="sample"><p class="asked" dir="auto">{_text(sample.prompt[:TOO_LONG])}</p><div class="pair">
<div><h3 class="old-key">Before</h3>{_said(_text(sample.before[:TOO_LONG]), sample.before)}</div>
<div><h3 class="new-key">After</h3>{_said(_compared(sample.before, sample.after[:TOO_LONG]), sample.after)}</div>
</div></div>"""


def _said(marked: str, said: str) -> str:
    """A reply, folded where it is long."""
    if not said.strip():
        return '<p class="soft said">(silence)</p>'
    if len(said) <= LONG:
        return f'<blockquote class="said" dir="auto">{marked}</blockquote>'
    cut = f"{_text(said[:LONG].rstrip())}…"
    over = f" The first {TOO_LONG:,} of them." if len(said) > TOO_LONG else ""
    return f"""<blockquote class="said" dir="auto">{cut}</blockquote>
<details><summary>All {len(said):,} characters.{over}</summary>
<blockquote class="said" dir="auto">{marked}</blockquote></details>"""


def _compared(before: str, after: str) -> str:
    """`after`, with what is new in it marked, if the two are alike at all."""
    old, new = (re.findall(r"\S+\s*", text) for text in (before, after))
    if not old or max(len(old), len(new)) > COMPARED:
        return _text(after)
    match = difflib.SequenceMatcher(None, [word.strip() for word in old], [word.strip() for word in new], False)
    if match.ratio() < ALIKE:
        return _text(after)
    runs = [("".join(new[first:last]), kind) for kind, _, _, first, last in match.get_opcodes()]
    return "".join(_text(run) if kind == "equal" else _mark(run) for run, kind in runs if run)


def _mark(run: str) -> str:
    """Without the space at its end, which would be underlined."""
    kept = run.rstrip()
    return f"<mark>{_text(kept)}</mark>{run[len(kept) :]}"


# What changed in the voice


def _voice(shifts: Sequence[Shift]) -> str:
    if not shifts:
        return ""
    rows = "".join(map(_shift, shifts))
    table = f"""<table><thead><tr><th scope="col">Counted</th>
<th scope="col" class="figure">Before</th><th scope="col" class="figure">After</th>
<th scope="col" class="figure">Change</th></tr></thead><tbody>{rows}</tbody></table>"""
    return _section("How the voice changed", table, "From the hollow dot to the full one. Each row has its own scale.")


def _shift(one: Shift) -> str:
    return f"""<tr><th scope="row"><div class="drawn"><span dir="auto">{_text(one.name)}</span>
{shift(one.before, one.after)}</div></th>
<td class="figure soft">{words.number(one.before)}</td><td class="figure">{words.number(one.after)}</td>
<td class="figure soft">{words.change(one.before, one.after)}</td></tr>"""


# The gate


def _gate(checks: Sequence[Check]) -> str:
    if not checks:
        return ""
    failed = sum(not check.passed for check in checks)
    hint = f"{failed} of {len(checks)} checks failed." if failed else f"All {len(checks)} checks hold."
    table = f"""<table><thead><tr><th scope="col">Check</th>
<th scope="col" class="figure">Measured<span class="below">must be</span></th>
<th scope="col" class="bound">Must be</th><th scope="col">Result</th></tr></thead>
<tbody>{"".join(map(_check, checks))}</tbody></table>"""
    return _section("The gate", table, hint)


def _check(check: Check) -> str:
    why = f'<span class="why" dir="auto">{_text(check.why)}</span>' if check.why else ""
    kind, word, drawn = ("holds", "holds", TICK) if check.passed else ("fails", "fails", CROSS)
    sign = f'<svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">{drawn}</svg>'
    return f"""<tr><th scope="row"><span dir="auto">{_text(check.name)}</span>{why}</th>
<td class="figure">{words.measured(check)}<span class="below">{_text(check.bound)}</span></td>
<td class="bound" dir="auto">{_text(check.bound)}</td>
<td class="state {kind}">{sign}{word}</td></tr>"""


# What came in


def _ratings(ratings: Ratings) -> str:
    figures = {
        "reactions": f"{ratings.reactions:,}",
        "replies rated": f"{ratings.replies:,}",
        "people": f"{ratings.voters:,}",
        "liked": words.percent(words.liked_share(ratings)) if ratings.liked + ratings.disliked else "–",
    }
    first = "".join(f"<div><dt>{name}</dt><dd>{figure}</dd></div>" for name, figure in figures.items())
    bars = f'<div class="two">{_labels(ratings)}{_likes(ratings)}</div>'
    odd = _chips("Emoji that mean nothing yet", ratings.unknown) + _chips("Not used, and why", ratings.refused)
    below = f'<div class="two gap">{odd}</div>' if odd else ""
    return _section("What came in", f'<dl class="figures">{first}</dl>{bars}{below}')


def _labels(ratings: Ratings) -> str:
    """How many labels there are, against how many it takes."""
    if not (math.isfinite(ratings.effective) and math.isfinite(ratings.needed)):
        return f"<div><h3>Effective labels</h3><p>{words.NO_NUMBER}</p></div>"
    whole = max(ratings.effective, ratings.needed) * (1 if ratings.effective < ratings.needed else 1.04) or 1
    goal = 100 * ratings.needed / whole
    end = " end" if goal > 80 else ""
    needed = f"{words.number(ratings.needed)} needed"
    mark = f'<b style="left:{goal:.1f}%"></b><span class="needed{end}" style="left:{goal:.1f}%">{needed}</span>'
    short = f" {words.missing(ratings)} more to go." if words.missing(ratings) else ""
    return f"""<div><h3>{words.number(ratings.effective)} effective labels</h3><div class="goal">
{_bar([ratings.effective / whole], "tall")}{mark if ratings.needed > 0 else ""}</div>
<p class="soft small">What the votes are worth together, after trust and age.{short}</p></div>"""


def _likes(ratings: Ratings) -> str:
    judged = ratings.liked + ratings.disliked
    if not judged:
        return '<div><h3>Nothing was liked or disliked</h3><p class="soft small">No emoji had a meaning.</p></div>'
    liked = ratings.liked / judged
    return f"""<div><h3>{judged:,} judged</h3>{_bar([liked, 1 - liked], "tall")}
<p class="keys"><span>{ratings.liked:,} liked</span><span>{ratings.disliked:,} disliked</span></p></div>"""


def _bar(parts: Sequence[float], kind: str = "") -> str:
    """Parts of a whole, each 0 to 1, side by side. The figures stand beside it, so it is not read out."""
    colours = ("", ' class="other"', ' class="third"')
    inside = "".join(
        f'<i{colour} style="width:{100 * min(1.0, max(0.0, part)):.1f}%"></i>'
        for part, colour in zip(parts, colours, strict=False)
        if math.isfinite(part)
    )
    return f'<span class="bar {kind}" aria-hidden="true">{inside}</span>'


def _chips(name: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    rows, others = words.ranked(counts, KINDS)
    chips = [f"{key} × {count:,}" for key, count in rows]
    if others:
        chips.append(f"{len(others):,} more kinds × {sum(others):,}")
    return f"<div><h3>{name}</h3>{_list(chips, 'chips')}</div>"


# Who counted how much


def _people(people: tuple[Count, ...]) -> str:
    if not people:
        return ""
    named, rest = words.weightiest(people, PEOPLE)
    most = max((one.share for one in named if math.isfinite(one.share)), default=0.0) or 1.0
    rows = "".join(_person(one, words.who(one.user), most) for one in named)
    if rest:
        rows += _person(rest, rest.user, most, together=True)
    table = f"""<table><thead><tr><th scope="col">Person</th><th scope="col" class="figure">Votes</th>
<th scope="col" class="figure">Liked</th><th scope="col">Trust</th><th scope="col">Share of the night</th></tr></thead>
<tbody>{rows}</tbody></table>"""
    return _section("Who counted how much", table, "Trust grows with agreeing with others. Shares are capped.")


def _person(one: Count, name: str, most: float, together: bool = False) -> str:
    notes = "".join(f'<span class="why" dir="auto">{_text(note)}</span>' for note in one.notes)
    share = "" if together else _bar([one.share / most])
    return f"""<tr{' class="rest"' if together else ""}><th scope="row"><bdi>{_text(name)}</bdi>{notes}</th>
<td class="figure">{one.votes:,}</td><td class="figure">{one.likes:,}</td>
<td><div class="measure">{_bar([one.trust])}<span class="figure">{words.trust(one)}</span></div></td>
<td><div class="measure">{share or "<span></span>"}<span class="figure">{_fine(one.share)}</span></div></td></tr>"""


def _fine(share: float) -> str:
    """Percent with a decimal where it is small."""
    return f"{share * 100:.1f} %" if math.isfinite(share) and share < 0.1 else words.percent(share)


# The training


def _training(curve: Sequence[Point], rows: Rows) -> str:
    if not curve and not rows.train:
        return ""
    split = f'<div class="gap">{_split(rows)}</div>' if rows.train else ""
    return _section("The training", _curves(curve) + split)


def _curves(curve: Sequence[Point]) -> str:
    loss = [
        Series("Learned from", [(point.step, point.loss) for point in curve]),
        Series("Held out", [(point.step, point.held_loss) for point in curve if point.held_loss is not None], "old"),
    ]
    margin = [
        Series("Learned from", [(point.step, point.margin) for point in curve]),
        Series("Held out", [(p.step, p.held_margin) for p in curve if p.held_margin is not None], "old"),
    ]
    charts = [
        _chart("Loss", "Lower is better.", loss),
        _chart("Margin between liked and disliked, in nats", "Higher is better.", margin),
    ]
    return f'<div class="two">{"".join(charts)}</div>' if any(charts) else ""


def _chart(name: str, hint: str, series: Sequence[Series]) -> str:
    drawn = lines(name, "step", series)
    if not drawn:
        none = f'<figure><h3>{name}</h3><p class="soft small">No number to draw.</p></figure>'
        return none if series[0].points else ""
    return _figure(name, hint, drawn, {one.kind: one.name for one in series if one.points})


def _figure(name: str, hint: str, drawn: str, keys: Mapping[str, str], kind: str = "") -> str:
    """A chart with its legend: what is drawn how. Empty if nothing is."""
    legend = "".join(f'<span class="{drawn_as}">{key}</span>' for drawn_as, key in keys.items())
    if not drawn:
        return ""
    return f"""<figure{kind and f' class="{kind}"'}><h3>{name}</h3><p class="soft small">{hint}</p>{drawn}
<figcaption class="legend">{legend}</figcaption></figure>"""


def _split(rows: Rows) -> str:
    return f"""<h3>{words.many(rows.train, "example")}</h3>{_bar([rows.held / rows.train, 1 - rows.held / rows.train])}
<p class="keys"><span>{rows.held:,} held out once, to judge a LoRA made without them</span>
<span>{rows.train - rows.held:,} only learned from</span></p>"""


# What a sweep tried


def _tried(tried: Sequence[Tried]) -> str:
    if not tried:
        return ""
    ways = [Series(words.recipe(one), [*enumerate(one.held, 1)], "new" if one.taken else "old") for one in tried]
    keys = {"new": "Taken", "old": "Left"}
    chart = _figure("Loss of what was held out", "Lower is better.", lines("Loss held out", "look", ways), keys, "half")
    table = f"""<table class="gap"><thead><tr><th scope="col">Settings</th>
<th scope="col" class="figure">Held out, by look</th><th scope="col">Result</th></tr></thead>
<tbody>{"".join(map(_try, tried))}</tbody></table>"""
    return _section("What was tried", chart + table, "The ratings held out prefer the one whose loss is lowest.")


def _try(one: Tried) -> str:
    held = " → ".join(map(words.number, one.held)) if one.held else f'<span class="why">{_text(one.why)}</span>'
    kind, word, drawn = ("holds", "taken", TICK) if one.taken else ("soft", "left", "")
    sign = f'<svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">{drawn}</svg>' if drawn else ""
    return f"""<tr><th scope="row">{_text(words.recipe(one))}</th><td class="figure">{held}</td>
<td class="state {kind}">{sign}{word}</td></tr>"""


# What was odd, what was before, and how it was made


def _notes(notes: Sequence[str]) -> str:
    return _section("What was odd", _list(notes, "plainlist")) if notes else ""


def _earlier(night: Night, previous: Sequence[Night]) -> list[Night]:
    """The last ones before this, the oldest first."""
    others = sorted((one for one in previous if one.id != night.id), key=lambda one: one.began)
    return others[-NIGHTS:]


def _history(nights: Sequence[Night]) -> str:
    if len(nights) < 2:
        return ""
    marks = "".join(_mark_of(one, one is nights[-1]) for one in nights)
    seen = dict.fromkeys(one.outcome for one in nights)
    signs = "".join(f"<li>{emblem(kind)}{words.VERDICTS[kind]}</li>" for kind in Outcome if kind in seen)
    span = f"{words.date(nights[0].day, '%-d %B %Y')} to {words.date(nights[-1].day, '%-d %B %Y')}"
    return _section(
        "Night by night",
        f'<ol class="nights">{marks}</ol><ul class="signs" aria-hidden="true">{signs}</ul>',
        f"{_text(span)}. The higher a bar, the more was liked.",
    )


def _mark_of(night: Night, now: bool) -> str:
    liked = words.liked_share(night.ratings)
    share = f", {words.percent(liked)} liked" if math.isfinite(liked) else ""
    told = _text(f"{words.date(night.day, '%-d %B')}: {words.VERDICTS[night.outcome].lower()}{share}")
    height = f'<i style="height:{100 * liked:.0f}%"></i>' if math.isfinite(liked) else ""
    return f"""<li{' class="now"' if now else ""} title="{told}"><span class="unseen">{told}</span>
<span class="column" aria-hidden="true">{height}</span>{emblem(night.outcome)}</li>"""


def _made(night: Night) -> str:
    facts = {
        "Version": night.version or "none was made",
        "Before": "the base model itself" if night.before in ("", BASE) else night.before,
        "Base model": night.base,
        "Night": night.id,
        "Began": words.clock(night.began),
        "Took": words.span(night.ended - night.began),
        "Processor": f"{words.number(night.cpu_seconds / 60)} core-minutes" if night.cpu_seconds else "",
        "Seed": str(night.seed),
        **{name: words.setting(value) for name, value in night.settings.items()},
    }
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value)
    return _section(
        "How it was made", f'<details><summary>Settings and versions</summary><dl class="facts">{rows}</dl></details>'
    )
