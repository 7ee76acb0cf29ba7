"""core/redact.py: secrets and contact data go, ordinary text stays, and no text takes long."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import redact as module
from core.redact import hidden, redact

# Put together here, so that nobody's scanner takes this file for a leak.
A, D = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5kL7n", "1234567890"
TOKENS = {
    "Discord": f"M{A[:23]}.{A[:6]}.{A[:38]}",
    "Telegram": f"{D}:AA{A[:33]}",
    "Slack bot": f"xoxb-{D}-{D}-{A[:24]}",
    "Slack app": f"xapp-1-A{D}-{D}-{A}",
    "OpenAI": f"sk-proj-{A}",
    "OpenAI, old": f"sk-{A}",
    "GitHub": f"ghp_{A[:36]}",
    "GitHub, fine": f"github_pat_{A[:22]}_{A}",
    "AWS": "AKIA" + "ABCDEFGH12345678",
    "Google": f"AIza{A[:35]}",
    "JWT": f"eyJ{A[:20]}.eyJ{A}.{A}",
    "webhook": f"{D}{D[:8]}/{A}{A[:28]}",
}
CONTACTS = {
    "mail ann.b+x@mail.example.co.uk now": "mail [email] now",
    "Ann <ann@example.com>, bob@example.org.": "Ann <[email]>, [email].",
    "call +43 664 123 4567!": "call [phone]!",
    "call +1 (555) 010-9999": "call [phone]",
    "call 0043 1 5858 0": "call [phone]",
    "tel. 0664/1234567": "tel. [phone]",
    "(555) 010-9999 or 555-010-9999": "[phone] or [phone]",
    "ring me at 06 12 34 56 78": "ring me at [phone]",
    "card 4111 1111 1111 1111, 12/29": "card [card], 12/29",
    "4111111111111111": "[card]",
    "IBAN DE89 3704 0044 0532 0130 00 please": "IBAN [iban] please",
    "to AT611904300234573201.": "to [iban].",
    "my ip is 203.0.113.7.": "my ip is [ip].",
    "at 2001:db8:0:1::7 or [2001:db8::1:2]:443": "at [ip] or [[ip]]:443",
    "see https://ann:hunter2@host.example/x": "see https://[secret]@host.example/x",
    "redis://:pass@host:6379": "redis://[secret]@host:6379",
    "password: hunter2": "password: [secret]",
    'PASSWORD="correct horse"': 'PASSWORD="[secret] horse"',
    "my password is hunter2, ok?": "my password is [secret], ok?",
    "the pin is 4711": "the pin is [secret]",
    "Passwort: geheim": "Passwort: [secret]",
    "api_key=abcd1234efgh": "api_key=[secret]",
    "https://x.example/?token=abcd1234efgh&b=1": "https://x.example/?token=[secret]&b=1",
}
ORDINARY = [
    "It is 12:30:45 on 2026-11-27 06:23:35, or 05.11.2026 18:30, or 11/27/2026 10:15.",
    "In 1984 and 2001–2010 it cost $1,299.99, €12.50 or 1 000 000 kr; pi is 3.14159265358979.",
    "version 1.2.3.4, Chrome 120.0.6099.130, v2.10.3",
    "localhost is 127.0.0.1 or ::1, bind to 0.0.0.0, mask 255.255.255.0",
    "the server 1777629600 said 123456789012345678 to 7f3a9c1e",
    "👍🏽 great 🦜!!! (c) 2026 – “quotes” … naïve café",
    "std::vector<int> a; x::y::z; d[1:2:3]; :face: ::",
    "@dataclass\nclass Card:\n    pass",
    "`@property` and ```\n@app.route('/')\n``` and @types/node",
    "@everyone @here look, and meet me @ 5",
    "The password is the same as before. What is a token: a word? My secret is that I love you.",
    "Key: C major. Pin: small metal thing. API key: see below. The secret: patience.",
    "the task-force-of-the-first-hundred-days, risk-averse-people-and-3-more",
    "call 911 or 112, room 0815, flight OS 123, 10-20-30 workout, 100 200 300",
    "score 3:2, ratio 16:9, 5/4 time, 1-800 goals, 0.123456789",
    "[email] and [phone], already",
    "order 66-77-88, ISBN 978-0-306-40615-7",
]


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_hidden_wherever_it_stands(kind: str) -> None:
    """In a sentence, in code, in a URL, alone."""
    token = TOKENS[kind]
    before = "https://discord.com/api/webhooks/" if kind == "webhook" else ""

    for frame in ("{}", "mine is {}, keep it", "`{}`", "X={}", "({})", "\n{}\n"):
        assert frame.format(before + "[secret]") == hidden(frame.format(before + token))


@pytest.mark.parametrize("text", CONTACTS)
def test_contact_data_becomes_a_placeholder(text: str) -> None:
    """What is left is the sentence around it."""
    assert (CONTACTS[text],) == redact([text])


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Not a letter is changed."""
    assert (text,) == redact([text])


def test_a_private_key_goes_as_a_whole() -> None:
    """Also where its end was cut off."""
    begin, end = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"

    assert "here: [secret] ok" == hidden(f"here: {begin}\n{A}\n{A}\n{end} ok")
    assert "here: [secret]" == hidden(f"here: {begin}\n{A}\n{A}")


def test_a_number_that_only_looks_like_a_card_or_an_account_stays() -> None:
    """Both have check digits."""
    for text in ("4111 1111 1111 1112", "GB29 NWBK 6016 1331 9268 18"):
        assert text == hidden(text)


def test_a_person_has_one_pseudonym_in_a_row_and_another_in_the_next() -> None:
    """Ids in any spelling, names in any case; numbered as they come."""
    texts = ["<@!42> and @Ann", "@ann asked <@42>; <@U7|bob> didn't", "@Zoë.b, hi"]

    assert ("@person1 and @person2", "@person2 asked @person1; @person3 didn't", "@person4, hi") == redact(texts)
    assert ("@person1",) == redact(["@ann"])


@example("<@0>0")
@example("<@0>.a <@1>(b")
@given(st.text(alphabet=st.sampled_from("aA@.:-+0123 /sk_eyJxob[]<>!password=\n`"), max_size=300))
def test_redacting_twice_changes_no_more(text: str) -> None:
    """Placeholders and pseudonyms are left alone, and nothing fails."""
    once = redact([text])

    assert once == redact(once)


UNITS = [
    "a", "1", "1 ", "1-", "a.", "a@", "a@a.", "@a", "<@", "<@1", "eyJa", "eyJaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ", "AA11", "AA11 ", "+1", "(1", "0", "01 ", ":", "a:", "f:", "1.1.", "sk-", "sk-a", "xoxb-", "`", "```",
    "://a:", "://a:a", "password:", "password is ", "password: a", " ", "\n", "4111 ", "a-b_c.",
    "mfa.", "@a.", "ü", "ghp_",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_is_read_more_than_in_proportion_to_its_length(unit: str) -> None:
    """Long repeats of what a pattern begins with are done long before the test's own limit."""
    long = unit * (60_000 // len(unit))

    assert isinstance(hidden.__wrapped__(long), str)
    assert isinstance(redact([long]), tuple)


def test_every_pattern_is_bounded_or_possessive() -> None:
    """No repeat without a limit, but for the blocks that end with the text: so nothing is tried again and again."""
    patterns = [pattern.pattern for pattern, _ in module._RULES] + [module._MENTION.pattern]

    for pattern in patterns:
        rest = pattern.replace(r".*?(?:-----END", "").replace(r".*?(?:```", "")
        rest = re.sub(r"\[(?:\\.|[^\]\\])*\]", "", rest)  # in a class, + and * are letters
        assert not re.search(r"(?<!\\)(?<!\})[*+]", rest), pattern
