"""Secrets and contact data in a text → placeholders, and mentions → pseudonyms. Pure.

The ledger keeps what was said; training and its exports see only what comes out of here. Every pattern takes time in
proportion to the text: each of its repeats is bounded or possessive, and begins at the edge of a word.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Match = re.Match[str]


def redact(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts of one row as training may see them. Somebody who is mentioned has the same pseudonym in all of them.

    What only looks like contact data stays: times, dates, prices, versions, long numbers, code.
    """
    people: dict[str, str] = {}
    return tuple(_unnamed(hidden(text), people) for text in texts)


@lru_cache(maxsize=4096)  # a character's own words stand in every row of a night, and talk in many
def hidden(text: str) -> str:
    """A text without its secrets and contact data; mentions stay."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def _secret(match: Match) -> str:
    return "[secret]"


def _key_value(match: Match) -> str:
    """`password: x` and its like: the value goes, if it is one. A sentence that goes on after the word is none."""
    word, link, value = match["word"].casefold(), match["link"].strip().casefold(), match["value"]
    told = word in _PASSWORDS and not link.isalpha()  # whatever follows `password:` is one, were it a common word
    kept = value in _PLACEHOLDERS or not (told or _looks_made_up(value, 4 if word in (*_PASSWORDS, "pin") else 8))
    return match[0] if kept else match[0][: match.start("value") - match.start()] + "[secret]"


def _looks_made_up(value: str, least: int) -> bool:
    """Is it a word that nobody would say? It is long, and has digits."""
    core = value.strip(".,;!?…")
    return len(core) >= least and any(c.isdigit() for c in core)


def _phone(match: Match) -> str:
    digits = sum(c.isdigit() for c in match[0])
    return match[0] if _DATE.match(match[0]) or not 8 <= digits <= 15 else "[phone]"


def _card(match: Match) -> str:
    digits = [int(c) for c in match[0] if c.isdigit()]
    if not 13 <= len(digits) <= 19:
        return match[0]
    doubled = [digit if place % 2 == 0 else 2 * digit - 9 * (digit > 4) for place, digit in enumerate(digits[::-1])]
    return match[0] if sum(doubled) % 10 else "[card]"


def _iban(match: Match) -> str:
    """The longest beginning that is an account number: a word that follows it may look like one more group."""
    groups = match[0].split(" ")
    for count in range(len(groups), 0, -1):
        number = "".join(groups[:count]).upper()
        if 15 <= len(number) <= 34 and int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1:
            return " ".join(["[iban]", *groups[count:]])
    return match[0]


def _address(match: Match) -> str:
    """An IP address, unless it is nobody's: this machine, any, a mask."""
    try:
        found = ipaddress.ip_address(match["ip"])
    except ValueError:
        return match[0]
    groups = [part for part in match["ip"].split(":") if part]
    nobodys = found.is_loopback or found.is_unspecified or match["ip"].startswith("255.")
    return match[0] if nobodys or (found.version == 6 and len(groups) < 3) else "[ip]"


_PASSWORDS = (
    *("password", "passwords", "passwd", "pwd", "passphrase", "passcode"),
    *("passwort", "kennwort", "contraseña", "mot de passe", "senha", "пароль", "密码"),
)
_PLACEHOLDERS = {"[secret]", "[email]", "[phone]", "[card]", "[iban]", "[ip]", "***"}
_WORDS = r"(?:api|secret|access)[ _-]?key|(?:access|auth)[ _-]?token|client[ _-]?secret|secret|token|pin|" + "|".join(
    _PASSWORDS
)
_DATE = re.compile(r"(?:\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?!\d)")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

# In this order: whole blocks first, then what a secret consists of, then people's data.
_RULES: list[tuple[re.Pattern[str], Callable[[Match], str] | str]] = [
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        _secret,
    ),
    (re.compile(r"(?<=://)[^\s/@:]{0,100}:[^\s/@]{1,200}(?=@)"), "[secret]"),
    (re.compile(r"(?<=/api/webhooks/)\d{1,25}/[\w-]{20,100}+|(?<=hooks\.slack\.com/services/)[\w/]{20,100}+"), _secret),
    (re.compile(r"(?<![\w.-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,45}(?![\w-])"), _secret),  # Discord
    (re.compile(r"(?<![\w-])mfa\.[\w-]{60,120}+"), _secret),
    (re.compile(r"(?<![\w:])(?:bot)?\d{6,12}:[\w-]{35}(?![\w-])"), _secret),  # Telegram
    (re.compile(r"(?<![\w-])(?:xox[a-z]|xapp|xwfp)(?:\.xox[a-z])?-[\w-]{10,400}+"), _secret),  # Slack
    (re.compile(r"(?<![\w-])sk-(?=[A-Za-z_-]{0,200}\d)[\w-]{20,250}+"), _secret),  # OpenAI, Anthropic
    (re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{20,255}+|github_pat_\w{20,255}+|glpat-[\w-]{20,64}+)"), _secret),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), _secret),  # AWS
    (re.compile(r"(?<!\w)(?:AIza[\w-]{35}|hf_[A-Za-z0-9]{30,50}|npm_[A-Za-z0-9]{36})(?![\w-])"), _secret),
    (re.compile(r"(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{16,120}+"), _secret),  # Stripe
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,8000}+\.[\w-]{8,16000}+(?:\.[\w-]{0,4000}+)?"), _secret),  # JWT
    (
        re.compile(
            rf"(?<![^\W_])(?P<word>{_WORDS})[\"']?"
            r"(?P<link>\s{0,3}(?:[:=]|\b(?:is|ist|est|es|lautet|é)\b)\s{0,3})[\"'`]?(?P<value>[^\s\"'`&,;]{3,300})",
            re.IGNORECASE,
        ),
        _key_value,
    ),
    (re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"), "[email]"),
    (re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)"), _iban),
    (re.compile(r"(?<![\w.,-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w]|[.,]\d)"), _card),
    (
        re.compile(
            r"(?<![\d.])(?<!version )(?<!Version )(?<!versions )(?<!release )(?<!build )"
            rf"(?P<ip>(?:{_OCTET}\.){{3}}{_OCTET})(?!\d|\.\d)"
        ),
        _address,
    ),
    (re.compile(r"(?<![\w:.])(?P<ip>[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:])"), _address),
    (re.compile(r"(?<![\w+.])(?:\+|00(?=[1-9]))\d(?:[ ()./-]{0,3}\d){6,14}(?!\d)"), _phone),
    (re.compile(r"(?<![\w.,:/-])\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?![\w-]|[.,:]\d)"), _phone),  # North America
    (re.compile(r"(?<![\w.,:/+-])\(?0[1-9]\d{0,4}\)?(?:[ /-]{0,2}\d){6,11}(?![\w]|[.,:]\d)"), _phone),
]

_GOES_ON = re.compile(r"\w|[.-]\w|[/(]")  # what would be taken for a part of a name, or make it none
_EVERYBODY = {"everyone", "here", "channel", "all"}
_MENTION = re.compile(
    r"(?P<code>```.*?(?:```|\Z)|`[^`\n]{1,500}`)|"
    r"<@!?(?P<id>\w{1,32})(?:\|[^>\n]{0,100})?>|"
    r"(?<![\w@/.\]])@(?P<name>[^\W\d]\w{1,31}+(?:[.-]\w{1,32}+){0,3}+)(?![\w/(])(?!\n[ \t]{0,20}(?:def|class|async|@))",
    re.DOTALL,
)


def _unnamed(text: str, people: dict[str, str]) -> str:
    """With a pseudonym for everybody who is mentioned. Code has its own meaning of `@`."""

    def instead(match: Match) -> str:
        who = match["id"] or (match["name"] or "").casefold()
        if not who or who in _EVERYBODY:
            return match[0]
        name = people.setdefault(who, f"@person{len(people) + 1}")
        return f"{name} " if _GOES_ON.match(text, match.end()) else name

    return _MENTION.sub(instead, text) if "@" in text else text
