"""What people write, in Slack's way → as people read it: names, addresses, emoji, no escapes. Pure.

Where nobody knows a name, a mention stays readable by its id: `@U012ABC`.
"""

import re
from collections.abc import Iterator, Mapping

from adapters.slack.names import drawn
from adapters.slack.view import Json, Us, View, person_id
from core.events import Person
from core.text import clean

_TOKEN = re.compile(r"<([^<>]+)>")
_USER = re.compile(r"<@([UWB][A-Z0-9]+)(?:\|[^<>]*)?>")


def readable(text: str, view: View) -> str:
    """Slack's way of writing → as people read it: names, addresses, emoji, and no escapes."""
    if "<" in text:
        text = _TOKEN.sub(lambda found: _token(found[1], view), text)
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return clean(drawn(text)).strip()


def _token(token: str, view: View) -> str:
    """What stands between `<` and `>`. A name from the text is not escaped twice: it is put in as it will be read."""
    body, _, label = token.partition("|")
    match body[:1]:
        case "@":
            return "@" + (label.lstrip("@") or _escaped(_called(body[1:], view)))
        case "#":
            return "#" + (label.lstrip("#") or body[1:])
        case "!":
            what = body[1:].partition("^")[0]
            return label or ("@" + (body.split("^")[1] if what == "subteam" and "^" in body else what))
    if body.startswith(("mailto:", "tel:")):
        return label or body.partition(":")[2]
    return f"{label} ({body})" if label and label not in body else body


def _called(user: str, view: View) -> str:
    known = view.people.get(user)
    name = view.us.name if user == view.us.user else known.name if known else ""
    return name or user


def users(text: object) -> list[str]:
    """Ids of all who are mentioned."""
    return _USER.findall(text) if isinstance(text, str) else []


def calls_another(text: str, us: Us) -> bool:
    """Does it begin with somebody else's name?"""
    found = _USER.match(text.lstrip())
    return found is not None and found[1] != us.user


def mentions_us(text: str, us: Us) -> bool:
    """Are we called by name?"""
    return f"<@{us.user}" in text and us.user in _USER.findall(text)


def without_us(text: str, view: View) -> str:
    """A mention of us at either end only calls us. Empty if there is nothing else."""
    call = rf"<@{view.us.user}(?:\|[^<>]*)?>"
    return readable(re.sub(rf"\A(?:\s*{call}[\s,:]*)+|\s*{call}\s*\Z", "", text), view)


def mentioned(text: str, view: View) -> tuple[Person, ...]:
    """Whom a text calls, us left out. Whoever is not known has no name."""
    if "<@" not in text:
        return ()
    others = [user for user in dict.fromkeys(_USER.findall(text)) if user != view.us.user]
    return tuple(view.people.get(user) or Person(person_id(view.us.team, user)) for user in others)


def source(message: Json) -> str:
    """What was written, in Slack's way: its text, else what its blocks say, else what its attachments fall back to."""
    text = message.get("text")
    if isinstance(text, str) and text.strip():
        return text
    blocks = [said for block in message.get("blocks") or () if (said := "".join(_said_by(block)).strip())]
    if blocks:
        return "\n".join(blocks)
    return "\n".join(one["fallback"] for one in message.get("attachments") or () if one.get("fallback"))


def _said_by(block: Json) -> Iterator[str]:
    """The words of one block, or of one element in it."""
    kind = block.get("type", "")
    match kind:
        case "text":
            yield _marked(_escaped(block["text"]), block.get("style"))
        case "user":
            yield f"<@{block['user_id']}>"
        case "channel":
            yield f"<#{block['channel_id']}>"
        case "usergroup":
            yield f"<!subteam^{block['usergroup_id']}>"
        case "broadcast":
            yield f"<!{block['range']}>"
        case "emoji":
            yield f":{block['name']}:"
        case "link":
            yield f"<{block['url']}|{_escaped(block['text'])}>" if block.get("text") else f"<{block['url']}>"
        case "date" | "color":
            yield _escaped(block.get("fallback") or block.get("value") or "")
        case "markdown":
            yield _escaped(block["text"])
        case "mrkdwn" | "plain_text":
            yield block["text"] if kind == "mrkdwn" else _escaped(block["text"])
        case "header" | "section" | "context":
            parts = [block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())]
            yield "\n".join("".join(_said_by(part)) for part in parts if isinstance(part, Mapping))
        case _ if kind.startswith("rich_text"):
            yield from _rich(kind, block)


def _rich(kind: str, block: Json) -> Iterator[str]:
    inside = ["".join(_said_by(element)) for element in block.get("elements") or ()]
    match kind:
        case "rich_text_list":
            ordered, start = block.get("style") == "ordered", 1 + int(block.get("offset") or 0)
            rows = [f"{f'{start + n}.' if ordered else '•'} {row}" for n, row in enumerate(inside)]
            yield "\n".join("    " * int(block.get("indent") or 0) + row for row in rows) + "\n"
        case "rich_text_preformatted":
            yield f"```\n{''.join(inside)}\n```\n"
        case "rich_text_quote":
            yield "".join(f"&gt; {line}\n" for line in "".join(inside).splitlines())
        case _:
            yield "".join(inside)


def _marked(text: str, style: Json | None) -> str:
    for name, mark in (("code", "`"), ("strike", "~"), ("italic", "_"), ("bold", "*")):
        if style and style.get(name) and text.strip():
            text = f"{mark}{text}{mark}"
    return text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
