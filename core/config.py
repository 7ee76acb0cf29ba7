"""Settings, read once: the environment over `limen.yaml` over the defaults. Whatever is wrong stops the start.

Secrets are taken from the environment alone and never printed. Knows no part of limen that uses a setting.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from core.errors import ConfigError
from core.settings import Part, Settings, masked, page
from personas import shape, yamlfile
from personas.shape import Problem, Where
from personas.yamlfile import Document, YamlError

PREFIX = "LIMEN_"
OTHERS = ("LIMEN_HOME", "LIMEN_CONFIG", "LIMEN_CARDS", "LIMEN_TESTING", "LIMEN_TEST_REDIS")  # no settings: passed over
SECRETS = {
    ("discord", "token"): "DISCORD_TOKEN",
    ("telegram", "token"): "TELEGRAM_TOKEN",
    ("telegram", "webhook_secret"): "TELEGRAM_WEBHOOK_SECRET",
    ("slack", "token"): "SLACK_BOT_TOKEN",
    ("slack", "bot_token"): "SLACK_BOT_TOKEN",
    ("slack", "app_token"): "SLACK_APP_TOKEN",
    ("slack", "signing_secret"): "SLACK_SIGNING_SECRET",
    ("openai", "api_key"): "OPENAI_API_KEY",
    ("openai", "key"): "OPENAI_API_KEY",
    ("openai", "token"): "OPENAI_API_KEY",
}
Names = tuple[str, ...]
HINT = "docs/settings.md lists every setting"


class Secret:
    """A value that shows as `***` wherever it is printed, and tells itself only when asked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    def reveal(self) -> str:
        """The value itself: for the call that needs it, never for a log."""
        return self._value


def secret(name: str, environ: Mapping[str, str]) -> Secret:
    """The secret in this variable, e.g. `DISCORD_TOKEN`. Raises ConfigError if there is none."""
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"{name} is not set", f"set it in the environment: export {name}=…")
    return Secret(value)


def load(environ: Mapping[str, str], config: Path | None = None, home: Path | None = None) -> Settings:
    """All settings. `config` and `home` are what the command line names. Raises ConfigError with every fault."""
    file = find_file(environ, config, home)
    document = _read(file) if file else Document("", {}, {})
    sources = _variables(environ)
    faults = [*_file_faults(document), *(fault for source in sources for fault in _variable_faults(source, environ))]
    if faults:
        raise ConfigError("\n".join(faults), HINT)
    data, origin = _joined(document, sources, environ)
    settings: Settings = shape.convert(data, Settings)
    if faults := [f"{origin(one.path)}: {one.message}" for one in _misfits(settings)]:
        raise ConfigError("\n".join(faults), HINT)
    return _placed(settings, environ, home)


def find_file(environ: Mapping[str, str], config: Path | None = None, home: Path | None = None) -> Path | None:
    """The settings file: the one named, else `limen.yaml` in the home, else in this folder, else none.

    Raises ConfigError if the one named is not there.
    """
    named = config or (Path(environ["LIMEN_CONFIG"]).expanduser() if environ.get("LIMEN_CONFIG") else None)
    if named:
        if not named.is_file():
            raise ConfigError(f"there is no settings file {named}", "check --config or LIMEN_CONFIG")
        return named
    base = (home or Path(environ.get("LIMEN_HOME") or Settings().home)).expanduser()
    return next((file for file in (base / "limen.yaml", Path("limen.yaml")) if file.is_file()), None)


def _read(file: Path) -> Document:
    try:
        return yamlfile.read(file, str(file))
    except YamlError as error:
        raise ConfigError(str(error), "put the file right, then try again") from error


def _file_faults(document: Document) -> Iterator[str]:
    problems = [Problem(one.path, _discreet(one)) for one in shape.problems(document.data, Settings)]
    url = str(document.data.get("redis_url", ""))
    if masked(url) != url:
        problems.append(Problem(("redis_url",), "holds a password: set it as REDIS_URL in the environment instead"))
    for problem in sorted(problems, key=lambda one: document.line(one.path)):
        yield str(document.fault(problem.path, problem.message))


def _discreet(problem: Problem) -> str:
    """The message, unless it concerns a secret: then where to put that, and nothing of its value."""
    section, *rest = problem.path
    word = str(rest[-1] if rest else section).lower()
    if any(part in word for part in ("token", "secret", "password", "api_key")):
        name = SECRETS.get((str(section), word), "_".join(map(str, problem.path)).upper())
        if rest[:1] == ["accounts"] and len(rest) == 3:  # of another bot
            name = f"{name}_{rest[1]}".upper()
        return f"secrets are not kept in files: delete this line and set {name} in the environment"
    if not rest and section in {key for key, _ in SECRETS}:
        name = SECRETS[(str(section), "token")]
        return f"expected a mapping of settings; its secrets belong in the environment, as {name}"
    return problem.message


def settings_by_variable() -> dict[str, tuple[Names, Any]]:
    """Every `LIMEN_*` variable that is a setting: its path and its type."""
    return {PREFIX + "__".join(path).upper(): (path, kind) for path, kind in _leaves(Settings, ())}


def as_variables(settings: Settings) -> dict[str, str]:
    """These settings as `LIMEN_*` variables, so that a process we start has the same, whatever files it finds."""
    found = {}
    for name, (path, _) in settings_by_variable().items():
        value: Any = settings
        for part in path:
            value = getattr(value, part)
        found[name] = str(value)
    return found


def _leaves(part: type[Part], path: Names) -> Iterator[tuple[Names, Any]]:
    for field in msgspec.structs.fields(part):
        if isinstance(field.type, type) and issubclass(field.type, Part):
            yield from _leaves(field.type, (*path, field.name))
        elif field.name != "accounts":  # a mapping, which no variable holds
            yield (*path, field.name), field.type


def _variables(environ: Mapping[str, str]) -> list[str]:
    """The variables that concern us. `REDIS_URL` comes first, so that our own name for it wins."""
    ours = sorted(name for name in environ if name.startswith(PREFIX) and name not in OTHERS)
    return (["REDIS_URL"] if environ.get("REDIS_URL") else []) + ours


def _variable(name: str) -> tuple[Names, Any]:
    return settings_by_variable()["LIMEN_REDIS_URL" if name == "REDIS_URL" else name]


def _variable_faults(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    known = settings_by_variable()
    if name != "REDIS_URL" and name not in known:
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        instead = SECRETS.get(path) if len(path) == 2 else None
        why = f" (did you mean {instead}?)" if instead else shape.near(name, [*known, *OTHERS])
        yield f"{name}: is not a setting{why}"
        return
    path, kind = _variable(name)
    try:
        shape.convert(environ[name], kind, strict=False)
    except msgspec.ValidationError:
        yield f"{name}: {yamlfile.field(path)}: {shape.refusal(environ[name], kind)}"


def _joined(document: Document, names: list[str], environ: Mapping[str, str]) -> tuple[dict[str, Any], Any]:
    """File and environment as one, and a function that says where the value at a path came from."""
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in document.data.items()}
    origins: dict[Where, str] = {}
    for name in names:
        path, kind = _variable(name)
        part = data if len(path) == 1 else data.setdefault(path[0], {})
        value = shape.convert(environ[name], kind, strict=False)
        part[path[-1]] = str(value) if isinstance(value, Path) else value
        origins[path] = f"{name}: {yamlfile.field(path)}"

    def origin(path: Where) -> str:
        return origins.get(path) or f"{document.name}:{document.line(path)}: {yamlfile.field(path)}"

    return data, origin


def _misfits(settings: Settings) -> Iterator[Problem]:
    """What the types alone cannot say."""
    if 0 < settings.long_reply < 200:
        yield Problem(("long_reply",), shape.refusal(settings.long_reply, _type(("long_reply",))))
    if 0 < settings.model.context < 256:
        yield _misfit(settings, "model", "context")
    if 0 < settings.history.tokens < 100:
        yield _misfit(settings, "history", "tokens")
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        yield Problem(("redis_url",), shape.refusal(masked(settings.redis_url), _type(("redis_url",))))
    if not _is_address(settings.openai.base_url):
        where = ("openai", "base_url")
        yield Problem(where, shape.refusal(masked(settings.openai.base_url), _type(where)))
    if not _is_zone(settings.timezone):
        yield Problem(
            ("timezone",), shape.refusal(settings.timezone, _type(("timezone",))) + _near_zone(settings.timezone)
        )


def _misfit(settings: Settings, section: str, name: str) -> Problem:
    return Problem((section, name), shape.refusal(getattr(getattr(settings, section), name), _type((section, name))))


def _type(path: Names) -> Any:
    return dict(settings_by_variable().values())[path]


def _is_address(url: str) -> bool:
    """Does it name a host, and a port that can be?"""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port beyond all
        return False


def _is_zone(name: str) -> bool:
    if name == "UTC":
        return True
    from zoneinfo import ZoneInfo  # only who sets a zone pays for its import

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown, a path that leads outside, a folder of zones
        return False
    return True


def _near_zone(name: str) -> str:
    from zoneinfo import available_timezones

    return shape.near(name, sorted(available_timezones()))


def _placed(settings: Settings, environ: Mapping[str, str], home: Path | None) -> Settings:
    """With the folders as absolute paths. The home of the command line wins, then `LIMEN_HOME`."""
    folder = home or Path(environ.get("LIMEN_HOME") or settings.home)
    worker = msgspec.structs.replace(settings.worker, cache=_absolute(settings.worker.cache))
    store = settings.lora.store
    if store and "://" not in store:  # a worker is started in another folder
        store = str(_absolute(Path(store)))
    lora = msgspec.structs.replace(settings.lora, store=store)
    return msgspec.structs.replace(settings, home=_absolute(folder), worker=worker, lora=lora)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


if __name__ == "__main__":
    print(page(), end="")
