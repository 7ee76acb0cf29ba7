"""The words people get when no server can live."""

import errno
import os
from pathlib import Path

import pytest

from core.errors import StoreError, StoreFull, StoreUnreachable
from core.store.trouble import explained, refusal

FOLDER = Path("/home/me/limen/redis")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreUnreachable),
        (errno.EACCES, StoreUnreachable),
        (errno.EIO, StoreUnreachable),
    ],
)
def test_an_error_of_the_disk_names_the_folder_and_a_next_step(number: int, expected: type[StoreError]) -> None:
    """It is ours, and the system's own words are in it."""
    with pytest.raises(expected, match=os.strerror(number)) as caught, explained(FOLDER):
        raise OSError(number, os.strerror(number))

    assert str(FOLDER) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("said", "expected", "words"),
    [
        ("# Can't open or create append-only dir appendonlydir: No space left on device", StoreFull, "full"),
        ("# Can't open the append-only file: Permission denied", StoreUnreachable, "may not be written"),
        ("# Can't chdir to '.': Read-only file system", StoreUnreachable, "may not be written"),
        ("# Can't handle RDB format version 80", StoreUnreachable, "newer than this one"),
        ("* starting\n# Fatal: the moon is full\n\n", StoreUnreachable, "the moon is full"),
        ("", StoreUnreachable, "it said nothing"),
    ],
)
def test_what_a_server_said_before_it_ended_is_explained(said: str, expected: type[StoreError], words: str) -> None:
    """The folder, the cause and a next step."""
    error = refusal(FOLDER, said, None)

    assert type(error) is expected
    assert words in str(error)
    assert str(FOLDER) in str(error)
    assert error.hint
