"""The accounts of one app that listen in this process: one for each workspace that has installed it.

Slack brings what happens to one of an app's connections, whichever, and by HTTP to its one address. So what came to
one account and is another's is handed on to that. Of accounts in other processes nothing is known here.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from adapters.slack.events import is_for
from adapters.slack.view import Us

_APP = re.compile(r"xapp-\d+-(A[A-Z0-9]+)-\S+")

Hear = Callable[[dict[str, Any]], "asyncio.Future[bool] | None"]


class _Ear(NamedTuple):
    us: Us
    hear: Hear


_listening: dict[str, list[_Ear]] = {}  # by app


def app_of(app_token: str, signing_secret: str) -> str:
    """What all accounts of an app have in common: an app-level token has the app's id in it."""
    found = _APP.fullmatch(app_token)
    return found[1] if found else app_token or signing_secret


@contextmanager
def listening(app: str, us: Us, hear: Hear) -> Iterator[Hear]:
    """For as long as the block lasts, what is ours comes to `hear`. Gives what a door should tell of all that it
    hears."""
    ear = _Ear(us, hear)
    ears = _listening.setdefault(app, [])
    ears.append(ear)
    try:
        yield lambda body: _whose(body, ear, ears).hear(body)
    finally:
        ears.remove(ear)
        if not ears:
            _listening.pop(app, None)


def _whose(body: dict[str, Any], ours: _Ear, ears: list[_Ear]) -> _Ear:
    """Where nobody here is meant, or more than one may be, it stays where it came."""
    try:
        return next((ear for ear in (ours, *ears) if is_for(body, ear.us)), ours)
    except (AttributeError, TypeError):  # not what Slack documents
        return ours
