"""Small, pure things about text that every room needs: making it safe to keep, and short enough to show."""


def clean(text: str) -> str:
    """Text that can be kept and shown: no NUL, U+FFFD for lone surrogates, no control characters but \\n and \\t."""
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0))


def shorten(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, with an ellipsis where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
