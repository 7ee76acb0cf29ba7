"""The `limen` command itself: help, completion, and how errors end."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bots import __main__ as main
from bots.collisions import ROOT
from bots.commands import personas
from tests.fakes.commands import limen


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMEN_HOME", str(tmp_path))


def completed(words: str, at: int) -> list[str]:
    """What bash would offer for the word at this place."""
    environ = {**os.environ, "_LIMEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    said = subprocess.run(
        [sys.executable, "-m", "bots"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert "" == said.stderr
    return [line.removeprefix("plain,") for line in said.stdout.split()]


def test_every_command_has_help_with_an_example():
    """Each of them, and each of their subcommands that does something."""
    for name in main.COMMANDS:
        command = main.limen.get_command(click.Context(main.limen), name)
        assert command
        leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        for leaf in leaves:
            assert leaf.help
            assert (leaf.epilog or command.epilog or "Example: limen").startswith("Example: limen")


def test_help_names_every_command_and_tells_how_to_complete():
    """In 80 columns, without importing a single one."""
    said = limen("--help")

    assert (0, True) == (said.status, all(name in said.out for name in main.COMMANDS))
    assert 'eval "$(_LIMEN_COMPLETE=bash_source limen)"' in said.out
    assert {"LIMEN_HOME]", "LIMEN_CONFIG]"} <= set(said.out.split())
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_shell_completes_commands_and_names_of_personas(tmp_path: Path):
    """Also after a word that is none yet, and with cards of one's own."""
    limen("persona", "new", "mona")

    assert ["personas", "persona"] == completed("limen person", 1)
    assert ["mira", "mona"] == completed("limen generate --persona m", 3)
    assert ["plum"] == completed("limen persona show pl", 3)
    assert ["mira"] == completed(f"limen --home {tmp_path / 'other'} persona show m", 5)
    assert [] == completed("limen nonsense pl", 2)


def test_a_misspelt_command_is_told_with_what_was_meant():
    """The status is 2: it was not understood."""
    near, far = limen("persnas"), limen("xyzzy")

    assert (2, True) == (near.status, "Did you mean `limen personas`?" in near.err)
    assert (2, True) == (far.status, "`limen --help` lists them" in far.err)


def test_the_version_is_known_installed_or_not(monkeypatch: pytest.MonkeyPatch):
    """A plain clone says it too."""
    from importlib import metadata

    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    installed = limen("--version")
    monkeypatch.setattr(metadata, "version", missing)
    cloned = limen("--version")

    assert (0, True) == (installed.status, installed.out.startswith("limen "))
    assert (0, True) == (cloned.status, cloned.out.startswith("limen 0."))


def test_a_setting_that_is_wrong_stops_the_start():
    """With its name; the status is 1."""
    said = limen("personas", LIMEN_PERSONNA="x")

    assert (1, True) == (said.status, "LIMEN_PERSONNA: is not a setting" in said.err)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (OSError(28, "No space left on device", "/full"), 1, "limen: No space left on device: /full"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
    ],
)
def test_what_the_system_says_ends_in_a_status(
    raised: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch
):
    """A full disk and an interrupt are no tracebacks."""

    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(personas, "settings", fail)
    answer = limen("personas")

    assert (status, said) == (answer.status, answer.err.strip())


def test_a_reader_that_has_seen_enough_is_no_error():
    """As in `limen personas --json | head -1`."""
    script = f"{sys.executable} -m bots personas --json | head -c 1; echo ${{PIPESTATUS[0]}}"

    said = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ("[0\n", "") == (said.stdout, said.stderr)


def test_a_fault_of_ours_is_no_traceback(monkeypatch: pytest.MonkeyPatch):
    """It is one line, and the file with the traceback to report."""

    def fail(_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(personas, "settings", fail)
    answer = limen("personas")

    assert 1 == answer.status
    assert "a fault in limen itself (ZeroDivisionError: by zero)" in answer.err
    assert "Traceback" not in answer.err
    assert "ZeroDivisionError" in Path(answer.err.split("please report ")[1].strip()).read_text()
