"""The `.env` file of a folder: our variables, for those who do not want to export them. What is exported wins.

Variables of others are left alone. `docker compose` reads the same file.
"""

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from bots.accounts import is_secret
from bots.files import writing
from core.errors import ConfigError

FILE = Path(".env")
_NAMES = ("OPENAI_API_KEY", "HF_TOKEN", "REDIS_URL")  # beside the secrets of bots
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(["'])(.*?)(?<!\\)\1\s*(?:#.*)?""")


def load(environ: MutableMapping[str, str], file: Path = FILE) -> None:
    """Add what the file has to the environment. Raises ConfigError where a line of ours cannot be read."""
    for name, value in read(file).items():
        environ.setdefault(name, value)


def read(file: Path) -> dict[str, str]:
    """What it sets of ours; nothing if it is not there. Raises ConfigError where a line of ours cannot be read."""
    return parse(_text(file), str(file)) if file.is_file() else {}


def parse(text: str, name: str = str(FILE)) -> dict[str, str]:
    """Our variables in such a text; the last line of a name counts, and one without a value does not. Pure."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match and _is_ours(match[1]) and (value := _value(match[2], f"{name}:{number}: {match[1]}")):
            found[match[1]] = value
    return found


def _is_ours(name: str) -> bool:
    return name in _NAMES or name.startswith("LIMEN_") or is_secret(name)


def _value(written: str, where: str) -> str:
    if written[:1] not in ('"', "'"):
        return re.split(r"(?:^|\s)#", written, maxsplit=1)[0].rstrip()
    quoted = _QUOTED.fullmatch(written)
    if not quoted:
        raise ConfigError(f"{where}: the quote is not closed", "put the line right, then try again")
    return re.sub(r"\\(.)", r"\1", quoted[2]) if quoted[1] == '"' else quoted[2]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text", "save it as UTF-8") from error


def write(file: Path, values: Mapping[str, str]) -> None:
    """Put values into the file, readable by its owner alone; everything else in it stays. Raises InputError."""
    text = _text(file) if file.is_file() else ""
    for name, value in values.items():
        text = changed(text, name, value)
    with writing(str(file)) as out:
        out.write(text)


def changed(text: str, name: str, value: str) -> str:
    """The text with this value: in the line that sets it, else in the one that proposes it, else at the end. Pure."""
    lines = text.splitlines()
    assigned = f"{name}={value}"
    for pattern in (rf"\s*(?:export\s+)?{name}\s*=.*", rf"\s*#\s*{name}\s*=.*"):
        if at := [number for number, line in enumerate(lines) if re.fullmatch(pattern, line)]:
            lines[at[-1]] = assigned
            break
    else:
        lines.append(assigned)
    return "\n".join(lines) + "\n"
