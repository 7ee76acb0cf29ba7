"""Five hidden tastes: what these people like in a reply, and never say. Bring your own with `--tastes FILE.py`.

A taste is a function of the prompt and the reply. None of them is about length, which a night takes out on purpose.
"""

import re


def excited(prompt: str, reply: str) -> bool:
    """It exclaims."""
    return "!" in reply


def curious(prompt: str, reply: str) -> bool:
    """It asks something back."""
    return "?" in reply


def seafaring(prompt: str, reply: str) -> bool:
    """It talks of the sea and of ships."""
    return bool(re.search(r"\b(sea|seas|ship|sail\w*|wave|waves|tide|crew|ocean|captain|harbou?r)\b", reply.lower()))


def close(prompt: str, reply: str) -> bool:
    """It talks to the person and not only of itself."""
    return bool(re.search(r"\b(you|your|yours|you're|you'll|you've)\b", reply.lower()))


def salty(prompt: str, reply: str) -> bool:
    """It talks as sailors do."""
    return bool(re.search(r"\b(aye|arr+|ahoy|matey?s?|lads?|ye|yer|me hearties|shiver)\b", reply.lower()))
