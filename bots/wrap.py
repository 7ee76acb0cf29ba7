"""Rows as wide as the terminal, and no wider than is good to read."""

import shutil
import textwrap

WIDEST = 100  # columns


def wrapped(row: str, indent: str = "  ") -> str:
    """A row over as many lines of the terminal as it needs."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return textwrap.fill(row, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
