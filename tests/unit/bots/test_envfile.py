"""The `.env` file: read without a surprise, and written without losing a line."""

import stat
from pathlib import Path

import pytest

from bots import envfile
from core.errors import ConfigError
from tests.fakes.commands import limen


def test_lines_are_read_as_people_write_them():
    """With export, quotes, spaces and comments; the last one counts, and an empty one does not."""
    text = """
# TELEGRAM_TOKEN=proposed
export DISCORD_TOKEN = a.b.c   # mine
SLACK_BOT_TOKEN='xoxb-1 #2'
SLACK_APP_TOKEN="say \\"x\\"" # quoted
LIMEN_PERSONA=mira
LIMEN_PERSONA=noa
OPENAI_API_KEY=
SLACK_SIGNING_SECRET=# none
LIMEN_TIMEZONE=a#b
"""
    expected = {
        "DISCORD_TOKEN": "a.b.c",
        "SLACK_BOT_TOKEN": "xoxb-1 #2",
        "SLACK_APP_TOKEN": 'say "x"',
        "LIMEN_PERSONA": "noa",
        "LIMEN_TIMEZONE": "a#b",
    }
    assert expected == envfile.parse(text)


def test_what_is_not_ours_is_left_alone():
    """Another project's variables, those of Compose, and lines that are none."""
    assert {} == envfile.parse("PATH=/tmp\nCOMPOSE_PROFILES=slack\nmulti='line\nhello\n=\n")


def test_an_open_quote_is_named(tmp_path: Path):
    """With its line; nothing of the value is shown."""
    (tmp_path / ".env").write_text("\nDISCORD_TOKEN='secret\n")

    with pytest.raises(ConfigError, match=r"\.env:2: DISCORD_TOKEN: the quote is not closed") as caught:
        envfile.load({}, tmp_path / ".env")
    assert "secret" not in str(caught.value)


def test_the_environment_wins(tmp_path: Path):
    """Even with nothing."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=a\nTELEGRAM_TOKEN=b\nREDIS_URL=redis://x")
    environ = {"DISCORD_TOKEN": "mine", "REDIS_URL": ""}
    envfile.load(environ, tmp_path / ".env")

    assert {"DISCORD_TOKEN": "mine", "TELEGRAM_TOKEN": "b", "REDIS_URL": ""} == environ


def test_every_command_reads_the_file_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As it does limen.yaml."""
    (tmp_path / ".env").write_text("LIMEN_PERSONA=nobody-knows\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_PERSONA", raising=False)
    said = limen("--home", tmp_path, "run", "telegram", TELEGRAM_TOKEN="1:a", LIMEN_PERSONA=None)

    assert 1 == said.status
    assert "nobody-knows" in said.err


def test_a_value_takes_the_line_that_is_meant_for_it():
    """The one that sets it, else the one that proposes it, else a new one at the end."""
    assert "A=1\nX=new\n" == envfile.changed("A=1\nX=old\n", "X", "new")
    assert "X=new\n# other\n" == envfile.changed("# X=\n# other\n", "X", "new")
    assert "# X=\nX=new\n" == envfile.changed("# X=\nexport X = old\n", "X", "new")
    assert "XY=1\nX=new\n" == envfile.changed("XY=1", "X", "new")
    assert "X=new\n" == envfile.changed("", "X", "new")


def test_the_file_is_for_its_owner_alone(tmp_path: Path):
    """And keeps what is in it; writing what is there already changes nothing."""
    file = tmp_path / ".env"
    file.write_text("# mine\nLIMEN_PERSONA=mira\n")
    file.chmod(0o644)
    for _ in range(2):
        envfile.write(file, {"DISCORD_TOKEN": "a.b.c"})

        assert "# mine\nLIMEN_PERSONA=mira\nDISCORD_TOKEN=a.b.c\n" == file.read_text()
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert {"LIMEN_PERSONA": "mira", "DISCORD_TOKEN": "a.b.c"} == envfile.parse(file.read_text())
