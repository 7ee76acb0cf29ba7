"""Choices as Slack's buttons, and what a pressed one asks for. Pure.

A button below something that only one person sees, or that stands in their DM, is theirs: the answer takes its place.
One below a reply in a channel is everybody's: each who presses it is answered alone.
"""

from collections.abc import Sequence
from typing import Any

from adapters.slack.view import Json
from core.commands.answers import Choice

_PREFIX = "limen:"
_MOST = 25
_STYLES = {"good": {"style": "primary"}, "danger": {"style": "danger"}}


def blocks(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    """A row of buttons; none, if there is nothing to choose."""
    made = [_button(at, one) for at, one in enumerate(choices[:_MOST])]
    return [{"type": "actions", "block_id": "limen", "elements": made}] if made else []


def _button(at: int, choice: Choice) -> dict[str, Any]:
    label = {"type": "plain_text", "text": choice.label[:75], "emoji": True}
    value = f"{_PREFIX}{choice.name}:{choice.args}"[:2000]
    return {
        "type": "button",
        "action_id": f"limen-{at}",
        "text": label,
        "value": value,
        **_STYLES.get(choice.style, {}),
    }


def pressed(body: Json) -> tuple[str, str] | None:
    """The command that a pressed button of ours stands for; an empty name: let it be. None: it is not ours."""
    value = str((body.get("actions") or [{}])[0].get("value") or "")
    if body.get("type") != "block_actions" or not value.startswith(_PREFIX):
        return None
    name, _, args = value.removeprefix(_PREFIX).partition(":")
    return name, args


def is_theirs(body: Json) -> bool:
    """Does the answer take the place of what the pressed button is below? Never of a reply."""
    found = pressed(body)
    if found is None or found[0] == "regenerate":
        return False
    container = body.get("container") or {}
    return bool(container.get("is_ephemeral")) or str(container.get("channel_id") or "").startswith("D")
