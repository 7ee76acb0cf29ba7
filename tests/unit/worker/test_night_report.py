"""worker/night/report.py: a night becomes a page, a text or a note. Nothing that people said gets out of its place."""

import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from core.events import PersonaKey
from core.nights import Check, Count, Night, Outcome, Point, Ratings, Rows, Sample, Shift
from tests.fakes import nights
from worker.night import words
from worker.night.charts import Series, lines, ticks
from worker.night.report import note, page, plain

EMPTY = {"meta", "br", "link", "img", "input", "hr"}
DRAWN = {"line", "circle", "path", "polyline"}
WAYS = [make(outcome) for make in (nights.night, nights.bare) for outcome in Outcome] + [nights.swept()]
NASTY = "</style><script>alert(\"x\")</script><img src=x onerror='y'>&amp;\x00\x1b[31m\u202e"
ALERT = "<script"


class Read(HTMLParser):
    """What a browser would see: tags that must close, texts, attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.told += [(name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def nasty(value: Any) -> Any:
    """The same plain data with all words made as bad as they can be; keys of structures stay."""
    if isinstance(value, str):
        return NASTY + value
    if isinstance(value, list):
        return [nasty(one) for one in value]
    if isinstance(value, dict):
        free = {"settings", "unknown", "refused"}
        return {
            key: one
            if key == "outcome"
            else {NASTY + name: nasty(of) for name, of in one.items()}
            if key in free
            else nasty(one)
            for key, one in value.items()
        }
    return value


@pytest.mark.parametrize("night", WAYS, ids=lambda night: f"{night.outcome}-{len(night.checks)}")
def test_every_night_is_a_whole_page(night: Night) -> None:
    """Tags close, headings are in order, and the verdict is there in words."""
    read = Read(page(night, nights.earlier(3)))

    assert read.open == []
    assert read.tags.count("h1") == 1
    assert words.VERDICTS[night.outcome] in read.text
    assert words.verdict(night).replace("  ", " ") in read.text
    assert all(reason in read.text for reason in night.reasons)


@pytest.mark.parametrize("night", WAYS, ids=lambda night: f"{night.outcome}-{len(night.checks)}")
def test_nothing_is_fetched_and_nothing_runs(night: Night) -> None:
    """No address, no script, no picture from elsewhere; and the page forbids them itself."""
    html = page(night, nights.earlier(60))
    read = Read(html)

    assert not re.search(r"https?:|//\w|url\(|@import|javascript:", html)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(read.tags)
    assert not {"src", "href", "srcset", "onclick", "onload"} & {name for name, _ in read.told}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.told


def test_whatever_people_say_stays_text() -> None:
    """Every word of the night is hostile; tags are those of a friendly one, and no control character is in."""
    friendly = nights.night()
    hostile = msgspec.convert(nasty(msgspec.to_builtins(friendly)), Night)
    html = page(hostile, [msgspec.structs.replace(hostile, id="other", began=1.0)])
    read = Read(html)

    assert read.open == []
    assert {"script", "img"} & set(read.tags) == set()
    assert ALERT not in html.replace("&lt;", "")
    assert "\x00" not in html + plain(hostile) + note(hostile)
    assert "\x1b" not in html + plain(hostile) + note(hostile)
    assert {name for name, _ in read.told} == {name for name, _ in Read(page(friendly, nights.earlier(1))).told}


def test_the_page_shows_the_figures() -> None:
    """What came in, who counted, the gate's table, the samples and the settings."""
    told = Read(page(nights.rejected())).text

    for figure in ["214", "163", "87.4 effective labels", "50 needed", "51 liked", "112 disliked", "31 %"]:
        assert figure in told
    for row in ["🦀 × 12", "no consent × 14", "discord …4821", "14 votes within a minute: damped"]:
        assert row in told
    for row in ["0.081", "≤ 0.03", "2 of 7 checks failed", "words a reply", "23 %", "147 held out once"]:
        assert row in told
    for row in ["lash the parrot", "20261127-mira-3f9c", "hf:HuggingFaceTB/SmolLM2-135M-Instruct", "0.001"]:
        assert row in told


def test_ids_are_not_given_away() -> None:
    """Neither people's nor the channel's stand in the page, the text or the note."""
    night = nights.night()
    everything = page(night, nights.earlier(5)) + plain(night) + note(night)

    assert night.ratings.people[0].user.split(":")[1] not in everything
    assert "90210901" not in everything
    assert "7788001" not in everything


def test_charts_say_in_words_what_they_show() -> None:
    """Each has a label for those who cannot see it; decoration is hidden from them."""
    html = page(nights.night())
    pictures = re.findall(r"<svg[^>]*>", html)
    labels = re.findall(r'role="img" aria-label="([^"]+)"', html)

    assert len(labels) == 2
    assert labels[0].startswith("Loss. Learned from: from 0.69 to ")
    assert all('role="img"' in picture or 'aria-hidden="true"' in picture for picture in pictures)


def test_every_table_names_its_columns_and_rows() -> None:
    """As screen readers need it."""
    html = page(nights.night())

    assert html.count("<table>") == 3
    assert len(re.findall(r"<tr[^>]*><th scope=\"(?:col|row)\"", html)) == html.count("<tr")


def test_light_and_dark_are_readable() -> None:
    """Every colour of text has at least 4.5 : 1 against its paper, as WCAG AA wants it."""
    html = page(nights.bare())
    schemes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root \{.*?\}", html, re.DOTALL)
    ]

    assert len(schemes) == 3
    for scheme in schemes:
        for colour in ("soft", "ink", "accent", "fail"):
            assert contrast(scheme[colour], scheme["paper"]) >= 4.5
        assert contrast(scheme["ink"], scheme["wash"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """By WCAG."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Of `#rrggbb` or `#rgb`."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_thousand_people_are_a_short_table() -> None:
    """The first ones by name, the others as one; votes and shares are complete."""
    crowd = nights.people(1000)
    night = nights.night(ratings=Ratings(people=crowd, reactions=9000))
    named, rest = words.weightiest(crowd, 12)
    html = page(night)

    assert rest is not None
    assert "988 other people together" in html
    assert sum(one.votes for one in [*named, rest]) == sum(one.votes for one in crowd)
    assert sum(one.share for one in [*named, rest]) == pytest.approx(1)
    assert len(html) < 60_000
    assert "994 other people together" in plain(night).replace("…", "")


def test_people_are_counted_who_are_not_named() -> None:
    """A night names the weightiest thousand; of how many, all three say."""
    night = nights.night(ratings=Ratings(people=nights.people(1000), heard=2345, reactions=9000, replies=3))

    assert "9,000 reactions from 2,345 people in all" in note(night)
    assert "9,000 on 3 replies, by 2,345 people" in plain(night)
    assert "<dt>people</dt><dd>2,345</dd>" in page(night)
    assert "no reactions." in note(nights.bare(Outcome.PROMOTED))


def test_numbers_that_are_none_are_said_to_be_none() -> None:
    """A night with NaN and infinity everywhere still has its page, its text and its note; nothing is drawn."""
    none = math.nan
    night = nights.bare(
        Outcome.FAILED,
        began=none,
        ended=math.inf,
        cpu_seconds=none,
        ratings=Ratings(effective=none, needed=math.inf, people=(Count("a:b", 1, 1, none, none),)),
        curve=(Point(0, none, math.inf, none, none), Point(1, none, none)),
        checks=(Check("loss", none, "< 1", False),),
        voice=(Shift("words", none, 3.0),),
        settings={"rate": none},
    )
    html = page(night, [night, nights.bare(id="b", began=none)])

    assert "no number" in html
    assert not re.search(r'[":% ]-?(nan|inf)\b', html)
    assert "<polyline" not in html
    assert "no number" in plain(night)
    assert note(night)


def test_what_a_sweep_tried_is_drawn_and_what_it_took_is_marked() -> None:
    """A curve for each that came to an end, and why the other did not; as text, too. One recipe is no sweep."""
    swept = nights.swept()
    read, text = Read(page(swept)), plain(swept)

    assert "rate 0.001, anchor 0.1: from 0.58 to 0.51." in str(read.told)
    assert 3 == str(read.told).count(", anchor ")
    assert 1 == read.text.count("taken")
    assert 1 == text.count(", taken")
    assert "the loss of step 14 is nan" in read.text
    assert re.search(r"rate 0.002, anchor 0.1 the loss of step 14 is nan\n", text)
    assert "What was tried" not in Read(page(nights.night())).text + plain(nights.night())


def test_a_gap_in_a_curve_stays_a_gap() -> None:
    """A loss that was no number for a moment is not drawn over."""
    points = [(0.0, 1.0), (1.0, 0.9), (2.0, math.nan), (3.0, 0.7), (4.0, 0.6), (5.0, math.nan), (6.0, 0.5)]

    drawn = lines("Loss", "step", [Series("a", points)])

    assert 2 == drawn.count("<polyline")
    assert 1 == drawn.count("<circle")


def test_a_long_curve_is_thinned_out_and_keeps_its_end() -> None:
    """A hundred thousand steps do not make a page of megabytes."""
    drawn = lines("Loss", "step", [Series("a", [(float(x), 1 / (x + 1)) for x in range(100_000)])])

    assert len(drawn) < 10_000


@pytest.mark.parametrize("values", [[0.0], [1e-9, 2e-9], [-5.0, 1e6], [3.0, 3.0], [0.31, 0.69]])
def test_ticks_are_few_and_hold_all_values(values: list[float]) -> None:
    """Also for a flat or tiny range."""
    marks = ticks(values, 5)

    assert marks[0] <= min(values)
    assert marks[-1] >= max(values)
    assert 2 <= len(set(marks)) <= 8


def test_very_long_texts_are_folded() -> None:
    """A reply of a megabyte is cut, one of some pages can be opened."""
    long = Sample("why " * 2000, "a" * 5000, "word " * 200_000)
    html = page(nights.bare(samples=(long,)))

    assert "All 5,000 characters" in html
    assert "All 1,000,000 characters" in html
    assert len(html) < 150_000


def test_a_reply_that_is_much_the_same_has_its_new_words_marked() -> None:
    """One that is quite another has none: everything would be marked."""
    alike = page(nights.bare(samples=(Sample("?", "I like the <sea> a lot", "I like the <sea> very much a lot"),)))
    other = page(nights.bare(samples=(Sample("?", "I like the sea a lot", "Arr! Who goes there?"),)))

    assert "the &lt;sea&gt; <mark>very much</mark> a lot" in alike
    assert "<mark>" not in other


def test_a_reply_of_nothing_is_called_silence() -> None:
    """Rather than leaving a hole."""
    assert "(silence)" in page(nights.bare(samples=(Sample("?", "", "Aye."),)))


def test_text_from_right_to_left_finds_its_own_direction() -> None:
    """Each of people's texts stands in an element that asks for it."""
    html = page(nights.bare(samples=(Sample("מה שלומך?", "טוב", "طيب جدا"),), title="قبطان"))

    assert "<h1><bdi>قبطان" in html
    assert '<p class="asked" dir="auto">מה שלומך?' in html
    assert '<blockquote class="said" dir="auto">' in html


def test_what_a_night_does_not_have_leaves_no_empty_section() -> None:
    """A quiet first night is a short page."""
    html = page(nights.bare())

    assert 2 == html.count("<section>")
    assert "Nothing was liked or disliked" in html


def test_earlier_nights_are_a_strip_that_ends_with_this_one() -> None:
    """At most sixty of them in order of time, and this one only once."""
    night = nights.promoted()
    html = page(night, [night, *nights.earlier(70)])
    told = re.findall(r'<li[^>]*title="([^"]+)"', html)

    assert 61 == len(told)
    assert "27 November: promoted, 31 % liked" == told[-1]
    assert 1 == html.count('<li class="now"')
    assert "Night by night" not in page(night)


def test_a_missed_bound_does_not_look_met() -> None:
    """0.5996 would be rounded to the 0.60 that it does not reach."""
    assert "0.5996" == words.measured(Check("auc", 0.5996, "≥ 0.6", False))
    assert "0.78" == words.measured(Check("auc", 0.78, "≥ 0.6", True))


def test_the_note_is_short_and_says_only_what_is_known() -> None:
    """One to four lines; figures only where the night has them."""
    assert note(nights.night()) == (
        "Captain Mira Flint had a good night: 214 reactions from 41 people in all, 31 % liked.\n"
        "Held-out ratings prefer the new voice: liked replies 31 % → 58 %.\n"
        "On trial with half of the sessions."
    )
    assert "39 more labels are needed, of 50." in note(nights.not_enough())
    for night in WAYS:
        assert 1 <= len(note(night).split("\n")) <= 4
        assert max(map(len, note(night).split("\n"))) <= 240


def test_a_night_that_waits_claims_no_practice() -> None:
    """Nothing was trained: neither note nor text nor page say that something was, or was shown neither way."""
    why = "mira-x/1 is on trial, and the reactions to it decide first."
    night = nights.bare(Outcome.WAITING, reasons=(why,))

    assert f"{night.title} did not practise last night. Everything stays as it was.\n{why}" == note(night)
    assert "WAITING. Nothing was trained" in plain(night)
    for told in (page(night), plain(night)):
        assert why.split(",")[0] in told
        assert "Neither shown" not in told


def test_a_trial_without_a_known_share_names_none() -> None:
    """And another share than half is a percentage."""
    assert "a share of the sessions" in note(nights.night(settings={}))
    assert "20 % of the sessions" in note(nights.night(settings={"canary": 0.2}))


@pytest.mark.parametrize("width", [1, 40, 80, 200])
@pytest.mark.parametrize("night", WAYS, ids=lambda night: f"{night.outcome}-{len(night.checks)}")
def test_the_text_keeps_to_its_width(night: Night, width: int) -> None:
    """Of 40 columns at least, without a stray space at the end of a line."""
    rows = plain(night, width).split("\n")

    assert max(map(len, rows)) <= max(40, width)
    assert rows == [row.rstrip() for row in rows]


def test_wide_letters_count_twice() -> None:
    """Those of East Asia take two columns."""
    night = nights.bare(samples=(Sample("海", "海" * 300, "好" * 300),), reasons=("海" * 90,))

    assert max(len(row) + row.count("海") + row.count("好") for row in plain(night, 60).split("\n")) <= 60


def test_the_text_says_what_the_page_says() -> None:
    """Verdict, figures, checks that failed with their reasons, and the samples."""
    told = plain(nights.rejected())

    assert "REJECTED. The gate found something worse." in told
    for row in ["87.4 of 50 needed", "51 of 163 (31 %)", "FAILS  variety", "distinct pairs of words, against the base"]:
        assert row in told
    assert "35 other people together" in told


def test_places_are_named_without_their_ids() -> None:
    """A channel, a person in DMs, the terminal; what is no scope stays short."""
    scopes = {
        "discord:77:channel:90210901": "A channel on Discord, …0901",
        "slack:T1:user:U04ABCDEF": "One person on Slack, …CDEF",
        "console:local:user:me": "In the terminal",
        "card": "card",
    }

    assert scopes == {scope: words.place(PersonaKey("a:b", "mira", scope)) for scope in scopes}


def test_examples_are_split_in_sight() -> None:
    """Without curves too."""
    html = page(nights.bare(rows=Rows(10, 3)))

    assert "10 examples" in html
    assert "3 held out once" in html


def test_the_report_needs_no_torch() -> None:
    """`limen night report` answers at once."""
    heavy = "import sys, worker.night.report; print({'torch', 'transformers', 'jinja2'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
