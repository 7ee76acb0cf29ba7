"""The terminal as a platform: lines become events, replies become text."""

import asyncio
import json

import pytest

from adapters.console import ACCOUNT, PLACE, Console, somebody, to_event
from core.commands.desk import Answer
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import InputError, StoreUnreachable
from core.events import Addressed, Command, Message, Person, PersonaKey, Reaction
from core.jobs import Done, Failed
from personas.card import Card
from tests.fakes.screen import Sheet

ME = Person("console:local:me", "Tom")
KEY = PersonaKey(ACCOUNT, "mira", "console:local:user:me")


def event(line):
    """One typed line."""
    return to_event(line, event_id="e1", now=7.0, person=ME)


def command(line):
    """(name, arguments) of a line that is a command."""
    made = event(line)
    assert isinstance(made, Command)
    return made.name, made.args


def text(line):
    """What a line says, if it is talk."""
    made = event(line)
    assert isinstance(made, Message)
    return made.text


def test_a_line_is_a_message_to_the_persona():
    """With everything the engine needs to know."""
    assert event("hi there") == Message(
        id="e1", account=ACCOUNT, place=PLACE, author=ME, time=7.0, text="hi there", addressed=Addressed.DM
    )


@pytest.mark.parametrize("name", ["x" * 41, "a\0b"])
def test_what_is_no_name_is_refused(name):
    """It would be an id in every store."""
    with pytest.raises(InputError, match="nobody is called"):
        somebody(name, "tom")


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("", Person("console:local:me", "tom")), ("Tom", Person("console:local:me", "tom")),
        (" Me ", Person("console:local:me", "tom")),
        ("Ann  Lee", Person("console:local:ann-lee", "Ann Lee")), ("a:b", Person("console:local:a%3Ab", "a:b")),
    ],
)  # fmt: skip
def test_who_sits_at_the_terminal(name, person):
    """Its owner, or somebody with an id of their own."""
    assert person == somebody(name, "tom")


@pytest.mark.parametrize("line", ["", " ", "\t \n", "\n\n"])
def test_nothing_is_nothing(line):
    """An empty line is no event."""
    assert event(line) is None


@pytest.mark.parametrize(
    ("line", "name", "args"),
    [
        ("/help", "help", ""),
        ("/HELP ", "help", ""),
        ("/switch  orrin ", "switch", "orrin"),
        ("/history 5", "history", "5"),
        ("/nosuch thing", "nosuch", "thing"),
        ("/forget everything yes", "forget", "everything yes"),
        ("/react :thumbsup: 2", "react", "👍 2"),
        ("/react 👍🏽", "react", "👍"),
        ("/react thumbsup", "react", "👍"),
        ("/react 2", "react", "2"),
        ("/react", "react", ""),
        ("/unreact", "unreact", ""),
        ("+👍", "react", "👍"),
        ("+👍🏿 3", "react", "👍 3"),
        ("+:thumbsup:", "react", "👍"),
        ("+:+1::skin-tone-3:", "react", "👍"),
        ("+1", "react", "👍"),
        ("+❤️", "react", "❤"),
        ("-👍", "unreact", "👍"),
        ("-:heart: 2", "unreact", "❤ 2"),
    ],
)
def test_commands_and_reactions(line, name, args):
    """Commands in any case of letters; emoji in any spelling come as one key."""
    assert command(line) == (name, args)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("//help", "/help"),
        (" /help", "/help"),
        (" +👍", "+👍"),
        ("/usr/bin is a folder", "/usr/bin is a folder"),
        ("/", "/"),
        ("/help\nis what I typed", "/help\nis what I typed"),
        ("+5 points", "+5 points"),
        ("+5", "+5"),
        ("-1", "-1"),
        ("+über", "+über"),
        ("+👍👍", "+👍👍"),
        ("- a list\n- of things", "- a list\n- of things"),
        ("one\ntwo", "one\ntwo"),
        ("👍", "👍"),
    ],
)
def test_talk_that_looks_like_a_command_is_talk(line, said):
    """A doubled slash or a blank before it says it literally; so do paths, sums and lists."""
    assert text(line) == said


@pytest.mark.parametrize("line", ["/react nonsense", "+:nonsense:", "/unreact xyzzy 2"])
def test_an_emoji_that_is_none_is_told(line):
    """With what to type instead."""
    with pytest.raises(InputError, match="is not an emoji"):
        event(line)


class Marks:
    """A ledger that remembers which parts were sent."""

    def __init__(self):
        self.sent_as = {}

    async def begin(self, reply, part, by):
        return "mine"

    async def sent(self, reply, part, messages):
        self.sent_as[reply] = messages


def sending(reply_id, marks=None):
    """One reply's way out."""
    made = Sending(marks or Marks(), ACCOUNT, reply_id, "me")
    made.place = PLACE
    return made


def console(screen, tmp_path, kept=0, one_by_one=False):
    """A console on that screen, with one card that remembers `kept` lines."""

    async def count(card):
        return kept

    def card(name):
        return Card(name=name, title=f"{name.title()} \x1b[31mFlint", description="A pirate.", greeting="Ahoy!")

    return Console(screen, ME, "mira", card, count, tmp_path, one_by_one)


def done(text, reply_id="r1", job="j1", **more):
    """A whole reply."""
    return Done(job=job, reply_id=reply_id, conversation="c", place=PLACE, persona=KEY, text=text, **more)


def queued(job="j1", reply_id="r1", place=1):
    """The outcome of a message that will be answered."""
    return Outcome(act=Act.QUEUED, persona=KEY, job=job, reply_id=reply_id, place=place)


async def test_the_message_id_is_recorded_with_the_first_words(tmp_path):
    """A reply can be reacted to while it grows; its message id is its reply id."""
    screen, marks = Sheet(), Marks()
    await console(screen, tmp_path).draft("Arr", 1, sending("r1", marks))
    assert marks.sent_as == {"r1": [f"{ACCOUNT}|{PLACE}|r1"]}
    assert screen.drafts == [("mira", "Arr", 1)]


async def test_a_reply_told_twice_is_shown_once(tmp_path):
    """Whatever the store does after the reply was shown, it is not shown again."""
    screen = Sheet()
    out = console(screen, tmp_path)
    for _ in range(2):
        await out.final(done("Arr!"), sending("r1"))
    await out.draft("Ar", 1, sending("r1"))
    assert screen.rows == [("reply", "mira: Arr!")]
    assert screen.drafts == []


@pytest.mark.parametrize(
    ("made", "row"),
    [
        (done("Arr", cancelled=True), ("reply", "mira: Arr(stopped)")),
        (done("", cancelled=True), ("reply", "mira: (stopped)")),
        (done("", act="silent"), ("reply", "mira: (says nothing)")),
        (done("", act="react", emoji="👍"), ("answer", "Mira [31mFlint reacts 👍")),
    ],
)
async def test_every_way_a_reply_may_end_is_shown(made, row, tmp_path):
    """Stopped, silent, or with an emoji only."""
    screen = Sheet()
    await console(screen, tmp_path).final(made, sending("r1"))
    assert screen.rows == [row]


async def test_a_feeling_stands_beside_the_reply(tmp_path):
    """What it does is a line of the reply; the emoji is an aside, so that pipes get words only."""
    screen = Sheet()
    await console(screen, tmp_path).final(done("Arr", emoji="👍", action="bows"), sending("r1"))
    assert screen.rows == [("reply", "mira: Arr\n\n*bows*"), ("aside", "Mira [31mFlint reacts 👍")]


async def test_a_failure_says_what_to_do(tmp_path):
    """The reason, and where the dead letter lies."""
    screen = Sheet()
    failure = Failed(job="j1", reply_id="r1", conversation="c", place=PLACE, reason="no memory", dead=True)
    await console(screen, tmp_path).failed(failure, sending("r1"))
    assert screen.rows[0] == ("reply", "mira: (could not answer)")
    assert screen.said("complaint") == [
        "There is no reply: no memory\n`limen deadletters` lists it, and can try it again."
    ]


async def test_a_stopped_job_is_no_failure(tmp_path):
    """It was asked for."""
    screen = Sheet()
    failure = Failed(job="j1", reply_id="r1", conversation="c", place=PLACE, reason="stopped", cancelled=True)
    await console(screen, tmp_path).failed(failure, sending("r1"))
    assert screen.rows == [("reply", "mira: (stopped)")]


async def test_a_reply_is_due_until_it_comes(tmp_path):
    """The screen is told how many are, and where in the line."""
    screen = Sheet()
    out = console(screen, tmp_path)
    await out.told(event("hi"), queued(place=2))
    assert (screen.jobs, screen.status.place, out.due.first) == (1, 2, "j1")
    await out.final(done("Arr!"), sending("r1"))
    assert (screen.jobs, out.due.first) == (0, "")


async def test_a_reply_that_came_before_its_outcome_is_not_waited_for(tmp_path):
    """The worker may be quicker than the answer of the queue."""
    screen = Sheet()
    out = console(screen, tmp_path)
    await out.final(done("Arr!"), sending("r1"))
    await out.told(event("hi"), queued())
    assert screen.jobs == 0


async def test_a_withdrawn_message_is_not_waited_for(tmp_path):
    """Neither is its reply, if some of it was shown; the next emoji is for another one."""
    screen = Sheet("+👍", None)
    out = console(screen, tmp_path)
    await out.told(event("hi"), queued())
    await out.draft("Arr", 1, sending("r1"))
    await out.withdrawn("j1")
    await out.withdrawn("j1")
    assert screen.rows == [("reply", "mira: (withdrawn)")]
    assert screen.jobs == 0
    assert [type(heard) async for heard in out.listen()] == [Command]


async def test_an_emoji_while_a_reply_grows_is_for_that_reply(tmp_path):
    """Its id is known already; with a number it is a command as ever."""
    screen = Sheet("+👍", "+👍 1", "-👍", "/unreact", None)
    out = console(screen, tmp_path)
    await out.draft("Arr", 1, sending("r1"))
    heard = [each async for each in out.listen()]
    assert [(each.message_id, each.emoji, each.removed) for each in heard if isinstance(each, Reaction)] == [
        ("r1", "👍", False),
        ("r1", "👍", True),
    ]
    commands = [(each.name, each.args) for each in heard if isinstance(each, Command)]
    assert commands == [("react", "👍 1"), ("unreact", "")]
    await out.told(heard[0], Outcome(act=Act.PARKED))
    assert screen.said("answer") == ["👍 on what Mira [31mFlint is saying"]


async def following(events):
    """The next event."""
    return await anext(events)


async def test_piped_lines_wait_for_their_replies(tmp_path):
    """The second line is not read before the first is answered."""
    screen = Sheet("one", "two", None)
    out = console(screen, tmp_path, one_by_one=True)
    heard = out.listen()
    first = await anext(heard)
    await out.told(first, queued())
    out.done(first)
    second = asyncio.ensure_future(following(heard))
    await screen.wait(lambda: screen.jobs == 1)
    assert not second.done()
    await out.final(done("Arr!"), sending("r1"))
    assert (await second).text == "two"
    await heard.aclose()


@pytest.mark.parametrize("leave", ["/quit", "/exit", "/q", "/bye", None])
async def test_the_person_may_leave(leave, tmp_path):
    """By several words, or by ending the input; nothing after that is heard."""
    screen = Sheet("hi", leave, "never", None)
    assert [each.text async for each in console(screen, tmp_path).listen()] == ["hi"]


async def test_a_bad_emoji_is_answered_and_the_talk_goes_on(tmp_path):
    """It is no reason to stop listening."""
    screen = Sheet("+:nonsense:", "hi", None)
    assert [each.text async for each in console(screen, tmp_path).listen()] == ["hi"]
    assert "not an emoji" in screen.said("complaint")[0]


@pytest.mark.parametrize("act", [Act.FULL, Act.REFUSED])
async def test_what_could_not_be_sent_is_given_back(act, tmp_path):
    """With the engine's note."""
    screen = Sheet()
    await console(screen, tmp_path).told(event("hi"), Outcome(act=act, note="too much"))
    assert (screen.said("complaint"), screen.returned) == (["too much"], ["hi"])


async def test_what_redis_could_not_take_is_given_back(tmp_path):
    """With the reason and the next step."""
    screen = Sheet()
    await console(screen, tmp_path).refused(event("hi"), StoreUnreachable("gone", "wait"))
    assert (screen.said("complaint"), screen.returned) == (["gone\nwait"], ["hi"])


async def test_an_absent_redis_is_told_once(tmp_path):
    """And that it is back."""
    screen = Sheet()
    out = console(screen, tmp_path)
    for up in (True, False, False, True, True):
        await out.connected(up)
    assert screen.said("aside") == ["Redis is coming back… what you said is not lost.", "Redis is back."]


async def test_a_newcomer_is_greeted_and_a_friend_welcomed_back(tmp_path):
    """By the card's words, or by what it remembers."""
    new, old = Sheet(), Sheet()
    await console(new, tmp_path).welcome("mira")
    await console(old, tmp_path, kept=12).welcome("mira")
    assert new.rows == [("greeting", "mira: Ahoy!")]
    assert old.rows == [("aside", "Mira [31mFlint remembers 12 messages. Welcome back.")]


async def test_switching_greets_and_renames(tmp_path):
    """The new card introduces itself, and the toolbar knows it."""
    screen = Sheet()
    await console(screen, tmp_path).answered(event("/switch orrin"), Answer(text="Now Orrin.", switched="orrin"))
    assert screen.rows == [("answer", "Now Orrin."), ("greeting", "orrin: Ahoy!")]
    assert screen.status.who.card == "orrin"


@pytest.mark.parametrize(
    ("line", "told"),
    [("/quti", "Did you mean /quit? To say it to Mira [31mFlint, type //quti"), ("/xyzzy", "type //xyzzy")],
)
async def test_an_unknown_command_is_answered_helpfully(line, told, tmp_path):
    """What was meant, and how to say it literally."""
    screen = Sheet()
    await console(screen, tmp_path).answered(event(line), Answer(text="No such.", error=True))
    assert screen.said("complaint")[0].startswith("No such.\n")
    assert told in screen.said("complaint")[0]


async def test_help_tells_what_only_a_terminal_has(tmp_path):
    """Reactions, literal slashes, how to leave."""
    screen = Sheet()
    await console(screen, tmp_path).answered(event("/help"), Answer(text="/help  this list"))
    assert all(word in screen.said("answer")[0] for word in ("/help", "+👍", "//text", "/quit"))


async def test_an_export_is_for_its_owners_eyes_only(tmp_path):
    """In the home, or in the file that is named; nothing is overwritten."""
    screen = Sheet()
    out = console(screen, tmp_path)
    await out.answered(event("/export"), Answer(data={"said": "é"}))
    (file,) = tmp_path.glob("export-*.json")
    assert json.loads(file.read_text("utf-8")) == {"said": "é"}
    assert file.stat().st_mode & 0o777 == 0o600
    named = tmp_path / "deep" / "mine.json"
    await out.answered(event(f"/export {named}"), Answer(data={}, text=str(named)))
    assert str(named) in screen.said("answer")[1]
    with pytest.raises(InputError, match="cannot be written: File exists"):
        await out.answered(event("/export"), Answer(data={}, text=str(named)))


async def test_forgetting_takes_what_was_typed_too(tmp_path):
    """The input history quotes the person; it stays as long as nothing was forgotten."""
    typed = tmp_path / "chat-history"
    typed.write_text("+my secret\n")
    screen = Sheet()
    out = console(screen, tmp_path)
    await out.answered(event("/forget"), Answer(text="Say /forget yes"))
    assert (typed.exists(), screen.forgotten) == (True, False)
    await out.answered(event("/forget yes"), Answer(text="Forgotten."))
    assert (typed.exists(), screen.forgotten) == (False, True)


async def test_a_card_that_vanished_still_has_its_name(tmp_path):
    """Its last reply is shown, although its file is gone."""
    screen = Sheet()
    out = console(screen, tmp_path)
    out._cards = None
    await out.final(done("Arr!"), sending("r1"))
    assert screen.rows == [("reply", "mira: Arr!")]
