"""Plain data against msgspec types: every fault at once, each with its path and what is allowed there.

msgspec alone stops at the first fault and words it for programmers. Knows types only: no file, no line, no card.
"""

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import inspect

Where = tuple[str | int, ...]
LIMIT = 60


class Problem(msgspec.Struct, frozen=True):
    """What is wrong at `path`, e.g. `("sampling", "temperature")`."""

    path: Where
    message: str


def convert(data: object, wanted: Any, strict: bool = True) -> Any:
    """`data` as `wanted`; a Path is made from text, with `~` expanded. Raises msgspec.ValidationError."""
    return msgspec.convert(data, wanted, strict=strict, dec_hook=_path)


def _path(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str) and value.strip():
        return Path(value).expanduser()
    raise ValueError("not a path")


def problems(data: object, wanted: Any, path: Where = ()) -> Iterator[Problem]:
    """Everything in `data` that does not fit `wanted`, parts first; a whole is judged only if its parts are sound."""
    try:
        convert(data, wanted)
    except msgspec.ValidationError:
        yield from list(_inner(data, wanted, path)) or [Problem(path, refusal(data, wanted))]


def _inner(data: object, wanted: Any, path: Where) -> Iterator[Problem]:
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    arguments = get_args(bare)
    if isinstance(data, dict) and isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        yield from _fields(data, bare, path)
    elif isinstance(data, dict) and get_origin(bare) is dict:
        for key, value in data.items():
            yield from problems(key, arguments[0], (*path, key))
            yield from problems(value, arguments[1], (*path, key))
    elif isinstance(data, list) and get_origin(bare) is tuple:
        for number, value in enumerate(data):
            if arguments[-1] is ... or number < len(arguments):
                yield from problems(value, arguments[0 if arguments[-1] is ... else number], (*path, number))


def _fields(data: dict[str, object], struct: type[msgspec.Struct], path: Where) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    meant = {closest(key, fields) for key in data if key not in fields}
    for key, value in data.items():
        if key in fields:
            yield from problems(value, fields[key].type, (*path, key))
        else:
            yield Problem((*path, key), f"is not a field here{suggestion(key, fields)}")
    for name, field in fields.items():
        if field.required and name not in data and name not in meant:
            yield Problem((*path, name), f"is missing; expected {allowed(field.type)}")


def closest(word: object, known: Iterable[str]) -> str:
    """The known word that is most like this one, in any case of letters; empty if none is."""
    spelt = {one.lower(): one for one in known}
    found = get_close_matches(str(word).lower(), spelt, 1)
    return spelt[found[0]] if found else ""


def near(word: object, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing if no known word is like this one."""
    found = closest(word, known)
    return f" (did you mean {found}?)" if found else ""


def suggestion(word: object, known: Collection[str]) -> str:
    """What was meant, perhaps; else the list of what there is."""
    return near(word, known) or (f"; there is: {', '.join(known)}" if known else "; there are none")


def refusal(value: object, wanted: Any) -> str:
    """Why `value` is not taken as `wanted`: the value, shortened, and what is allowed."""
    if isinstance(value, str) and not value.strip():
        return f"is empty; expected {allowed(wanted)}"
    if isinstance(value, int | float) and isinstance(_bare(wanted), inspect.StrType):
        return f"{shown(value)} is not text; put it in quotes"
    meant = near(value, _choices(wanted)) if isinstance(value, str) else ""
    return f"{shown(value)} is not allowed; expected {allowed(wanted)}{meant}"


def shown(value: object) -> str:
    """`value` as its writer would know it, in at most 60 characters; a text is measured where that tells more."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return f"{'a mapping' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, str):
        return repr(value) if len(value) <= LIMIT else f"{value[: LIMIT - 20]!r}… ({len(value)} characters)"
    return str(value)


def _bare(wanted: Any) -> inspect.Type:
    kind = inspect.type_info(wanted)
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _choices(wanted: Any) -> list[str]:
    kind = _bare(wanted)
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def allowed(wanted: Any) -> str:
    """What a type takes, in words: `a number from 0 to 2`. `Meta(extra={"allowed": ...})` says it better where set."""
    return _words(inspect.type_info(wanted))


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra=extra) if extra and "allowed" in extra:
            return str(extra["allowed"])
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.UnionType(types=types):
            return " or ".join(_words(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.BoolType():
            return "true or false"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.StrType():
            return f"text{_span(kind.min_length, kind.max_length, 'characters')}"
        case inspect.VarTupleType(item_type=item):
            return f"a list{_span(kind.min_length, kind.max_length, 'items')}, each {_words(item)}"
        case inspect.TupleType(item_types=items):
            return f"a list of {len(items)}, each {_words(items[0])}"
        case inspect.DictType(value_type=value):
            return f"a mapping of names to {_words(value)}"
        case inspect.StructType(fields=fields):
            return f"a mapping of {', '.join(field.encode_name for field in fields)}"
        case inspect.CustomType(cls=cls) if cls is Path:
            return "a path"
    return NoneType.__name__ if isinstance(kind, inspect.NoneType) else type(kind).__name__


def _range(kind: inspect.FloatType | inspect.IntType) -> str:
    low = (
        f" above {_number(kind.gt)}"
        if kind.gt is not None
        else f" from {_number(kind.ge)}"
        if kind.ge is not None
        else ""
    )
    return low + (f" to {_number(kind.le)}" if kind.le is not None else "")


def _number(value: float) -> str:
    return f"{value:,}".removesuffix(".0")


def _span(low: int | None, high: int | None, unit: str) -> str:
    if high is None:
        return f" of {low} {unit} or more" if low else ""
    return f" of {low} to {high:,} {unit}" if low else f" of at most {high:,} {unit}"
