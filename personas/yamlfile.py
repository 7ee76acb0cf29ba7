"""YAML as we take it from people: plain data with a line for every value, and nothing that can harm.

No anchors, no tags, no duplicate keys, no `no` that means false (YAML 1.2's core types). Knows no card and no setting.
"""

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from personas import shape

BYTES = 256_000
LOOK = 16 * BYTES  # of a file that is larger, to find what makes it so
DEPTH = 32
T = TypeVar("T")


class YamlError(Exception):
    """A file that cannot be read as YAML. Carries `file`, `line` (from 1) and `message`."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file, self.line, self.message = file, line, message


class Fault(msgspec.Struct, frozen=True):
    """Something in a file that is not allowed. `field` as in `rules[2].say`; empty for the file as a whole."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {f'{self.field}: ' if self.field else ''}{self.message}"


class Document:
    """A YAML mapping as plain python (`data`), with the line of each of its parts."""

    def __init__(self, name: str, data: dict[str, Any], lines: dict[shape.Where, int]) -> None:
        self.name, self.data, self._lines = name, data, lines

    def line(self, path: shape.Where) -> int:
        """The line, from 1, of the key or item at `path`; of the nearest part above, if that is not there."""
        while path not in self._lines and path:
            path = path[:-1]
        return self._lines.get(path, 1)

    def fault(self, path: shape.Where, message: str) -> Fault:
        """A Fault at `path`."""
        return Fault(self.name, self.line(path), field(path), message)


def field(path: shape.Where) -> str:
    """`("rules", 2, "say")` as people read it: `rules[2].say`. Keys that are not plain words are quoted."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in path).removeprefix(".")


def _quoted(key: str) -> str:
    return key if _WORD.fullmatch(key) else shape.shown(key)


def check(document: Document, wanted: type[T]) -> T | list[Fault]:
    """The document as a `wanted` Struct, or every fault in it, in the order of its lines."""
    found = [document.fault(problem.path, problem.message) for problem in shape.problems(document.data, wanted)]
    if found:
        return sorted(found, key=lambda fault: fault.line)
    value: T = shape.convert(document.data, wanted)
    return value


def read(source: Path | str, name: str = "") -> Document:
    """A YAML file, or text under the name that its faults shall show; empty is an empty mapping. Raises YamlError."""
    name = name or (source.name if isinstance(source, Path) else "text")
    text = _decode(_bytes(source, name) if isinstance(source, Path) else source.encode("utf-8", "surrogatepass"), name)
    try:
        _refuse_dangers(text, name)
        root = yaml.compose(text, _Plain)
    except yaml.MarkedYAMLError as error:
        raise _broken(name, error) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise YamlError(name, line, f"holds a character that YAML does not allow: {error.character!r}") from error
    if root is None:
        return Document(name, {}, {})
    if not isinstance(root, MappingNode):
        raise YamlError(name, _line(root.start_mark), "expected `key: value` lines")
    reader = _Reader(name)
    data = reader.plain(root, ())
    assert isinstance(data, dict)
    return Document(name, data, reader.lines)


def _bytes(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LOOK)
    except OSError as error:
        raise YamlError(name, 1, f"cannot be read: {error.strerror or error}") from error


def _decode(raw: bytes, name: str) -> str:
    if len(raw) > BYTES:
        raise _too_large(raw, name)
    if b"\0" in raw:
        raise YamlError(name, raw[: raw.index(b"\0")].count(b"\n") + 1, "holds a NUL byte: is this a text file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise YamlError(name, line, "is not UTF-8 text; save the file as UTF-8") from error


def _too_large(raw: bytes, name: str) -> YamlError:
    """With the part that takes most of it. Nothing is read as YAML: parts begin where a line begins with a key."""
    starts = [(found.start(), found[1].decode()) for found in re.finditer(rb"^([\w-]{1,60}):", raw, re.MULTILINE)]
    ends = [*(start for start, _ in starts[1:]), len(raw)]
    size, start, key = max(
        ((end - at, at, key) for (at, key), end in zip(starts, ends, strict=False)), default=(0, 0, "")
    )
    more = " or more" if len(raw) == LOOK else ""
    most = f"; most of that is {key}, which has {size // 1000:,} kB{more}" if key else ""
    return YamlError(name, raw[:start].count(b"\n") + 1, f"is larger than {BYTES // 1000} kB{most}")


def _broken(name: str, error: yaml.MarkedYAMLError, last: object = None) -> YamlError:
    """With the line where people must look: a quote that is not closed swallows lines up to the next one, or all.
    `last`: the event before it."""
    line, begun, context = _line(error.problem_mark or error.context_mark), _line(error.context_mark), error.context
    if context == "while scanning a quoted scalar":
        return YamlError(name, begun, "not YAML: the quote that opens here is not closed")
    if isinstance(last, yaml.ScalarEvent) and last.style in ("'", '"'):
        first, end = _line(last.start_mark), _line(last.end_mark)
        if first < end == line:
            said = f"the text in quotes that begins here ends in line {end}, and more follows: is a quote not closed?"
            return YamlError(name, first, f"not YAML: {said}")
    if context and "flow" in context and begun < line:
        context += f", which begins in line {begun}"
    return YamlError(name, line, f"not YAML: {', '.join(part for part in (error.problem, context) if part)}")


def _refuse_dangers(text: str, name: str) -> None:
    """Stop at anchors, aliases and depth, which could grow without bound, before anything is built from them."""
    depth, event = 0, None
    try:
        for event in yaml.parse(text, _Plain):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise YamlError(
                    name, _line(event.start_mark), "anchors and aliases (&name, *name) are not taken; write it out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                raise YamlError(name, _line(event.start_mark), f"is nested deeper than {DEPTH} levels")
    except yaml.MarkedYAMLError as error:
        raise _broken(name, error, event) from error


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


class _Plain(yaml.CSafeLoader):
    """Resolves the types of YAML 1.2 only: `22:00`, `no` and `2024-01-01` stay the text they look like."""


_TAG = "tag:yaml.org,2002:"
_WORD = re.compile(r"[\w-]{1,60}")
_KINDS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
_Plain.yaml_implicit_resolvers = {}
for _kind, (_pattern, _first) in _KINDS.items():
    _Plain.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)


class _Reader:
    """Turns nodes into plain data and notes their lines on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[shape.Where, int] = {(): 1}

    def plain(self, node: Node, path: shape.Where) -> object:
        """The plain value of `node`. Raises YamlError on tags, duplicate keys and values that are not what they say."""
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return {key: self.plain(value, (*path, key)) for key, value in self._pairs(node, path)}
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [
                self.plain(self._at(item, (*path, number)), (*path, number)) for number, item in enumerate(node.value)
            ]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise self._error(node, f"the tag {node.tag.replace(_TAG, '!!')} is not taken")

    def _at(self, node: Node, path: shape.Where) -> Node:
        self.lines[path] = _line(node.start_mark)
        return node

    def _pairs(self, node: MappingNode, path: shape.Where) -> list[tuple[str, Node]]:
        pairs: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._error(key, "a key must be a single word or text")
            if key.value in pairs:
                raise self._error(key, f"{key.value!r} is given twice; first in line {self.lines[(*path, key.value)]}")
            self._at(key, (*path, key.value))
            pairs[key.value] = value
        return list(pairs.items())

    def _scalar(self, node: ScalarNode) -> object:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str" if "\0" not in text:
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float" as kind:
                return self._number(node, kind)
        raise self._error(
            node, "holds a NUL character" if "\0" in text else f"the tag {node.tag.replace(_TAG, '!!')} is not taken"
        )

    def _number(self, node: ScalarNode, kind: str) -> float:
        try:
            return int(node.value) if kind == "int" else float(re.sub(r"\.(inf|nan)", r"\1", node.value.lower()))
        except ValueError as error:
            raise self._error(node, f"{shape.shown(node.value)} is not a number") from error

    def _error(self, node: Node, message: str) -> YamlError:
        return YamlError(self.name, _line(node.start_mark), message)
