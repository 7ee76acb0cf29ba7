"""How a call of Telegram's goes wrong, in our words: wait, try again, or never."""

from collections.abc import Iterator
from contextlib import contextmanager

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from core.errors import ConfigError, LimenError


class Flooded(LimenError):
    """Too much at once: not before `seconds` have passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Telegram asks us to wait {seconds:g} s")
        self.seconds = seconds


class Unreachable(LimenError):
    """Telegram did not answer, or is broken. What was asked of it may have been done."""


class Refused(LimenError):
    """Telegram will never do this: no right, no such chat, no such topic."""


class Missing(Refused):
    """The message is not there any more, or is too old to be changed."""


class Contested(LimenError):
    """Another process takes the updates of this bot."""


def bad_token() -> ConfigError:
    """What to do about it."""
    return ConfigError(
        "Telegram does not know the bot's token",
        "set TELEGRAM_TOKEN to what @BotFather shows under /mybots → API Token",
    )


@contextmanager
def translated() -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except RetryAfter as error:
        wait = error.retry_after
        raise Flooded(float(wait if isinstance(wait, int) else wait.total_seconds())) from error
    except InvalidToken:
        raise bad_token() from None  # the library's message has the token in it
    except BadRequest as error:
        gone = any(words in error.message.lower() for words in ("to edit not found", "can't be edited"))
        raise (Missing if gone else Refused)(error.message) from error
    except (Forbidden, ChatMigrated) as error:
        raise Refused(error.message) from error
    except Conflict as error:
        raise Contested(error.message) from error
    except TelegramError as error:
        raise Unreachable(error.message) from error
    except (KeyError, TypeError) as error:  # it was done, or not: to ask again and again could say it again and again
        raise Refused(f"the answer makes no sense: {error!r}") from error
