"""Settings: where they come from, who wins, and what stops the start."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from core.config import Secret, as_variables, find_file, load, secret, settings_by_variable
from core.errors import ConfigError
from core.settings import Settings, masked, page

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, with the current folder elsewhere and empty too."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def faults(home: Path, text: str = "", **environ: str) -> list[str]:
    """The lines of the ConfigError that this limen.yaml and these variables raise; the file's folder cut away."""
    (home / "limen.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(environ, home=home)
    return str(caught.value).replace(f"{home}/", "").splitlines()


def test_with_nothing_set_the_defaults_stand(home: Path) -> None:
    """Every default is in `Settings`; only the folders become absolute."""
    settings = load({}, home=home)

    expected = msgspec.structs.replace(
        Settings(), home=home, worker=msgspec.structs.replace(Settings().worker, cache=Path.home() / ".cache" / "limen")
    )
    assert expected == settings


def test_every_default_is_within_its_own_range() -> None:
    """Written out and read back, nothing is refused."""
    plain = msgspec.to_builtins(Settings(), enc_hook=str)

    assert Settings() == msgspec.convert(plain, Settings, dec_hook=lambda _, value: Path(value))


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(home: Path) -> None:
    """Three layers, setting by setting."""
    (home / "limen.yaml").write_text("queue: {max_depth: 20, attempts: 5}\nlog: {level: debug}\n")

    settings = load({"LIMEN_QUEUE__MAX_DEPTH": "50"}, home=home)

    assert (settings.queue.max_depth, settings.queue.attempts, settings.queue.lease_seconds) == (50, 5, 15)
    assert settings.log.level == "debug"


def test_variables_take_the_type_of_their_setting(home: Path) -> None:
    """Numbers, truth, text and paths are read from text."""
    environ = {
        "LIMEN_ATTENTION__BOTS": "true",
        "LIMEN_ATTENTION__QUICK_SECONDS": "0.25",
        "LIMEN_PERSONA": "42",
        "LIMEN_WORKER__CACHE": "~/models",
        "LIMEN_MODEL__DEVICE": "cuda:1",
        "LIMEN_TIMEZONE": "Europe/Vienna",
    }
    settings = load(environ, home=home)

    assert (settings.attention.bots, settings.attention.quick_seconds) == (True, 0.25)
    assert (settings.persona, settings.model.device, settings.timezone) == ("42", "cuda:1", "Europe/Vienna")
    assert Path.home() / "models" == settings.worker.cache


def test_the_file_named_comes_first_then_the_home_then_this_folder(home: Path, tmp_path: Path) -> None:
    """And LIMEN_CONFIG names one as --config does."""
    here, named = Path("limen.yaml"), tmp_path / "named.yaml"
    assert find_file({}, home=home) is None
    here.touch()
    assert here == find_file({}, home=home)
    (home / "limen.yaml").touch()
    assert home / "limen.yaml" == find_file({"LIMEN_HOME": str(home)}) == find_file({}, home=home)
    named.touch()
    assert named == find_file({}, named, home) == find_file({"LIMEN_CONFIG": str(named)}, home=home)


def test_a_named_file_that_is_not_there_stops_the_start(home: Path, tmp_path: Path) -> None:
    """Silently using another one would be worse."""
    with pytest.raises(ConfigError, match=r"there is no settings file .*gone\.yaml"):
        load({}, tmp_path / "gone.yaml", home)


def test_the_home_of_the_command_line_wins(home: Path, tmp_path: Path) -> None:
    """Then LIMEN_HOME, then the file."""
    (home / "limen.yaml").write_text("home: in-file\n")
    config = home / "limen.yaml"

    assert tmp_path == load({"LIMEN_HOME": "/other"}, config, tmp_path).home
    assert Path("/other") == load({"LIMEN_HOME": "/other"}, config).home
    assert Path("in-file").absolute() == load({}, config).home


def test_every_fault_of_a_file_is_named_with_key_value_range_and_line(home: Path) -> None:
    """Misspelt, of the wrong type, out of range, NaN and empty: one start shows them all."""
    text = """queue:
  max_depht: 3
  attempts: 99
  lease_seconds: .nan
model:
  device: gpu
  dtype: flaot32
attention: {bots: yes}
history:
timezone: ""
persona: 7
"""
    dtypes = "one of auto, bfloat16, float16, float32"
    assert faults(home, text) == [
        "limen.yaml:2: queue.max_depht: is not a field here (did you mean max_depth?)",
        "limen.yaml:3: queue.attempts: 99 is not allowed; expected a whole number from 1 to 20",
        "limen.yaml:4: queue.lease_seconds: nan is not allowed; expected a number from 2 to 600",
        "limen.yaml:6: model.device: 'gpu' is not allowed; expected auto, cpu, cuda, cuda:N or mps",
        f"limen.yaml:7: model.dtype: 'flaot32' is not allowed; expected {dtypes} (did you mean float32?)",
        "limen.yaml:8: attention.bots: 'yes' is not allowed; expected true or false",
        "limen.yaml:9: history: nothing is not allowed; expected a mapping of tokens, turns_kept",
        "limen.yaml:10: timezone: is empty; expected a name of the IANA time zone database, such as Europe/Vienna",
        "limen.yaml:11: persona: 7 is not text; put it in quotes",
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "LIMEN_QUEUE__MAX_DEPTH",
            "0",
            "queue.max_depth: '0' is not allowed; expected a whole number from 1 to 1,000,000",
        ),
        ("LIMEN_QUEUE__MAX_DEPTH", "", "queue.max_depth: is empty; expected a whole number from 1 to 1,000,000"),
        ("LIMEN_QUEUE__MAX_DEPTH", "1.5", "queue.max_depth: '1.5' is not allowed; expected a whole number"),
        (
            "LIMEN_QUEUE__LEASE_SECONDS",
            "nan",
            "queue.lease_seconds: 'nan' is not allowed; expected a number from 2 to 600",
        ),
        (
            "LIMEN_QUEUE__LEASE_SECONDS",
            "inf",
            "queue.lease_seconds: 'inf' is not allowed; expected a number from 2 to 600",
        ),
        ("LIMEN_ATTENTION__BOTS", "maybe", "attention.bots: 'maybe' is not allowed; expected true or false"),
        ("LIMEN_SCOPE__TELEGRAM", "server", "scope.telegram: 'server' is not allowed; expected one of channel, user"),
        ("LIMEN_TIMEZONE", "Europe/Viena", "timezone: 'Europe/Viena' is not allowed"),
        ("LIMEN_TIMEZONE", "../../etc/passwd", "timezone: '../../etc/passwd' is not allowed"),
        ("LIMEN_TIMEZONE", "America", "timezone: 'America' is not allowed"),
        ("LIMEN_MODEL__CONTEXT", "100", "model.context: 100 is not allowed; expected 0, or a whole number from 256"),
        ("LIMEN_HISTORY__TOKENS", "9", "history.tokens: 9 is not allowed; expected 0, or a whole number from 100"),
        ("LIMEN_DISCORD__API_BASE", "localhost", "discord.api_base: 'localhost' is not allowed; expected an http://"),
        ("LIMEN_OPENAI__BASE_URL", "http://[::1/v1", "openai.base_url: 'http://[::1/v1' is not allowed"),
        ("LIMEN_OPENAI__BASE_URL", "http://u:p@h:99999", "openai.base_url: 'http://***@h:99999' is not allowed"),
        ("LIMEN_OPENAI__BASE_URL", "http://:8000/v1", "openai.base_url: 'http://:8000/v1' is not allowed"),
        ("LIMEN_QUEUE__MAX_DEPHT", "1", "is not a setting (did you mean LIMEN_QUEUE__MAX_DEPTH?)"),
        ("LIMEN_HOM", "x", "is not a setting (did you mean LIMEN_HOME?)"),
        ("LIMEN_QUEUE", "1", "is not a setting"),
        ("LIMEN_DISCORD__TOKEN", "x", "is not a setting (did you mean DISCORD_TOKEN?)"),
        ("LIMEN_SLACK__SIGNING_SECRET", "x", "is not a setting (did you mean SLACK_SIGNING_SECRET?)"),
        ("LIMEN_TELEGRAM__WEBHOOK_SECRET", "x", "is not a setting (did you mean TELEGRAM_WEBHOOK_SECRET?)"),
        ("REDIS_URL", "http://host", "redis_url: 'http://host' is not allowed; expected a redis://"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_allowed(home: Path, name: str, value: str, words: str) -> None:
    """The variable stands where the file and line would."""
    (fault,) = faults(home, "", **{name: value})

    assert fault.startswith(f"{name}: {words}")


def test_a_near_time_zone_is_offered(home: Path) -> None:
    """Names of zones are easily misspelt."""
    (fault,) = faults(home, "timezone: europe/viena\n")

    assert fault.startswith("limen.yaml:1: timezone: ")
    assert fault.endswith("(did you mean Europe/Vienna?)")


def test_our_other_variables_are_no_settings(home: Path) -> None:
    """Nor are anybody else's."""
    assert load({}, home=home) == load({"LIMEN_TESTING": "1", "LIMENADE": "1", "PATH": "/bin"}, home=home)


def test_a_broken_file_is_named_with_its_line(home: Path) -> None:
    """What is not YAML is no different."""
    assert faults(home, "log: {}\nlog: {}\n") == ["limen.yaml:2: 'log' is given twice; first in line 1"]


def test_a_file_of_comments_sets_nothing(home: Path) -> None:
    """As an example file may be copied and left as it is."""
    (home / "limen.yaml").write_text("# persona: orrin\n")

    assert load({}, home=home).persona == "mira"


def test_a_secret_in_the_file_is_refused_and_not_repeated(home: Path) -> None:
    """The message says where it belongs, and holds nothing of it."""
    text = """discord: {token: s3cr3t}
slack:
  bot_token: s3cr3t
  api_key: s3cr3t
telegram: s3cr3t
redis_url: redis://me:s3cr3t@host/0
"""
    lines = faults(home, text)

    assert [int(line.split(":")[1]) for line in lines] == [1, 3, 4, 5, 6]
    for line, name in zip(
        lines, ("DISCORD_TOKEN", "SLACK_BOT_TOKEN", "SLACK_API_KEY", "TELEGRAM_TOKEN", "REDIS_URL"), strict=True
    ):
        assert name in line
        assert "s3cr3t" not in line


def test_an_address_of_a_server_is_never_shown_with_its_password(home: Path) -> None:
    """Nor that of a LoRA store."""
    addresses = {"LIMEN_OPENAI__BASE_URL": "http://me:s3cr3t@host/v1", "LIMEN_LORA__STORE": "ftp://me:s3cr3t@host/x"}

    assert "s3cr3t" not in repr(load(addresses, home=home))


def test_a_redis_url_is_never_shown_with_its_password(home: Path) -> None:
    """Neither by repr, nor by what `limen status` prints, nor by a refusal."""
    settings = load({"REDIS_URL": "redis://me:s3cr3t@host:1/0"}, home=home)

    assert settings.redis_url == "redis://me:s3cr3t@host:1/0"
    assert settings.shown()["redis_url"] == "redis://***@host:1/0"
    assert "s3cr3t" not in repr(settings) + str(list(settings.__rich_repr__()))
    assert "s3cr3t" not in "".join(faults(home, "", REDIS_URL="http://me:s3cr3t@host"))
    assert masked("unix:///x?db=0&password=s3cr3t&a=1") == "unix:///x?db=0&password=***&a=1"


def test_our_name_for_the_redis_url_wins(home: Path) -> None:
    """REDIS_URL may be meant for another program."""
    environ = {"REDIS_URL": "redis://theirs", "LIMEN_REDIS_URL": "redis://ours"}

    assert load(environ, home=home).redis_url == "redis://ours"
    assert load({"REDIS_URL": "redis://theirs"}, home=home).redis_url == "redis://theirs"


def test_a_secret_shows_only_when_asked() -> None:
    """In logs, f-strings and reprs of what holds it, it is three stars."""
    token = secret("DISCORD_TOKEN", {"DISCORD_TOKEN": " s3cr3t\n"})

    assert token.reveal() == "s3cr3t"
    assert f"{token} {token!r} {[token]}" == "*** *** [***]"
    assert not hasattr(token, "__dict__")


def test_a_missing_secret_says_how_to_set_it() -> None:
    """Blank is missing as well."""
    for environ in ({}, {"DISCORD_TOKEN": "  "}):
        with pytest.raises(ConfigError, match="DISCORD_TOKEN is not set") as caught:
            secret("DISCORD_TOKEN", environ)
        assert "export DISCORD_TOKEN" in caught.value.hint


def test_a_secret_cannot_slip_into_json() -> None:
    """msgspec has no way to write it."""
    with pytest.raises(TypeError):
        msgspec.json.encode({"token": Secret("s3cr3t")})


def test_the_page_of_settings_is_up_to_date() -> None:
    """`python -m core.config > docs/settings.md` writes it anew."""
    assert page() == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_setting_is_on_the_page_with_a_meaning() -> None:
    """Nothing can be set that is not explained."""
    rows = {line.split("`")[1]: line for line in page().splitlines() if line.startswith("| `")}

    in_the_file_alone = {key for key in rows if ".accounts" in key}
    assert {".".join(path) for path, _ in settings_by_variable().values()} == set(rows) - in_the_file_alone
    assert all("only in the file" in rows[key] for key in in_the_file_alone)
    assert {"discord.accounts", "telegram.accounts.NAME.webhook_port"} < in_the_file_alone
    assert [key for key, row in rows.items() if not row.split(" | ")[3].strip()] == []


def test_reading_settings_needs_nothing_heavy() -> None:
    """A bot starts in a second: no torch, no Redis, no event loop for its settings."""
    code = "import sys, core.config; print(*{'torch', 'pydantic', 'redis', 'asyncio', 'zoneinfo'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert result.stdout == "\n"


def test_settings_survive_the_way_to_another_process() -> None:
    """As variables they say the same, whatever was set, and whatever files the other process finds."""
    settings = load({"LIMEN_QUEUE__MAX_DEPTH": "7", "LIMEN_MODEL__FALLBACK": "", "LIMEN_ATTENTION__BOTS": "true"})

    assert settings == load(as_variables(settings))


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", "{home}/loras"), ("mine", "{here}/mine"), ("~/mine", "{user}/mine"), ("s3://bucket/x", "s3://bucket/x")],
)
def test_loras_lie_in_the_same_place_for_every_process(home: Path, given: str, kept: str) -> None:
    """A worker is started in another folder: a path that is not absolute would be another one there."""
    settings = load({"LIMEN_LORA__STORE": given} if given else {}, home=home)

    assert kept.format(home=home, here=Path.cwd(), user=Path.home()) == settings.lora_store
    assert settings.lora_store == load(as_variables(settings), home=home).lora_store


def test_a_lora_store_is_never_shown_with_its_password(home: Path) -> None:
    """Not even where an address carries one."""
    settings = load({"LIMEN_LORA__STORE": "sftp://me:hush@host/loras"}, home=home)

    assert "sftp://me:hush@host/loras" == settings.lora_store
    assert "hush" not in str(settings.shown())
