"""Choices as Discord's buttons, and what a pressed one asks for. Pure.

A button below something that only one person sees, or that stands in their DM, is theirs: the answer takes its place.
One below a reply in a channel is everybody's: each who presses it is answered alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.discord.events import BUTTON
from core.commands.answers import Choice

_ROW, _ROWS = 5, 5
_STYLES = {"plain": 2, "good": 3, "danger": 4}
_EPHEMERAL = 64


def rows(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    """As Discord wants them: five in a row. What cannot be carried is left out: it can still be typed."""
    fit = [one for one in choices if len(_id(one)) <= 100][: _ROW * _ROWS]
    return [{"type": 1, "components": [_button(one) for one in fit[at : at + _ROW]]} for at in range(0, len(fit), _ROW)]


def _button(choice: Choice) -> dict[str, Any]:
    return {"type": 2, "style": _STYLES[choice.style], "label": choice.label[:80], "custom_id": _id(choice)}


def _id(choice: Choice) -> str:
    return f"{BUTTON}{choice.name}:{choice.args}"


def lets_be(raw: Mapping[str, Any]) -> bool:
    """Was a button pressed that asks for nothing?"""
    return str((raw.get("data") or {}).get("custom_id") or "").startswith(f"{BUTTON}:")


def is_theirs(raw: Mapping[str, Any]) -> bool:
    """Does the answer take the place of what the pressed button is below? Never of a reply."""
    message, pressed = raw.get("message"), str((raw.get("data") or {}).get("custom_id"))
    if not isinstance(message, Mapping) or pressed.startswith(f"{BUTTON}regenerate:"):
        return False
    return bool(int(message.get("flags") or 0) & _EPHEMERAL) or not raw.get("guild_id")
