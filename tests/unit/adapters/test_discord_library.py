"""discord.py as we bring it in: what it writes into the log is harmless."""

import logging

import pytest

pytest.importorskip("discord")

from adapters.discord.library import hushed


def test_no_token_of_an_interaction_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The library names the address of a call that is slowed down, and the token is in that."""
    base, key = "https://discord.com/api/v10", "aW50ZXJhY3Rpb246MTIz"
    library, said = logging.getLogger("discord.http"), "We are being rate limited. %s %s responded with 429 in %.2f s"
    library.warning(said, "PATCH", f"{base}/webhooks/77/{key}/messages/@original", 1.5)
    library.warning(said, "POST", f"{base}/interactions/77/{key}/callback", 1.5)
    library.warning(said, "POST", f"{base}/channels/901/messages", 1.5)

    assert key not in caplog.text
    assert "PATCH" in caplog.text
    assert f"{base}/webhooks/77/…/messages/@original responded with 429 in 1.50 s" in caplog.text
    assert f"{base}/channels/901/messages responded" in caplog.text
    assert hushed(f"ClientError({base}/webhooks/77/{key}?wait=1)") == f"ClientError({base}/webhooks/77/…?wait=1)"
