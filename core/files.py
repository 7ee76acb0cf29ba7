"""Files that we give, and those that come with a message, as a conversation holds them: named, and quoted. Pure.

What a file says of itself is not believed: what is called text is looked at, and what is longer than it says was not
read at all. What stands in it is somebody's words: every line of it is marked as quoted, so that none can pose as talk.
"""

import re
from collections.abc import Sequence

import msgspec

from core.events import Attachment
from core.text import clean, shorten

NAMED = re.compile(r"^\[(?:image|audio|video|file): [^\n]*\]$", re.MULTILINE)
MOST_NAMED = 10  # of one message
STICKER = "sticker"  # its emoji is in the text
_CODE = (
    "bat c cc cfg conf cpp cs css csv diff go h hpp html ini java js json jsonl kt log lua md mjs patch php pl ps1 py "
    "r rb rs rst scala sh sql srt svg swift tex toml ts tsv tsx txt vtt xml yaml yml"
)
_ENDINGS = frozenset(_CODE.split())
_TYPES = re.compile(
    r"text/|application/(?:json|xml|yaml|x-yaml|toml|javascript|x-javascript|x-sh|x-python|sql|csv|x-ndjson|.+\+json|.+\+xml)"
)
_UNSAID = ("", "application/octet-stream", "binary/octet-stream")
_MAGIC = (
    b"%PDF",
    b"PK\x03\x04",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"\x7fELF",
    b"MZ\x90",
    b"\x1f\x8b",
    b"Rar!",
    b"RIFF",
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


class File(msgspec.Struct, frozen=True):
    """A file that we give to somebody."""

    name: str
    content: bytes
    media_type: str = "text/plain"


class Read(msgspec.Struct, frozen=True):
    """What became of a file: its `text`, or a `note` of why there is none."""

    text: str = ""
    note: str = ""


def kind(attachment: Attachment) -> str:
    """`image`, `audio`, `video` or `file`, as it says itself."""
    family = attachment.media_type.partition("/")[0]
    return family if family in ("image", "audio", "video") else "file"


def says_text(attachment: Attachment) -> bool:
    """Does it say that it is text: by its type, or by its name where it has no type?"""
    media_type = attachment.media_type.partition(";")[0].strip().lower()
    if _TYPES.fullmatch(media_type) or media_type.startswith("text/"):
        return True
    return media_type in _UNSAID and attachment.name.rpartition(".")[2].lower() in _ENDINGS


def sniffed(content: bytes, most: int) -> Read:
    """What is in it, as far as `most` characters, if it is text at all."""
    if not content.strip():
        return Read(note="empty")
    text = None if content.startswith(_MAGIC) else _decoded(content)
    if text is None or len(_CONTROL.findall(text)) > len(text) / 200:
        return Read(note="not text, whatever it says")
    text = clean(text).strip()
    more = f"\n… (the first {most:,} of {len(text):,} characters)" if len(text) > most else ""
    return Read(text[:most].rstrip() + more)


def _decoded(content: bytes) -> str | None:
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def told(attachments: Sequence[Attachment], read: Sequence[Read] = ()) -> str:
    """The files of a message, one below the other. `read`: what became of each, as far as anybody looked."""
    all_read = [*read, *(Read() for _ in attachments[len(read) :])]
    shown = [(file, what) for file, what in zip(attachments, all_read, strict=True) if file.name != STICKER]
    sections = [_section(file, what) for file, what in shown[:MOST_NAMED]]
    if len(shown) > MOST_NAMED:
        sections.append(f"[file: {len(shown) - MOST_NAMED} more]")
    return "\n".join(sections)


def below(text: str, files: str) -> str:
    """What was said, and its files below it. Who only writes what a file looks like has none: what would stand below
    such a line could not be edited away."""
    text = NAMED.sub(lambda found: f"({found[0][1:-1]})", text)
    return "\n".join(part for part in (text, files) if part.strip())


def _section(file: Attachment, read: Read) -> str:
    name = shorten(re.sub(r"[\[\]\n]", " ", clean(file.name)), 60) or "unnamed"
    about = ", ".join(part for part in (name, _size(file.size), read.note) if part)
    quoted = "".join(f"\n> {line}" for line in read.text.split("\n")) if read.text else ""
    return f"[{kind(file)}: {about}]{quoted}"


def _size(size: int) -> str:
    if size < 0:
        return ""
    if size < 1_000:
        return f"{size} bytes"
    return f"{size / 1_000:,.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"


def edited(text: str, before: str) -> str:
    """A message that reads differently now keeps its files."""
    found = NAMED.search(before)
    return below(text, before[found.start() :] if found else "")
