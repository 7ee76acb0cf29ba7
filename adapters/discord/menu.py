"""Our commands as Discord's menu shows them. Pure: what `core/commands/desk.py` does, and what each wants to know."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.commands.desk import COMMANDS
from core.group.roles import changes

_TEXT, _NUMBER, _YES = 3, 4, 5
_CHAT_INPUT = 1
_MOST_OFFERED = 25
_MANAGE_SERVER = str(1 << 5)
_EVERYWHERE = [0, 1]  # in servers, and in a DM with us

_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "switch": [
        {
            "type": _TEXT,
            "name": "name",
            "description": "Whom you want to talk to",
            "required": True,
            "autocomplete": True,
        }
    ],
    "history": [
        {"type": _NUMBER, "name": "count", "description": "How many lines", "min_value": 1, "max_value": 2000},
    ],
    "react": [
        {"type": _TEXT, "name": "emoji", "description": "What you feel about it", "required": True},
        {"type": _NUMBER, "name": "back", "description": "How many replies back", "min_value": 1},
    ],
    "unreact": [
        {"type": _TEXT, "name": "emoji", "description": "What to take back"},
        {"type": _NUMBER, "name": "back", "description": "How many replies back", "min_value": 1},
    ],
    "memory": [{"type": _TEXT, "name": "words", "description": "What to look for"}],
    "remember": [
        {
            "type": _TEXT,
            "name": "text",
            "description": "What to remember for good",
            "required": True,
            "max_length": 500,
        },
    ],
    "forget": [
        {
            "type": _TEXT,
            "name": "what",
            "description": "Only what was noted, recalled or said last; or bring that back",
            "choices": [{"name": said, "value": said} for said in ("that", "undo")],
        },
        {"type": _YES, "name": "everything", "description": "For every character, not only this one"},
        {"type": _YES, "name": "yes", "description": "I mean it: this cannot be undone"},
    ],
    "persona": [
        {"type": _TEXT, "name": "change", "description": "rollback yesterday: back to how it was at the end of a day"},
    ],
    "why": [
        {"type": _TEXT, "name": "what", "description": "A dial, and since when: warmth since Tuesday"},
    ],
    "tune": [
        {"type": _TEXT, "name": "dial", "description": "Which one, such as warmth; none lists them"},
        {"type": _TEXT, "name": "turn", "description": "How far: +1 is a tenth up, -0.05 a twentieth down"},
    ],
    "sources": [{"type": _NUMBER, "name": "back", "description": "How many replies back", "min_value": 1}],
    "reset": [
        {"type": _YES, "name": "yes", "description": "I mean it"},
    ],
    "privacy": [
        {
            "type": _TEXT,
            "name": "choice",
            "description": "What may be done with what you say",
            "choices": [{"name": said, "value": said} for said in ("train yes", "train no", "pool yes", "pool no")],
        }
    ],
}


def menu(hides: bool = False) -> list[dict[str, Any]]:
    """Every command, as Discord wants them registered.

    `hides`: in a server, those with which nothing but a change for all can be done are shown only to who may manage
    it. (Its administrators can show them to others as well; we ask for the right ourselves, whoever sees them.)
    """
    return [
        {
            "type": _CHAT_INPUT,
            "name": name,
            "description": (act.__doc__ or name).strip()[:100],
            "options": _OPTIONS.get(name, []),
            "contexts": _EVERYWHERE,
            **({"default_member_permissions": _MANAGE_SERVER} if hides and _always_changes(name) else {}),
        }
        for name, act in COMMANDS.items()
    ]


def _always_changes(name: str) -> bool:
    """Does it take an operator, however it is filled in?"""
    needs_words = any(option.get("required") for option in _OPTIONS.get(name, ()))
    return changes(name, "x" if needs_words else "")


def offered(data: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, str]]:
    """What may be meant by what somebody has typed so far into a command: names that begin so, then that hold it."""
    typed = next((str(option.get("value", "")) for option in data.get("options") or () if option.get("focused")), "")
    part = typed.casefold()
    fitting = sorted((name for name in names if part in name.casefold()), key=lambda name: name.casefold().find(part))
    return [{"name": name[:100], "value": name[:100]} for name in fitting[:_MOST_OFFERED]]


def is_there(wanted: list[dict[str, Any]], there: list[dict[str, Any]]) -> bool:
    """Is what is registered what we want? Discord adds fields of its own, and leaves out what is empty."""
    return _plain(wanted) == _plain(there)


def _plain(commands: list[dict[str, Any]]) -> dict[str, Any]:
    kept = (
        "type", "name", "description", "required", "min_value", "max_value", "max_length", "contexts", "choices",
        "autocomplete", "default_member_permissions",
    )  # fmt: skip

    def plain(of: dict[str, Any]) -> dict[str, Any]:
        fields = {field: of[field] for field in kept if of.get(field)}
        return {**fields, "options": [plain(option) for option in of.get("options") or ()]}

    return {command["name"]: plain(command) for command in commands}
