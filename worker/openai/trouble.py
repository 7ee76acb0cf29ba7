"""What goes wrong with a server, in one exception: whether to try again, and what it says about context and fields.

Reads complaints, in the many shapes that servers give them. Knows no HTTP library.
"""

import re
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from time import time

import msgspec

from core.errors import ModelError

NO_KEY = "set its key in the environment: export OPENAI_API_KEY=…"
NO_SERVER = "start it, or set openai.base_url to where it is"
NO_PATH = "openai.base_url is where its API begins; with most servers it ends in /v1"

_LONG = re.compile(
    r"(?i)context[ _](length|size|window)|maximum (context|model) length|prompt is too long|too many (input )?tokens"
)
_LIMITS = re.compile(
    r"(?:maximum (?:context|model) length (?:is|of) |n_ctx=|context (?:length|size|window) (?:is|of) )(\d+)"
)
_LENGTHS = re.compile(
    r"(?:contains (?:at least )?|resulted in |request has |prompt \(length |n_prompt_tokens=|\()(\d+)"
)
_UNKNOWN = re.compile(r"(?i)unknown|unrecogni[sz]ed|unsupported|not supported|not permitted|does not support|extra")
_ECHO = re.compile(r"""['"]input['"]\s*:""")  # pydantic repeats what it was given: people's words, too


class Complaint(msgspec.Struct, frozen=True):
    """What a server says. `names` are the fields that it points at by itself."""

    text: str
    names: frozenset[str] = frozenset()

    def blames(self, fields: Iterable[str]) -> set[str]:
        """Those of these request fields that it will not take as they are."""
        text = _ECHO.split(self.text)[0]
        unknown = bool(_UNKNOWN.search(text))
        return {name for name in fields if name in self.names or _is_named(name, text, unknown)}

    @property
    def too_long(self) -> bool:
        """Is it that prompt and reply do not fit into the context?"""
        return bool(_LONG.search(self.text)) or "context_length_exceeded" in self.names

    @property
    def limit(self) -> int:
        """Tokens of context that it names; 0 if none."""
        return _first(_LIMITS, self.text)

    @property
    def length(self) -> int:
        """Tokens of the prompt that it names; 0 if none."""
        return _first(_LENGTHS, self.text)


NOTHING = Complaint("")


class Trouble(ModelError):
    """A server did not do what it was asked for. `status` is HTTP's; 0 if it gave no answer.

    `again`: another try may help, after `wait` seconds if it named them.
    """

    def __init__(
        self, message: str, hint: str = "", status: int = 0, again: bool = False, wait: float = 0.0,
        complaint: Complaint = NOTHING,
    ) -> None:  # fmt: skip
        super().__init__(message, hint)
        self.status, self.again, self.wait, self.complaint = status, again, wait, complaint

    @property
    def no_model(self) -> bool:
        """Does it not know the model that was named?"""
        about_models = "model" in self.complaint.text.lower() or "model" in self.complaint.names
        return self.status == 404 and about_models


def refusal(where: str, status: int, body: bytes, retry_after: str = "") -> Trouble:
    """What an answer of 300 and above means."""
    said = complaint(body)
    brief = f"{where} says {status}" + (f": {said.text[:300]}" if said.text else "")
    if status in (401, 403):
        return Trouble(f"{where} refuses us ({status}): {said.text[:200] or 'no key, or a wrong one'}", NO_KEY, status)
    if status == 404:
        step = "set openai.model to one that it lists" if "model" in said.text.lower() else NO_PATH
        return Trouble(brief, step, status, complaint=said)
    if "insufficient_quota" in said.names:
        return Trouble(brief, "its account has nothing left", status, complaint=said)
    if status in (408, 429) or status >= 500:
        step = "ask it less, or its owner for more" if status == 429 else "look at the server's log"
        return Trouble(brief, step, status, True, _seconds(retry_after), said)
    return Trouble(brief, NO_PATH if status < 400 else "", status, complaint=said)


def complaint(body: bytes) -> Complaint:
    """A body that says what is wrong: OpenAI's, vLLM's, llama.cpp's, FastAPI's, or just text."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Complaint(" ".join(body.decode("utf-8", "replace").split())[:1000])
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return Complaint(str(error))
    return _of_details(error["detail"]) if isinstance(error.get("detail"), list) else _of_error(error)


def _of_error(error: dict[str, object]) -> Complaint:
    numbers = " ".join(f"{name}={error[name]}" for name in ("n_prompt_tokens", "n_ctx") if name in error)
    text = str(error.get("message") or error.get("detail") or "")
    names = (str(error[name]) for name in ("param", "code", "type") if error.get(name))
    return Complaint(f"{text} {numbers}".strip(), frozenset(names))


def _of_details(details: list[object]) -> Complaint:
    """FastAPI's list: where, and what is wrong there."""
    found = [detail for detail in details if isinstance(detail, dict)]
    texts = [f"{'.'.join(_places(detail))}: {detail.get('msg', '')}" for detail in found]
    return Complaint("; ".join(texts), frozenset(name for detail in found for name in _places(detail)))


def _places(detail: dict[str, object]) -> Iterator[str]:
    places = detail.get("loc")
    return (str(place) for place in (places if isinstance(places, list) else ()))


def _is_named(name: str, text: str, unknown: bool) -> bool:
    """Words such as `stop` mean something else, too: those count in quotes, or where something is called unknown."""
    if not re.search(rf"(?<![\w-]){name}(?![\w-])", text):
        return False
    return unknown or "_" in name or bool(re.search(rf"['\"`]{name}['\"`]", text))


def _first(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return int(found.group(1)) if found else 0


def _seconds(retry_after: str) -> float:
    """`Retry-After` is a number of seconds, or a date."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass  # then it is a date, or nothing that we could obey
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except ValueError:
        return 0.0
