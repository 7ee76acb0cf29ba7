"""Telegram's Bot API as it is published, for checking what a fake of it says and takes."""

import json
from pathlib import Path
from typing import Any

PUBLISHED = Path("../shared/data/payloads/telegram_bot_api.min.json")
_PLAIN: dict[str, Any] = {"Integer": int, "String": str, "Boolean": bool, "Float": (int, float)}


class Spec:
    """The types and methods of the published API. Where that is absent everything passes."""

    def __init__(self, path: Path = PUBLISHED) -> None:
        published = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.types: dict[str, Any] = published.get("types", {})
        self.methods: dict[str, Any] = published.get("methods", {})

    def faults(self, kind: str, value: Any, where: str = "") -> list[str]:
        """What is wrong with a value that should be of this type; nothing, if nothing is."""
        where = where or kind
        if kind.startswith("Array of "):
            if not isinstance(value, list):
                return [f"{where}: not a list"]
            return [fault for item in value for fault in self.faults(kind[9:], item, where)]
        if kind in _PLAIN:
            fits = isinstance(value, _PLAIN[kind]) and (kind == "Boolean" or not isinstance(value, bool))
            return [] if fits else [f"{where}: {value!r} is no {kind}"]
        if kind == "InputFile" or kind not in self.types:
            return []
        return self._object(self.types[kind], value, where)

    def _object(self, kind: dict[str, Any], value: Any, where: str) -> list[str]:
        if subtypes := kind.get("subtypes"):
            found = [self.faults(name, value, where) for name in subtypes]
            return min(found, key=len)
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        return self._fields(kind.get("fields", []), value, where)

    def _fields(self, fields: list[dict[str, Any]], value: dict[str, Any], where: str) -> list[str]:
        known = {field["name"]: field for field in fields}
        faults = [f"{where}: {name} is not known" for name in value if name not in known]
        for name, field in known.items():
            if name not in value:
                faults += [f"{where}: {name} is missing"] if field["required"] else []
            else:
                found = [self.faults(kind, value[name], f"{where}.{name}") for kind in field["types"]]
                fewest: list[str] = min(found, key=len)
                faults += fewest
        return faults

    def asked(self, method: str, form: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The arguments of a call, out of the strings of a form; and what is wrong with them."""
        if method not in self.methods:
            return {name: _loose(text) for name, text in form.items()}, []
        fields = self.methods[method].get("fields", [])
        kinds = {field["name"]: field["types"] for field in fields}
        arguments = {name: _typed(text, kinds.get(name, ["String"])) for name, text in form.items()}
        return arguments, self._fields(fields, arguments, method)


def _typed(text: Any, kinds: list[str]) -> Any:
    """A form knows strings alone (and files): this is how the server reads them."""
    if not isinstance(text, str) or kinds == ["String"]:
        return text
    if "Integer" in kinds and text.lstrip("-").isdigit():
        return int(text)
    return text if "String" in kinds or "InputFile" in kinds else _loose(text)


def _loose(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
